/**
 * Who of this worker watches what: from the first frame of a subscription over what it missed to the live updates, and heartbeats.
 *
 * Knows neither sockets nor storage: a `Subscriber` takes text, `publish` reaches all listeners of a topic at once.
 */
import { gapFrame, positioned } from "../protocol/frames.ts";
import type { Update, UpdateReader } from "../storage/update-contract.ts";
import { catchUp, READ_LIMIT } from "./catch-up.ts";
import { Channel } from "./channel.ts";
import { Heartbeats } from "./heartbeats.ts";
import { PositionCheck } from "./position-check.ts";
import { concerns, type Start, StartingPoint } from "./starting-point.ts";
import { ALL_TICKERS, hasLeft, isAhead, type Subscriber, type Subscription } from "./subscriber.ts";
import { TickerFeed } from "./ticker-feed.ts";
import { TickerFeeds } from "./ticker-feeds.ts";
import { matches, type TypeFilter, union } from "./type-filter.ts";

/** How often a worker compares the positions that it delivered with those in the database. */
const POSITION_CHECK_MS = 1_000;

export interface SubscriptionsOptions {
  heartbeatIntervalMs: number;
  /** To every listener of the topic. */
  publish(topic: string, text: string): void;
  /** Resolves when every later commit to the ticker, or to ALL_TICKERS, comes here. */
  watch(ticker: string): Promise<void>;
  unwatch(ticker: string): void;
  latestPrice(ticker: string): number | null | Promise<number | null>;
  updates: UpdateReader;
  warn(message: string): void;
}

