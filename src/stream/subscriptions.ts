/**
 * Who of this worker watches what: from the first frame of a subscription over what it missed to
 * the live updates, and heartbeats.
 *
 * Knows neither sockets nor storage: a `Subscriber` takes text, `publish` reaches all listeners of
 * a topic at once.
 */
import type { Update, UpdateReader } from "../storage/update-contract.ts";
import { READ_LIMIT } from "./catch-up.ts";
import { Channel } from "./channel.ts";
import { Delivery } from "./delivery.ts";
import { Heartbeats } from "./heartbeats.ts";
import { Joining } from "./joining.ts";
import { Openings } from "./openings.ts";
import { PositionCheck } from "./position-check.ts";
import { type Start, StartingPoint } from "./starting-point.ts";
import { ALL_TICKERS, type Subscriber } from "./subscriber.ts";
import { Subscription } from "./subscription.ts";
import type { FeedOptions } from "./ticker-feed.ts";
import { TickerFeeds } from "./ticker-feeds.ts";
import { type TypeFilter, union } from "./type-filter.ts";

/** How often a worker compares the positions that it delivered with those in the database. */
const POSITION_CHECK_MS = 1_000;

export interface SubscriptionsOptions {
  heartbeatIntervalMs: number;
  /** To every listener of the topic. */
  publish(topic: string, text: string): void;
  /** Resolves when every later commit to the ticker, or to ALL_TICKERS, comes here. */
  watch(ticker: string): Promise<void>;
  unwatch(ticker: string): void;
  /** See StartingPointOptions. */
  latestPrice(ticker: string): number | null | Promise<number | null>;
  updates: UpdateReader;
  warn(message: string): void;
}

