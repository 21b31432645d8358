/** Takes a subscription from its first frame, through what it missed, to the live updates. */
import type { UpdateReader } from "../storage/update-contract.ts";
import { turn } from "../time/pauses.ts";
import { catchUp } from "./catch-up.ts";
import type { Delivery } from "./delivery.ts";
import type { FeedNotices } from "./feed-notices.ts";
import type { Heartbeats } from "./heartbeats.ts";
import { type BeginsAt, concerns, type Start, type StartingPoint } from "./starting-point.ts";
import { ALL_TICKERS } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";
import type { TickerFeeds } from "./ticker-feeds.ts";

export interface JoiningOptions {
  feeds: TickerFeeds;
  startingPoint: StartingPoint;
  delivery: Delivery;
  heartbeats: Heartbeats;
  notices: FeedNotices;
  updates: UpdateReader;
}

/** Expects the channel to be open. */
export class Joining {
  readonly #options: JoiningOptions;

  constructor(options: JoiningOptions) {
    this.#options = options;
  }

  /** @param epoch of the database, just read. */
  async join(subscription: Subscription, start: Start, epoch: string): Promise<void> {
    if (subscription.ticker === ALL_TICKERS) await this.#joinAll(subscription, start, epoch);
    else await this.#joinOne(subscription, start, epoch);
  }

  async #joinOne(subscription: Subscription, start: Start, epoch: string): Promise<void> {
    const { feeds, startingPoint } = this.#options;
    const { ticker, subscriber, channel } = subscription;
    const delivered = Math.max(feeds.delivered(ticker), channel.openedAt);
    const begins = await startingPoint.of(ticker, delivered, start, { epoch, form: subscriber.form });
    if (subscription.hasLeft) return;
    if (begins.frame !== null) subscriber.send(begins.frame);
    await this.#catchUp(subscription, ticker, begins, epoch);
  }

  /** Live updates begin at once, except for tickers whose missed updates are still being read. */
  async #joinAll(subscription: Subscription, start: Start, epoch: string): Promise<void> {
    const { feeds, startingPoint, delivery, heartbeats, notices } = this.#options;
    const { channel, subscriber } = subscription;
    const told = { epoch, form: subscriber.form };
    await this.#tellStrangers(subscription, start, epoch);
    if (subscription.hasLeft) return;
    const newest = feeds.positions();
    for (const [ticker, position] of newest)
      if (concerns(start, ticker, position, epoch)) subscription.setReadTo(ticker, null);
    channel.deliverDirectly(subscription);
    heartbeats.tellAll(subscription);
    notices.tellStale(subscription);
    delivery.listenIfUpToDate(subscription);
    heartbeats.start(channel);
    for (const ticker of subscription.tickersBeingRead()) {
      // Reads that answer synchronously would otherwise hold the event loop for thousands of
      // tickers.
      await turn();
      if (subscription.hasLeft) return;
      const delivered = feeds.delivered(ticker);
      const begins = await startingPoint.of(ticker, delivered, start, told);
      if (subscription.hasLeft) return;
      if (begins.frame !== null && !begins.nothing) subscriber.send(begins.frame);
      await this.#catchUp(subscription, ticker, begins, epoch);
    }
  }

  /**
   * Answers for tickers that the database doesn't know. They get no feed, as a client could invent
   * any number of names.
   */
  async #tellStrangers(subscription: Subscription, start: Start, epoch: string): Promise<void> {
    if (start.kind !== "since" || !(start.since instanceof Map)) return;
    const { feeds, startingPoint } = this.#options;
    for (const ticker of start.since.keys()) {
      if (feeds.knows(ticker) || !concerns(start, ticker, 0, epoch)) continue;
      await turn();
      const { form } = subscription.subscriber;
      const { frame } = await startingPoint.of(ticker, 0, start, { epoch, form });
      if (subscription.hasLeft) return;
      if (frame !== null) subscription.subscriber.send(frame);
    }
  }

  async #catchUp(
    subscription: Subscription,
    ticker: string,
    { position: from, read }: BeginsAt,
    epoch: string,
  ): Promise<void> {
    const { feeds, updates } = this.#options;
    await catchUp(
      subscription,
      { ticker, feed: feeds.opened(ticker), from, read, updates, epoch },
      (position) => this.#hasCaughtUp(subscription, ticker, position),
    );
  }

  #hasCaughtUp(subscription: Subscription, ticker: string, position: number): void {
    const { feeds, delivery, heartbeats, notices } = this.#options;
    const delivered = feeds.delivered(ticker);
    subscription.hasCaughtUp(ticker, position, delivered);
    if (position > delivered) feeds.get(ticker)?.note(position);
    if (subscription.ticker === ALL_TICKERS) {
      subscription.noteMoved(ticker);
      delivery.listenIfUpToDate(subscription);
    } else {
      const { channel } = subscription;
      channel.deliverDirectly(subscription);
      notices.tellStale(subscription);
      delivery.listenIfUpToDate(subscription);
      // Sent at once, so that a client without a price also knows that it is subscribed.
      heartbeats.tell(subscription, position);
      heartbeats.start(channel);
    }
  }
}