export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #channels = new Map<string, Channel>();
  readonly #feeds = new TickerFeeds((ticker, delivered) => this.#makeFeed(ticker, delivered));
  /** Tickers that are just being opened, and the newest update that came of each meanwhile: those before it are in the log. */
  readonly #opening = new Set<string>();
  readonly #early = new Map<string, Update>();
  readonly #start: StartingPoint;
  readonly #heartbeats: Heartbeats;
  readonly #check: PositionCheck;
  readonly #checks: Timer;

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
    this.#start = new StartingPoint(options);
    this.#check = new PositionCheck({
      updates: options.updates,
      named: () => [...this.#channels.keys()].filter((ticker) => ticker !== ALL_TICKERS),
      all: () => (this.#channels.has(ALL_TICKERS) ? this.#feeds.size : null),
      delivered: (ticker) => this.#feeds.delivered(ticker),
      fedPositions: () => this.#feeds.fedPositions(),
      note: (ticker, position) => this.note(ticker, position),
      replaced: (why) => this.#restartAll(why),
      warn: (message) => options.warn(message),
    });
    this.#heartbeats = new Heartbeats({
      intervalMs: options.heartbeatIntervalMs,
      feeds: this.#feeds,
      check: this.#check,
    });
    this.#checks = setInterval(() => this.#checkPositions(), POSITION_CHECK_MS);
  }

  get size(): number {
    let count = 0;
    for (const channel of this.#channels.values()) count += channel.subscriptions.size;
    return count;
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
    const subscription: Subscription = {
      ticker,
      subscriber,
      filter,
      state: "joining",
      ahead: new Map(),
      behind: new Map(ticker === ALL_TICKERS ? [] : [[ticker, null]]),
      moved: new Set(),
    };
    this.#channelOf(ticker).subscriptions.add(subscription);
    return subscription;
  }

  /**
   * Sends the first frame that the start asks for, then every update after its position once and in order, and heartbeats.
   * Resolves when it is up to date. The subscription has left when this throws.
   */
  async begin(subscription: Subscription, start: Start): Promise<void> {
    const { ticker, subscriber } = subscription;
    try {
      const channel = this.#channels.get(ticker);
      if (channel === undefined) return;
      // Who came before may have met a database that was away.
      if (channel.failed) this.#reopen(channel);
      await channel.ready;
      if (hasLeft(subscription)) return;
      const epoch = await this.#check.currentEpoch();
      if (hasLeft(subscription)) return;
      if (ticker === ALL_TICKERS) await this.#beginAll(subscription, start, epoch);
      else {
        const delivered = Math.max(this.#feeds.delivered(ticker), channel.openedAt);
        const { frame, position } = await this.#start.of(ticker, delivered, start, epoch);
        if (hasLeft(subscription)) return;
        if (frame !== null) subscriber.send(frame);
        await this.#catchUp(subscription, ticker, position);
      }
    } catch (error) {
      this.leave(subscription);
      throw error;
    }
  }

  /** Takes effect at once for updates that are delivered from now on. */
  refilter(subscription: Subscription, filter: TypeFilter): void {
    const listensTo =
      subscription.state === "listening" ? this.#channels.get(subscription.ticker) : undefined;
    listensTo?.unlisten(subscription);
    subscription.filter = filter;
    listensTo?.listen(subscription);
  }

  widen(subscription: Subscription, filter: TypeFilter): void {
    this.refilter(subscription, union(subscription.filter, filter));
  }

  /** The subscriber reads slowly: its updates are handed to it one by one until it is `slow` no more and `takeBack` is called. */
  handOver(subscription: Subscription): void {
    if (subscription.state !== "listening") return;
    const channel = this.#channels.get(subscription.ticker)!;
    channel.unlisten(subscription);
    channel.hand(subscription);
  }

  takeBack(subscription: Subscription): void {
    if (subscription.state === "handed") this.#listenIfEven(subscription);
  }

  leave(subscription: Subscription): void {
    const { ticker, state } = subscription;
    if (state === "left") return;
    const channel = this.#channels.get(ticker);
    if (state === "listening") channel?.unlisten(subscription);
    subscription.state = "left";
    if (channel === undefined) return;
    channel.handed.delete(subscription);
    channel.subscriptions.delete(subscription);
    if (channel.subscriptions.size > 0) return;
    channel.beat?.stop();
    this.#channels.delete(ticker);
    this.#options.unwatch(ticker);
    this.#dropFeeds(ticker);
  }

  /** An update of a ticker that is watched; in any order, and any number of times. */
  accept(ticker: string, update: Update): void {
    const feed = this.#feeds.get(ticker);
    if (feed !== undefined) feed.accept(update);
    else if (this.#isOpening(ticker)) this.#keepEarly(ticker, update);
    else if (this.#channels.has(ALL_TICKERS)) this.#feeds.opened(ticker).accept(update);
  }

  /** An update of this position exists; its content hasn't come. */
  note(ticker: string, position: number): void {
    const feed = this.#feeds.get(ticker);
    if (feed !== undefined) feed.note(position);
    else if (this.#channels.has(ALL_TICKERS) && !this.#opening.has(ALL_TICKERS))
      this.#feeds.opened(ticker).note(position);
  }

  /** Updates may have been missed, of the ticker or of all: the database knows. */
  async missed(ticker: string): Promise<void> {
    await this.#check.missed(ticker === ALL_TICKERS ? null : ticker);
  }

  /** The position up to which the subscriber was sent everything, or has it waiting; null: nothing was told of the ticker yet. */
  reached(subscription: Subscription, ticker: string): number | null {
    const reading = subscription.behind.get(ticker);
    if (reading !== undefined) return reading;
    return Math.max(this.#feeds.delivered(ticker), subscription.ahead.get(ticker) ?? 0);
  }

  /** The position that everything up to was delivered, of a ticker that is watched. */
  delivered(ticker: string): number {
    return this.#feeds.delivered(ticker);
  }

  /** No more heartbeats; the sockets are being closed. */
  stop(): void {
    clearInterval(this.#checks);
    for (const channel of this.#channels.values()) channel.beat?.stop();
    this.#feeds.close();
  }

  #restartAll(why: string): void {
    this.#options.warn(`${why}: every subscriber has to connect again`);
    for (const { subscriptions } of [...this.#channels.values()]) {
      for (const subscription of [...subscriptions]) {
        // At once, not when its socket has closed: whoever comes next must not meet what was.
        this.leave(subscription);
        subscription.subscriber.restart();
      }
    }
  }

  #checkPositions(): void {
    if (this.#channels.has(ALL_TICKERS)) this.#feeds.forgetIdle((ticker) => this.#channels.has(ticker));
    void this.#check.run();
  }

  #channelOf(ticker: string): Channel {
    let channel = this.#channels.get(ticker);
    if (channel === undefined) {
      channel = new Channel(ticker, (topic, text) => this.#options.publish(topic, text));
      this.#channels.set(ticker, channel);
      this.#reopen(channel);
    }
    return channel;
  }

  #reopen(channel: Channel): void {
    channel.failed = false;
    channel.ready = this.#open(channel.ticker, channel);
    // Whoever waits for it sees the failure; nobody may wait any more.
    channel.ready.catch(() => {
      channel.failed = true;
    });
  }

  /** First the updates, then the position: so none is in neither. */
  async #open(ticker: string, channel: Channel): Promise<void> {
    const isCurrent = (): boolean => this.#channels.get(ticker) === channel;
    this.#opening.add(ticker);
    try {
      await this.#options.watch(ticker);
      const read = this.#options.updates.positions(ticker === ALL_TICKERS ? null : [ticker]);
      const positions = read instanceof Promise ? await read : read;
      if (!isCurrent()) return;
      this.#check.confirmed();
      if (ticker === ALL_TICKERS) this.#feeds.setOthers(positions);
      else {
        channel.openedAt = positions.get(ticker) ?? 0;
        // Those who watch all have heard of the ticker up to where it was for them, and must hear of what is between.
        const allHeard = this.#channels.get(ALL_TICKERS)?.isReady === true;
        const delivered = allHeard ? this.#feeds.delivered(ticker) : channel.openedAt;
        this.#feeds.opened(ticker, delivered).note(channel.openedAt);
      }
      channel.isReady = true;
    } finally {
      if (isCurrent() || !this.#channels.has(ticker)) this.#opening.delete(ticker);
      this.#acceptEarly();
    }
  }

  #isOpening(ticker: string): boolean {
    return this.#opening.has(ticker) || this.#opening.has(ALL_TICKERS);
  }

  #keepEarly(ticker: string, update: Update): void {
    if (update.seq > (this.#early.get(ticker)?.seq ?? 0)) this.#early.set(ticker, update);
  }

  #acceptEarly(): void {
    for (const [ticker, update] of [...this.#early]) {
      if (this.#isOpening(ticker)) continue;
      this.#early.delete(ticker);
      this.accept(ticker, update);
    }
  }

  #makeFeed(ticker: string, delivered: number): TickerFeed {
    return new TickerFeed(delivered, {
      read: (after) => this.#options.updates.after(ticker, after, READ_LIMIT),
      deliver: (update) => this.#deliver(ticker, update),
      gap: (from, to) => this.#tellGap(ticker, from, to),
      warn: (message) => this.#options.warn(`Updates of ${ticker} are missing and can't be read: ${message}`),
    });
  }

  /** Of a channel that was closed. */
  #dropFeeds(ticker: string): void {
    if (this.#channels.has(ALL_TICKERS)) return;
    const isWatched = (of: string): boolean => this.#channels.has(of);
    if (ticker === ALL_TICKERS) this.#feeds.dropAll(isWatched);
    else this.#feeds.drop(ticker);
    this.#feeds.forgetOthers();
    this.#heartbeats.forgetMoved();
  }

  #deliver(ticker: string, update: Update): void {
    const text = positioned(update.frame, update.seq);
    for (const channel of this.#channelsFor(ticker)) {
      channel.publishUpdate(update.type, text);
      for (const subscription of channel.handed) {
        if (channel.ticker === ALL_TICKERS) subscription.moved.add(ticker);
        this.#handOne(subscription, ticker, update, text);
      }
    }
    if (this.#channels.has(ALL_TICKERS)) this.#heartbeats.moved(ticker, update.seq);
  }

  *#channelsFor(ticker: string): Iterable<Channel> {
    const own = this.#channels.get(ticker);
    const all = this.#channels.get(ALL_TICKERS);
    if (own !== undefined) yield own;
    if (all !== undefined) yield all;
  }

  #handOne(subscription: Subscription, ticker: string, update: Update, text: string): void {
    if (subscription.behind.has(ticker)) return;
    if (!isAhead(subscription, ticker, update.seq) && matches(subscription.filter, update.type))
      subscription.subscriber.deliver(ticker, update, text);
    this.#listenIfEven(subscription);
  }

  #tellGap(ticker: string, from: number, to: number): void {
    const text = gapFrame(ticker, from, to, "not_kept");
    for (const channel of this.#channelsFor(ticker)) {
      channel.publish(text);
      for (const subscription of channel.handed) {
        if (channel.ticker === ALL_TICKERS) subscription.moved.add(ticker);
        if (subscription.behind.has(ticker)) continue;
        if (!isAhead(subscription, ticker, to)) subscription.subscriber.deliverGap(ticker, from, to, text);
        this.#listenIfEven(subscription);
      }
    }
    if (this.#channels.has(ALL_TICKERS)) this.#heartbeats.moved(ticker, to);
    this.#options.warn(
      `Updates ${from} to ${to} of ${ticker} are not kept: subscribers were told of the gap`,
    );
  }

  /** From the position on it is sent what it missed; then updates come by themselves. */
  async #catchUp(subscription: Subscription, ticker: string, from: number): Promise<void> {
    const { updates } = this.#options;
    await catchUp(subscription, { ticker, feed: this.#feeds.opened(ticker), from, updates }, (position) =>
      this.#join(subscription, ticker, position),
    );
  }

  /** It has everything of the ticker up to the position. */
  #join(subscription: Subscription, ticker: string, position: number): void {
    if (position > this.#feeds.delivered(ticker)) {
      subscription.ahead.set(ticker, position);
      this.#feeds.get(ticker)?.note(position);
    }
    subscription.behind.delete(ticker);
    if (subscription.ticker === ALL_TICKERS) {
      subscription.moved.add(ticker);
      this.#listenIfEven(subscription);
    } else {
      const channel = this.#channels.get(ticker)!;
      channel.hand(subscription);
      this.#listenIfEven(subscription);
      // At once to each: then it knows that it is subscribed, also where there is no price.
      this.#heartbeats.tell(subscription, position);
      this.#heartbeats.start(channel);
    }
  }

  /** The topic is for those who have exactly what the feed has delivered. */
  #listenIfEven(subscription: Subscription): void {
    if (subscription.state !== "handed" || subscription.subscriber.slow || subscription.behind.size > 0)
      return;
    for (const [ticker, position] of subscription.ahead) {
      if (position > this.#feeds.delivered(ticker)) return;
      subscription.ahead.delete(ticker);
    }
    this.#channels.get(subscription.ticker)!.listen(subscription);
    // Heartbeats tell only what moves: what moved while it was not there it hears now.
    if (subscription.moved.size > 0) this.#heartbeats.tellMoved(subscription);
  }

  /** Hears of everything from the first moment on, but of tickers that it has missed something of only when that is read. */
  async #beginAll(subscription: Subscription, start: Start, epoch: string): Promise<void> {
    const channel = this.#channels.get(ALL_TICKERS)!;
    await this.#tellStrangers(subscription, start, epoch);
    if (hasLeft(subscription)) return;
    const newest = this.#feeds.positions();
    for (const [ticker, position] of newest)
      if (concerns(start, ticker, position, epoch)) subscription.behind.set(ticker, null);
    channel.hand(subscription);
    this.#heartbeats.tellAll(subscription);
    this.#listenIfEven(subscription);
    this.#heartbeats.start(channel);
    for (const ticker of [...subscription.behind.keys()]) {
      // Where reads take no turn of the event loop, thousands of them would leave none to the others.
      await new Promise(setImmediate);
      if (hasLeft(subscription)) return;
      const delivered = this.#feeds.delivered(ticker);
      const { frame, position, nothing } = await this.#start.of(ticker, delivered, start, epoch);
      if (hasLeft(subscription)) return;
      if (frame !== null && !nothing) subscription.subscriber.send(frame);
      await this.#catchUp(subscription, ticker, position);
    }
  }

  /** Of tickers that the client knows a position of, and the database none. They get no feed: names cost nothing to invent. */
  async #tellStrangers(subscription: Subscription, start: Start, epoch: string): Promise<void> {
    if (start.kind !== "since" || !(start.since instanceof Map)) return;
    for (const ticker of start.since.keys()) {
      if (this.#feeds.knows(ticker) || !concerns(start, ticker, 0, epoch)) continue;
      await new Promise(setImmediate);
      const { frame } = await this.#start.of(ticker, 0, start, epoch);
      if (hasLeft(subscription)) return;
      if (frame !== null) subscription.subscriber.send(frame);
    }
  }
}
