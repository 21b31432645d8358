/** Sends what the feeds deliver: through topics to listeners, one by one to the others. */
import type { TickerSnapshot, Update } from "../storage/update-contract.ts";
import type { Channel } from "./channel.ts";
import { Texts } from "./frame-form.ts";
import type { Heartbeats } from "./heartbeats.ts";
import type { SocketHeartbeats } from "./socket-heartbeats.ts";
import { ALL_TICKERS } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";
import type { TickerFeeds } from "./ticker-feeds.ts";
import { matches } from "./type-filter.ts";

export interface DeliveryOptions {
  channels: ReadonlyMap<string, Channel>;
  feeds: TickerFeeds;
  heartbeats: Heartbeats;
  socketHeartbeats: SocketHeartbeats;
  epoch(): string;
  /** Called for each gap that all subscribers of a ticker are told. */
  onGap(): void;
  warn(message: string): void;
}

export class Delivery {
  readonly #options: DeliveryOptions;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  deliver(ticker: string, update: Update): void {
    const epoch = this.#options.epoch();
    const texts = new Texts((form) => form.update(ticker, update, epoch));
    for (const channel of this.#channelsFor(ticker)) {
      channel.publishUpdate(update.type, texts);
      for (const subscription of channel.notListening) {
        if (subscription.state !== "direct") continue;
        if (channel.ticker === ALL_TICKERS) subscription.noteMoved(ticker);
        this.#deliverOne(subscription, ticker, update, texts);
      }
    }
    this.#moved(ticker, update.position);
  }

  /** Tells that the content of these positions is lost. */
  tellGap(ticker: string, from: number, to: number): void {
    const epoch = this.#options.epoch();
    const texts = new Texts((form) => form.gap(ticker, { from, to }, "not_kept", epoch));
    for (const channel of this.#channelsFor(ticker)) {
      channel.publish(texts);
      for (const subscription of channel.notListening) {
        if (subscription.state !== "direct") continue;
        if (channel.ticker === ALL_TICKERS) subscription.noteMoved(ticker);
        if (subscription.isReading(ticker)) continue;
        const { subscriber } = subscription;
        if (!subscription.isAhead(ticker, to))
          subscriber.deliverGap(ticker, from, to, texts.of(subscriber.form));
        this.listenIfUpToDate(subscription);
      }
    }
    this.#moved(ticker, to);
    this.#options.onGap();
    this.#options.warn(
      `Updates ${from} to ${to} of ${ticker} are not kept: subscribers were told of the gap`,
    );
  }

  /** Follows a gap, once everything up to the snapshot's position was delivered. */
  tellSnapshot(ticker: string, snapshot: TickerSnapshot): void {
    const { position } = snapshot;
    const epoch = this.#options.epoch();
    const texts = new Texts((form) => form.snapshot(ticker, snapshot, epoch));
    for (const channel of this.#channelsFor(ticker)) {
      channel.publish(texts);
      for (const subscription of channel.notListening) {
        if (subscription.state !== "direct") continue;
        if (subscription.isReading(ticker) || subscription.isAhead(ticker, position)) continue;
        const { subscriber } = subscription;
        subscriber.deliverSnapshot(ticker, position, texts.of(subscriber.form));
      }
    }
  }

  /** Topics are for subscriptions that have exactly what the feeds have delivered. */
  listenIfUpToDate(subscription: Subscription): void {
    if (subscription.state !== "direct" || subscription.subscriber.slow) return;
    const { feeds, heartbeats, socketHeartbeats } = this.#options;
    if (!subscription.isUpToDate((ticker) => feeds.delivered(ticker))) return;
    subscription.channel.listen(subscription);
    // Heartbeats to all name only tickers that moved. This one names those that moved meanwhile.
    heartbeats.tellMoved(subscription);
    socketHeartbeats.owe(subscription);
    subscription.forgetOwnProgress();
  }

  *#channelsFor(ticker: string): Iterable<Channel> {
    const { channels } = this.#options;
    const own = channels.get(ticker);
    const all = channels.get(ALL_TICKERS);
    if (own !== undefined) yield own;
    if (all !== undefined) yield all;
  }

  #deliverOne(subscription: Subscription, ticker: string, update: Update, texts: Texts): void {
    if (subscription.isReading(ticker)) return;
    const { subscriber, filter } = subscription;
    if (!subscription.isAhead(ticker, update.position) && matches(filter, update.type))
      subscriber.deliver(ticker, update, texts.of(subscriber.form));
    this.listenIfUpToDate(subscription);
  }

  #moved(ticker: string, position: number): void {
    const { channels, heartbeats, socketHeartbeats } = this.#options;
    if (channels.has(ALL_TICKERS)) heartbeats.moved(ticker, position);
    socketHeartbeats.moved(ticker);
  }
}
