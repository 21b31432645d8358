/**
 * Which subscribers of this worker watch what: their first frame, what they missed, live updates
 * and heartbeats.
 *
 * Knows neither sockets nor storage: a `Subscriber` takes text, and `publish` reaches all listeners
 * of a topic at once.
 */
import type { FeedNotice } from "../feeds/feed.ts";
import type { Update, UpdateReader } from "../storage/update-contract.ts";
import { READ_LIMIT } from "./catch-up.ts";
import { Channel, type Publish } from "./channel.ts";
import { Delivery } from "./delivery.ts";
import { FeedNotices, type StaleFeeds } from "./feed-notices.ts";
import { Heartbeats } from "./heartbeats.ts";
import { Joining } from "./joining.ts";
import { Openings } from "./openings.ts";
import { PositionCheck } from "./position-check.ts";
import { SocketHeartbeats } from "./socket-heartbeats.ts";
import { type Start, StartingPoint } from "./starting-point.ts";
import { ALL_TICKERS, type Subscriber } from "./subscriber.ts";
import { Subscription } from "./subscription.ts";
import type { FeedOptions } from "./ticker-feed.ts";
import { TickerFeeds } from "./ticker-feeds.ts";
import { type TypeFilter, union } from "./type-filter.ts";

/** How often a worker compares its positions with the database's. */
const POSITION_CHECK_MS = 1_000;

export interface SubscriptionsOptions {
  heartbeatIntervalMs: number;
  publish: Publish;
  /** Resolves when every later commit to the ticker, or to ALL_TICKERS, reaches this worker. */
  watch(ticker: string): Promise<void>;
  unwatch(ticker: string): void;
  /** See StartingPointOptions. */
  latestPrice(ticker: string): number | null | Promise<number | null>;
  updates: UpdateReader;
  staleFeeds: StaleFeeds;
  /** Called for each gap that all subscribers of a ticker are told. */
  onGap(): void;
  warn(message: string): void;
}