export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #channels = new Map<string, Channel>();
  /** With the number of their subscriptions. */
  readonly #subscribers = new Map<Subscriber, number>();
  readonly #feeds = new TickerFeeds(this.#feedOptions());
  readonly #check: PositionCheck;
  readonly #openings: Openings;
  readonly #heartbeats: Heartbeats;
  readonly #delivery: Delivery;
  readonly #joining: Joining;
  readonly #checks: Timer;
  readonly #publish: (topic: string, text: string) => void;
  #size = 0;

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
    const { updates, heartbeatIntervalMs } = options;
    const channels = this.#channels;
    const feeds = this.#feeds;
    const warn = (message: string): void => options.warn(message);
    this.#publish = (topic, text) => options.publish(topic, text);
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
    this.#delivery = new Delivery({ channels, feeds, heartbeats: this.#heartbeats, warn });
    this.#joining = new Joining({
      feeds,
      startingPoint: new StartingPoint(options),
      delivery: this.#delivery,
      heartbeats: this.#heartbeats,
      updates,
    });
    this.#checks = setInterval(() => this.#checkPositions(), POSITION_CHECK_MS);
  }

  get size(): number {
    return this.#size;
  }

  /** Tickers that are watched by name, and one more where all are. */
  get channels(): number {
    return this.#channels.size;
  }

  isWatched(ticker: string): boolean {
    return this.#channels.has(ticker);
  }

  /** Of the database; throws what its reader throws. */
  async epoch(): Promise<string> {
    return this.knownEpoch === "" ? await this.#check.currentEpoch() : this.knownEpoch;
  }

  /** As last read; empty before. */
  get knownEpoch(): string {
    return this.#check.epoch;
  }

  /** @param ticker or ALL_TICKERS. Nothing comes of it before `begin`. */
  open(subscriber: Subscriber, ticker: string, filter: TypeFilter): Subscription {
    let channel = this.#channels.get(ticker);
    if (channel === undefined) {
      channel = new Channel(ticker, this.#publish);
      this.#channels.set(ticker, channel);
    }
    const subscription = new Subscription(channel, subscriber, filter);
    channel.add(subscription);
    this.#subscribers.set(subscriber, (this.#subscribers.get(subscriber) ?? 0) + 1);
    this.#size++;
    return subscription;
  }

  /**
   * Has commits to its ticker come here, which `begin` waits for. Ahead of that, so that many are
   * asked for together.
   *
   * @returns settles, and never rejects, when they come here, or don't.
   */
  async prepare({ channel, hasLeft }: Subscription): Promise<void> {
    if (hasLeft) return;
    this.#openIfNot(channel);
    await channel.opening?.catch(() => undefined);
  }

  /**
   * Sends the first frame that the start asks for, then every update after its position once and in
   * order, and heartbeats. Resolves when it is up to date. The subscription has left when this
   * throws.
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

  /** Takes effect at once for updates that are delivered from now on. */
  refilter(subscription: Subscription, filter: TypeFilter): void {
    subscription.channel.refilter(subscription, filter);
  }

  widen(subscription: Subscription, filter: TypeFilter): void {
    this.refilter(subscription, union(subscription.filter, filter));
  }

  /**
   * The subscriber reads slowly: its updates are handed to it one by one until it is `slow` no more
   * and `takeBack` is called.
   */
  handOver(subscription: Subscription): void {
    if (subscription.state === "listening") subscription.channel.hand(subscription);
  }

  takeBack(subscription: Subscription): void {
    this.#delivery.listenIfEven(subscription);
  }

  leave(subscription: Subscription): void {
    if (subscription.hasLeft) return;
    const { channel, subscriber, ticker } = subscription;
    channel.remove(subscription);
    this.#size--;
    const others = (this.#subscribers.get(subscriber) ?? 1) - 1;
    if (others > 0) this.#subscribers.set(subscriber, others);
    else this.#subscribers.delete(subscriber);
    if (channel.size > 0) return;
    this.#heartbeats.stop(channel);
    this.#channels.delete(ticker);
    if (this.#openings.close(channel)) this.#options.unwatch(ticker);
    this.#dropFeeds(ticker);
  }

  /** An update of a ticker that is watched; in any order, and any number of times. */
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

  /** Updates may have been missed, of the ticker or of all: the database knows. */
  async missed(ticker: string): Promise<void> {
    await this.#check.missed(ticker === ALL_TICKERS ? null : ticker);
  }

  /**
   * The position up to which the subscriber was sent everything, or has it waiting; null: nothing
   * was told of the ticker yet.
   */
  reached(subscription: Subscription, ticker: string): number | null {
    const reading = subscription.behind(ticker);
    if (reading !== undefined) return reading;
    return Math.max(this.#feeds.delivered(ticker), subscription.ahead(ticker));
  }

  /** The position that everything up to was delivered, of a ticker that is watched. */
  delivered(ticker: string): number {
    return this.#feeds.delivered(ticker);
  }

  /** It has no position any more: it was a check's, whose sockets may be about to close. */
  forget(ticker: string): void {
    this.#heartbeats.forgetTicker(ticker);
    this.#feeds.forget(ticker, { isWatched: this.#channels.has(ticker) });
  }

  /** No more heartbeats; the sockets are being closed. */
  stop(): void {
    clearInterval(this.#checks);
    this.#heartbeats.stopAll();
    this.#feeds.close();
  }

  /** Who came before may have met a database that was away. */
  #openIfNot(channel: Channel): void {
    if (channel.state === "new" || channel.state === "failed") this.#openings.open(channel);
  }

  #restartAll(why: string): void {
    this.#options.warn(`${why}: every subscriber has to connect again`);
    for (const subscriber of [...this.#subscribers.keys()]) {
      // At once, not when its socket has closed: whoever comes next must not meet what was.
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

  /** One for all feeds. */
  #feedOptions(): FeedOptions {
    return {
      read: (ticker, after) => this.#options.updates.after(ticker, after, READ_LIMIT),
      deliver: (ticker, update) => this.#delivery.deliver(ticker, update),
      gap: (ticker, from, to) => this.#delivery.tellGap(ticker, from, to),
      readSnapshot: (ticker) => this.#options.updates.snapshot(ticker),
      tellSnapshot: (ticker, snapshot) => this.#delivery.tellSnapshot(ticker, snapshot, this.#check.epoch),
      warn: (ticker, message) =>
        this.#options.warn(`Updates of ${ticker} are missing and can't be read: ${message}`),
    };
  }

  /** Of a channel that was closed. */
  #dropFeeds(ticker: string): void {
    if (this.#feeds.isForgotten(ticker)) this.#feeds.drop(ticker);
    if (this.#channels.has(ALL_TICKERS)) return;
    const isWatched = (of: string): boolean => this.#channels.has(of);
    if (ticker === ALL_TICKERS) this.#feeds.dropAll(isWatched);
    else this.#feeds.drop(ticker);
    this.#feeds.forgetOthers();
    this.#heartbeats.forgetMoved();
  }
}
