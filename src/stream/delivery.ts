/** Sends what the feeds deliver: through topics to listeners, one by one to the others. */
import { gapFrame, positioned, snapshotFrame } from "../protocol/frames.ts";
import type { TickerSnapshot, Update } from "../storage/update-contract.ts";
import type { Channel } from "./channel.ts";
import type { Heartbeats } from "./heartbeats.ts";
import { snapshotJson } from "./snapshot-json.ts";
import { ALL_TICKERS } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";
import type { TickerFeeds } from "./ticker-feeds.ts";
import { matches } from "./type-filter.ts";

export interface DeliveryOptions {
  channels: ReadonlyMap<string, Channel>;
  feeds: TickerFeeds;
  heartbeats: Heartbeats;
  warn(message: string): void;
}

export class Delivery {
  readonly #options: DeliveryOptions;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  deliver(ticker: string, update: Update): void {
    const text = positioned(update.frame, update.position);
    for (const channel of this.#channelsFor(ticker)) {
      channel.publishUpdate(update.type, text);
      for (const subscription of channel.notListening) {
        if (subscription.state !== "direct") continue;
        if (channel.ticker === ALL_TICKERS) subscription.noteMoved(ticker);
        this.#deliverOne(subscription, ticker, update, text);
      }
    }
    this.#moved(ticker, update.position);
  }

  /** Tells that the content of these positions is lost. */
  tellGap(ticker: string, from: number, to: number): void {
    const text = gapFrame(ticker, from, to, "not_kept");
    for (const channel of this.#channelsFor(ticker)) {
      channel.publish(text);
      for (const subscription of channel.notListening) {
        if (subscription.state !== "direct") continue;
        if (channel.ticker === ALL_TICKERS) subscription.noteMoved(ticker);
        if (subscription.isReading(ticker)) continue;
        if (!subscription.isAhead(ticker, to)) subscription.subscriber.deliverGap(ticker, from, to, text);
        this.listenIfUpToDate(subscription);
      }
    }
    this.#moved(ticker, to);
    this.#options.warn(
      `Updates ${from} to ${to} of ${ticker} are not kept: subscribers were told of the gap`,
    );
  }

  /** Follows a gap, once everything up to the snapshot's position was delivered. */
  tellSnapshot(ticker: string, snapshot: TickerSnapshot, epoch: string): void {
    const { position } = snapshot;
    const text = snapshotFrame(ticker, snapshotJson(snapshot), { seq: position, epoch });
    for (const channel of this.#channelsFor(ticker)) {
      channel.publish(text);
      for (const subscription of channel.notListening) {
        if (subscription.state !== "direct") continue;
        if (subscription.isReading(ticker) || subscription.isAhead(ticker, position)) continue;
        subscription.subscriber.deliverSnapshot(ticker, position, text);
      }
    }
  }

  /** Topics are for subscriptions that have exactly what the feeds have delivered. */
  listenIfUpToDate(subscription: Subscription): void {
    if (subscription.state !== "direct" || subscription.subscriber.slow) return;
    const { feeds, heartbeats } = this.#options;
    if (!subscription.isUpToDate((ticker) => feeds.delivered(ticker))) return;
    subscription.channel.listen(subscription);
    // Heartbeats to all name only tickers that moved. This one names those that moved meanwhile.
    heartbeats.tellMoved(subscription);
    subscription.forgetOwnProgress();
  }

  *#channelsFor(ticker: string): Iterable<Channel> {
    const { channels } = this.#options;
    const own = channels.get(ticker);
    const all = channels.get(ALL_TICKERS);
    if (own !== undefined) yield own;
    if (all !== undefined) yield all;
  }

  #deliverOne(subscription: Subscription, ticker: string, update: Update, text: string): void {
    if (subscription.isReading(ticker)) return;
    if (!subscription.isAhead(ticker, update.position) && matches(subscription.filter, update.type))
      subscription.subscriber.deliver(ticker, update, text);
    this.listenIfUpToDate(subscription);
  }

  #moved(ticker: string, position: number): void {
    const { channels, heartbeats } = this.#options;
    if (channels.has(ALL_TICKERS)) heartbeats.moved(ticker, position);
  }
}