export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #channels = new Map<string, Channel>();
  /** The number of subscriptions of each. */
  readonly #subscribers = new Map<Subscriber, number>();
  readonly #feeds = new TickerFeeds(this.#feedOptions());
  readonly #check: PositionCheck;
  readonly #openings: Openings;
  readonly #heartbeats: Heartbeats;
  readonly #socketHeartbeats: SocketHeartbeats;
  readonly #notices: FeedNotices;
  readonly #delivery: Delivery;
  readonly #joining: Joining;
  readonly #checks: Timer;
  readonly #publish: Publish;
  #size = 0;

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
    const { updates, heartbeatIntervalMs } = options;
    const channels = this.#channels;
    const feeds = this.#feeds;
    const warn = (message: string): void => options.warn(message);
    this.#publish = options.publish;
    this.#check = new PositionCheck({
      updates,
      named: () => this.#named(),
      all: () => (this.#channels.has(ALL_TICKERS) ? this.#feeds.size : null),
      delivered: (ticker) => this.#feeds.delivered(ticker),
      fedPosition: (ticker) => this.#feeds.get(ticker)?.delivered ?? 0,
      fedTickers: () => this.#feeds.fed(),
      note: (ticker, position) => this.note(ticker, position),
      replaced: (why) => this.#restartAll(why),
      warn,
    });
    this.#openings = new Openings({
      channels,
      feeds,
      check: this.#check,
      updates,
      watch: (ticker) => options.watch(ticker),
      accept: (ticker, update) => this.accept(ticker, update),
    });
    this.#heartbeats = new Heartbeats({ intervalMs: heartbeatIntervalMs, feeds, check: this.#check });
    this.#socketHeartbeats = new SocketHeartbeats({
      intervalMs: heartbeatIntervalMs,
      feeds,
      check: this.#check,
    });
    this.#delivery = new Delivery({
      channels,
      feeds,
      heartbeats: this.#heartbeats,
      socketHeartbeats: this.#socketHeartbeats,
      epoch: () => this.#check.epoch,
      onGap: () => options.onGap(),
      warn,
    });
    this.#notices = new FeedNotices({
      channels,
      stale: options.staleFeeds,
      epoch: () => this.#check.epoch,
    });
    this.#joining = new Joining({
      feeds,
      startingPoint: new StartingPoint(options),
      delivery: this.#delivery,
      heartbeats: this.#heartbeats,
      notices: this.#notices,
      updates,
    });
    this.#checks = setInterval(() => this.#checkPositions(), POSITION_CHECK_MS);
  }

  get size(): number {
    return this.#size;
  }

  /** Tickers watched by name, and one more if all are watched. */
  get channels(): number {
    return this.#channels.size;
  }

  isWatched(ticker: string): boolean {
    return this.#channels.has(ticker);
  }

  /** The database's epoch. @throws what its reader throws. */
  async epoch(): Promise<string> {
    return this.knownEpoch === "" ? await this.#check.currentEpoch() : this.knownEpoch;
  }

  /** The database's epoch as last read; empty before. */
  get knownEpoch(): string {
    return this.#check.epoch;
  }

  /** Sends nothing before `begin`. @param ticker or ALL_TICKERS. */
  open(subscriber: Subscriber, ticker: string, filter: TypeFilter): Subscription {
    let channel = this.#channels.get(ticker);
    if (channel === undefined) {
      channel = new Channel(ticker, this.#publish);
      this.#channels.set(ticker, channel);
    }
    const subscription = new Subscription(channel, subscriber, filter);
    channel.add(subscription);
    if (subscriber.form.beatsOnce && ticker !== ALL_TICKERS) this.#socketHeartbeats.add(subscriber);
    this.#subscribers.set(subscriber, (this.#subscribers.get(subscriber) ?? 0) + 1);
    this.#size++;
    return subscription;
  }

  /**
   * Asks the hub for the ticker's commits ahead of `begin`, so that many are asked for together.
   * Resolves when that has succeeded or failed.
   */
  async prepare({ channel, hasLeft }: Subscription): Promise<void> {
    if (hasLeft) return;
    this.#openIfNot(channel);
    await channel.opening?.catch(() => undefined);
  }

  /**
   * Sends the first frame, then every update after its position once and in order, and heartbeats.
   * Resolves when the subscriber is up to date. On an error the subscription has left.
   */
  async begin(subscription: Subscription, start: Start): Promise<void> {
    try {
      if (subscription.hasLeft) return;
      const { channel } = subscription;
      this.#openIfNot(channel);
      await channel.opening;
      if (subscription.hasLeft) return;
      const epoch = await this.#check.currentEpoch();
      if (subscription.hasLeft) return;
      await this.#joining.join(subscription, start, epoch);
    } catch (error) {
      this.leave(subscription);
      throw error;
    }
  }

  refilter(subscription: Subscription, filter: TypeFilter): void {
    subscription.channel.refilter(subscription, filter);
  }

  widen(subscription: Subscription, filter: TypeFilter): void {
    const before = subscription.filter;
    this.refilter(subscription, union(before, filter));
    const { state } = subscription;
    // One that joins is told when it has.
    if (state === "direct" || state === "listening") this.#notices.tellStale(subscription, before);
  }

  /** A feed has become stale, or isn't any more. */
  tellFeed(notice: FeedNotice): void {
    this.#notices.tell(notice);
  }

  /** Delivers a slow reader its updates one by one, until `listenIfUpToDate`. */
  deliverDirectly(subscription: Subscription): void {
    if (subscription.state === "listening") subscription.channel.deliverDirectly(subscription);
  }

  /** Has no effect while the subscriber is `slow`, or lacks updates. */
  listenIfUpToDate(subscription: Subscription): void {
    this.#delivery.listenIfUpToDate(subscription);
  }

  leave(subscription: Subscription): void {
    if (subscription.hasLeft) return;
    const { channel, subscriber, ticker } = subscription;
    channel.remove(subscription);
    this.#size--;
    const others = (this.#subscribers.get(subscriber) ?? 1) - 1;
    if (others > 0) this.#subscribers.set(subscriber, others);
    else {
      this.#subscribers.delete(subscriber);
      this.#socketHeartbeats.remove(subscriber);
    }
    if (channel.size > 0) return;
    this.#heartbeats.stop(channel);
    this.#channels.delete(ticker);
    if (this.#openings.close(channel)) this.#options.unwatch(ticker);
    this.#dropFeeds(ticker);
  }

  /** An update of a watched ticker; in any order, and any number of times. */
  accept(ticker: string, update: Update): void {
    const feed = this.#feeds.get(ticker);
    if (feed !== undefined) feed.accept(update);
    else if (this.#openings.isOpening(ticker)) this.#openings.keepEarly(ticker, update);
    else if (this.#channels.has(ALL_TICKERS)) this.#feeds.opened(ticker).accept(update);
  }

  /** An update of this position exists; its content hasn't come. */
  note(ticker: string, position: number): void {
    const feed = this.#feeds.get(ticker);
    if (feed !== undefined) feed.note(position);
    else if (this.#channels.has(ALL_TICKERS) && !this.#openings.has(ALL_TICKERS))
      this.#feeds.opened(ticker).note(position);
  }

  /** Updates of the ticker or of all may have been missed: asks the database. */
  async missed(ticker: string): Promise<void> {
    await this.#check.missed(ticker === ALL_TICKERS ? null : ticker);
  }

  /** The subscriber has everything up to this position, sent or waiting; null: nothing yet. */
  reached(subscription: Subscription, ticker: string): number | null {
    const reading = subscription.readTo(ticker);
    if (reading !== undefined) return reading;
    return Math.max(this.#feeds.delivered(ticker), subscription.ahead(ticker));
  }

  /** Everything up to this position of a watched ticker was delivered. */
  delivered(ticker: string): number {
    return this.#feeds.delivered(ticker);
  }

  /** Drops a check's ticker, which was removed; its sockets may still be closing. */
  forget(ticker: string): void {
    this.#heartbeats.forgetTicker(ticker);
    this.#feeds.forget(ticker, { isWatched: this.#channels.has(ticker) });
  }

  /** Call it when the sockets are about to close. */
  stop(): void {
    clearInterval(this.#checks);
    this.#heartbeats.stopAll();
    this.#socketHeartbeats.stop();
    this.#notices.stop();
    this.#feeds.close();
  }

  /** Opens it again when an earlier opening failed. */
  #openIfNot(channel: Channel): void {
    if (channel.state === "new" || channel.state === "failed") this.#openings.open(channel);
  }

  #restartAll(why: string): void {
    this.#options.warn(`${why}: every subscriber has to connect again`);
    for (const subscriber of [...this.#subscribers.keys()]) {
      // Leaves at once, not when the socket closes: the next client must not meet the old feeds.
      for (const subscription of [...subscriber.subscriptions]) this.leave(subscription);
      subscriber.restart();
    }
  }

  #checkPositions(): void {
    if (this.#channels.has(ALL_TICKERS)) this.#feeds.forgetIdle((ticker) => this.#channels.has(ticker));
    void this.#check.run();
  }

  *#named(): Iterable<string> {
    for (const ticker of this.#channels.keys()) if (ticker !== ALL_TICKERS) yield ticker;
  }

  #feedOptions(): FeedOptions {
    return {
      read: (ticker, after) => this.#options.updates.after(ticker, after, READ_LIMIT),
      deliver: (ticker, update) => this.#delivery.deliver(ticker, update),
      gap: (ticker, from, to) => this.#delivery.tellGap(ticker, from, to),
      readSnapshot: (ticker) => this.#options.updates.snapshot(ticker),
      tellSnapshot: (ticker, snapshot) => this.#delivery.tellSnapshot(ticker, snapshot),
      warn: (ticker, message) =>
        this.#options.warn(`Updates of ${ticker} are missing and can't be read: ${message}`),
    };
  }

  #dropFeeds(ticker: string): void {
    if (this.#feeds.isForgotten(ticker)) this.#feeds.drop(ticker);
    if (this.#channels.has(ALL_TICKERS)) return;
    const isWatched = (of: string): boolean => this.#channels.has(of);
    if (ticker === ALL_TICKERS) this.#feeds.dropAll(isWatched);
    else this.#feeds.drop(ticker);
    this.#feeds.forgetWithoutFeed();
    this.#heartbeats.forgetMoved();
  }
}
