/**
 * Who of this worker watches what: from the first frame of a subscription over what it missed to the live updates, and heartbeats.
 *
 * Knows neither sockets nor storage: a `Subscriber` takes text, `publish` reaches all listeners of a topic at once.
 */
import {
  allHeartbeatFrame,
  type GapReason,
  gapFrame,
  heartbeatFrame,
  positioned,
} from "../protocol/frames.ts";
import type { StoredUpdate, Update, UpdateLimit, UpdateReader } from "../storage/update-contract.ts";
import { Beat } from "./beat.ts";
import { concerns, type Start, StartingPoint } from "./starting-point.ts";
import { TickerFeed } from "./ticker-feed.ts";
import { matches, type TypeFilter, union } from "./type-filter.ts";

/** Instead of a ticker: all of them. No ticker is empty. */
export const ALL_TICKERS = "";

/** How often a worker compares the positions that it delivered with those in the database. */
const POSITION_CHECK_MS = 1_000;
/** A heartbeat says so when the database has not confirmed the positions for this long. */
const UNVERIFIED_MS = 5_000;
/** Tickers compared at once: the next ones come at the next check. */
const CHECK_TICKERS_MAX = 1_000;
/** Feeds of tickers that nobody watches but with all others. */
const IDLE_FEEDS_MAX = 1_000;
/** One read of the update log. */
const READ_LIMIT: UpdateLimit = { updates: 500, characters: 256 * 1024 };

export interface Subscriber {
  readonly open: boolean;
  /** True while updates have to be handed to it one by one: see `handOver`. */
  readonly slow: boolean;
  /** A frame that is no update. */
  send(text: string): void;
  /** An update in its turn; it may be held back, folded or dropped as the client chose. */
  deliver(ticker: string, update: Update, text: string): void;
  /** Positions whose content can't be known, in their turn; never dropped. */
  deliverGap(ticker: string, from: number, to: number, text: string): void;
  /** An update that was asked for, read from the log: it is never folded or dropped. */
  recover(text: string): void;
  /** Resolves when there is room for more of them; also when it is closed. */
  room(): Promise<void>;
  /** From here on `publish` of the topic reaches it. */
  listen(topic: string): void;
  unlisten(topic: string): void;
  /** It can't be told what it missed: it has to connect again. */
  restart(): void;
}

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

/** One subscriber's interest in one ticker, or in all. */
export interface Subscription {
  readonly ticker: string;
  readonly subscriber: Subscriber;
  filter: TypeFilter;
  /** Joining: reads what it missed. Handed: gets updates one by one. Listening: through the topic. Left. */
  state: "joining" | "handed" | "listening" | "left";
  /** Positions that it has beyond those of the feed, by ticker: from a snapshot or the log. */
  readonly ahead: Map<string, number>;
  /** Tickers that it is still reading from the log, and how far it has come; null: it has been told nothing yet. */
  readonly behind: Map<string, number | null>;
}

interface Topic {
  filter: TypeFilter;
  name: string;
  listeners: number;
}

/** A ticker, or all of them. */
interface Channel {
  ticker: string;
  subscriptions: Set<Subscription>;
  handed: Set<Subscription>;
  topics: Map<string, Topic>;
  beat: Beat | null;
  /** Of a ticker: its position when it was opened. Its feed may still be before that, for those who watch all. */
  openedAt: number;
  isReady: boolean;
  /** Settles when commits come here and the positions are known. */
  ready: Promise<void>;
}

export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #channels = new Map<string, Channel>();
  readonly #feeds = new Map<string, TickerFeed>();
  /** Tickers that are just being opened, and the newest update that came of each meanwhile: those before it are in the log. */
  readonly #opening = new Set<string>();
  readonly #early = new Map<string, Update>();
  /** While all tickers are watched: positions of those without a feed. */
  #others = new Map<string, number>();
  /** While all tickers are watched: those that moved since the last heartbeat. */
  readonly #moved = new Map<string, number>();
  readonly #start: StartingPoint;
  #epoch = "";
  /** When the database last said that this is the epoch. */
  #verifiedMs = 0;
  readonly #check: Timer;
  #checking = false;
  #checkFrom = 0;

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
    this.#start = new StartingPoint(options);
    this.#check = setInterval(() => void this.#checkPositions(), POSITION_CHECK_MS);
  }

  get size(): number {
    let count = 0;
    for (const channel of this.#channels.values()) count += channel.subscriptions.size;
    return count;
  }

  /** Of the database; throws what its reader throws. */
  async epoch(): Promise<string> {
    return this.#epoch === "" ? await this.#currentEpoch() : this.#epoch;
  }

  /** Asked anew: it changes under a server whose database is set back or exchanged. Then all that was told before is void. */
  async #currentEpoch(): Promise<string> {
    const epoch = await this.#options.updates.epoch();
    const before = this.#epoch;
    this.#epoch = epoch;
    if (before !== "" && epoch !== before) this.#restartAll("The database is another one");
    return epoch;
  }

  /** As last read; empty before. */
  get knownEpoch(): string {
    return this.#epoch;
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
      await channel?.ready;
      const epoch = await this.#currentEpoch();
      this.#verifiedMs = performance.now();
      if (channel === undefined || hasLeft(subscription)) return;
      if (ticker === ALL_TICKERS) await this.#beginAll(subscription, start, epoch);
      else {
        const feed = this.#feeds.get(ticker)!;
        const delivered = Math.max(feed.delivered, channel.openedAt);
        const { frame, position } = await this.#start.of(ticker, delivered, start, epoch);
        if (hasLeft(subscription)) return;
        if (frame !== null) subscriber.send(frame);
        await this.#catchUp(subscription, feed, ticker, position);
      }
    } catch (error) {
      this.leave(subscription);
      throw error;
    }
  }

  /** Takes effect at once for updates that are delivered from now on. */
  refilter(subscription: Subscription, filter: TypeFilter): void {
    const listening = subscription.state === "listening";
    if (listening) this.#unlisten(subscription);
    subscription.filter = filter;
    if (listening) this.#listen(subscription);
  }

  widen(subscription: Subscription, filter: TypeFilter): void {
    this.refilter(subscription, union(subscription.filter, filter));
  }

  /** The subscriber reads slowly: its updates are handed to it one by one until it is `slow` no more and `takeBack` is called. */
  handOver(subscription: Subscription): void {
    if (subscription.state !== "listening") return;
    this.#unlisten(subscription);
    this.#hand(subscription);
  }

  takeBack(subscription: Subscription): void {
    if (subscription.state === "handed") this.#listenIfEven(subscription);
  }

  leave(subscription: Subscription): void {
    const { ticker, state } = subscription;
    if (state === "left") return;
    if (state === "listening") this.#unlisten(subscription);
    subscription.state = "left";
    const channel = this.#channels.get(ticker);
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
    else if (this.#opening.has(ticker) || this.#opening.has(ALL_TICKERS)) this.#early.set(ticker, update);
    else if (this.#channels.has(ALL_TICKERS)) this.#openFeed(ticker).accept(update);
  }

  /** An update of this position exists; its content hasn't come. */
  note(ticker: string, position: number): void {
    const feed = this.#feeds.get(ticker);
    if (feed !== undefined) feed.note(position);
    else if (this.#channels.has(ALL_TICKERS) && !this.#opening.has(ALL_TICKERS))
      this.#openFeed(ticker).note(position);
  }

  /** Updates may have been missed, of the ticker or of all: the database knows. */
  async missed(ticker: string): Promise<void> {
    if (this.#epoch === "") return; // nobody has been told anything yet
    try {
      await this.#compare(ticker === ALL_TICKERS ? this.#watched() : [ticker]);
    } catch (error) {
      // The check that comes anyway will do it.
      this.#options.warn(`Updates may have been missed, and the database doesn't say: ${wordsOf(error)}`);
    }
  }

  /** The position up to which the subscriber was sent everything, or has it waiting; null: nothing was told of the ticker yet. */
  reached(subscription: Subscription, ticker: string): number | null {
    const reading = subscription.behind.get(ticker);
    if (reading !== undefined) return reading;
    return Math.max(this.delivered(ticker), subscription.ahead.get(ticker) ?? 0);
  }

  /** The position that everything up to was delivered, of a ticker that is watched. */
  delivered(ticker: string): number {
    return this.#feeds.get(ticker)?.delivered ?? this.#others.get(ticker) ?? 0;
  }

  /** No more heartbeats; the sockets are being closed. */
  stop(): void {
    clearInterval(this.#check);
    for (const channel of this.#channels.values()) channel.beat?.stop();
    for (const feed of this.#feeds.values()) feed.close();
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

  #channelOf(ticker: string): Channel {
    let channel = this.#channels.get(ticker);
    if (channel === undefined) {
      channel = {
        ticker,
        subscriptions: new Set(),
        handed: new Set(),
        topics: new Map(),
        beat: null,
        openedAt: 0,
        isReady: false,
        ready: Promise.resolve(),
      };
      this.#channels.set(ticker, channel);
      channel.ready = this.#open(ticker, channel);
      // Whoever waits for it sees the failure; nobody may wait any more.
      channel.ready.catch(() => null);
    }
    return channel;
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
      if (ticker === ALL_TICKERS) {
        for (const known of this.#feeds.keys()) positions.delete(known);
        this.#others = positions;
      } else {
        channel.openedAt = positions.get(ticker) ?? 0;
        // Those who watch all have heard of the ticker up to where it was for them, and must hear of what is between.
        const allHeard = this.#channels.get(ALL_TICKERS)?.isReady === true;
        const feed =
          this.#feeds.get(ticker) ??
          this.#openFeed(ticker, allHeard ? (this.#others.get(ticker) ?? 0) : channel.openedAt);
        feed.note(channel.openedAt);
      }
      channel.isReady = true;
    } finally {
      if (isCurrent() || !this.#channels.has(ticker)) this.#opening.delete(ticker);
      this.#acceptEarly();
    }
  }

  #acceptEarly(): void {
    for (const [ticker, update] of [...this.#early]) {
      if (this.#opening.has(ticker) || this.#opening.has(ALL_TICKERS)) continue;
      this.#early.delete(ticker);
      this.accept(ticker, update);
    }
  }

  #openFeed(ticker: string, delivered = this.#others.get(ticker) ?? 0): TickerFeed {
    this.#others.delete(ticker);
    const feed = new TickerFeed(delivered, {
      read: (after) => this.#options.updates.after(ticker, after, READ_LIMIT),
      deliver: (update) => this.#deliver(ticker, update),
      gap: (from, to) => this.#tellGap(ticker, from, to, "not_kept"),
      warn: (message) => this.#options.warn(`Updates of ${ticker} are missing and can't be read: ${message}`),
    });
    this.#feeds.set(ticker, feed);
    return feed;
  }

  #dropFeeds(ticker: string): void {
    const allWatched = this.#channels.has(ALL_TICKERS);
    for (const of of ticker === ALL_TICKERS ? [...this.#feeds.keys()] : [ticker]) {
      const feed = this.#feeds.get(of);
      if (feed === undefined || this.#channels.has(of) || allWatched) continue;
      feed.close();
      this.#feeds.delete(of);
    }
    if (allWatched) return;
    this.#others = new Map();
    this.#moved.clear();
  }

  #deliver(ticker: string, update: Update): void {
    const text = positioned(update.frame, update.seq);
    for (const channel of this.#channelsFor(ticker)) {
      for (const { filter, name } of channel.topics.values())
        if (matches(filter, update.type)) this.#options.publish(name, text);
      for (const subscription of channel.handed) this.#handOne(subscription, ticker, update, text);
    }
    if (this.#channels.has(ALL_TICKERS)) this.#moved.set(ticker, update.seq);
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

  #tellGap(ticker: string, from: number, to: number, reason: GapReason): void {
    const text = gapFrame(ticker, from, to, reason);
    for (const channel of this.#channelsFor(ticker)) {
      for (const { name } of channel.topics.values()) this.#options.publish(name, text);
      for (const subscription of channel.handed) {
        if (!subscription.behind.has(ticker) && !isAhead(subscription, ticker, to))
          subscription.subscriber.deliverGap(ticker, from, to, text);
      }
    }
    if (this.#channels.has(ALL_TICKERS)) this.#moved.set(ticker, to);
    this.#options.warn(
      `Updates ${from} to ${to} of ${ticker} are not kept: subscribers were told of the gap`,
    );
  }

  /** Reads the log from the position until it meets what the worker has delivered; from then on updates come by themselves. */
  async #catchUp(subscription: Subscription, feed: TickerFeed, ticker: string, from: number): Promise<void> {
    const { subscriber } = subscription;
    let position = from;
    subscription.behind.set(ticker, position);
    feed.keepTail();
    try {
      while (!hasLeft(subscription)) {
        const tail = feed.since(position);
        if (tail !== null) {
          for (const update of tail) this.#recover(subscription, ticker, update);
          this.#join(subscription, ticker, Math.max(position, feed.delivered));
          return;
        }
        const { delivered } = feed;
        const read = this.#options.updates.after(ticker, position, READ_LIMIT);
        const updates = read instanceof Promise ? await read : read;
        if (hasLeft(subscription)) return;
        for (const update of updates) {
          if (update.seq > position + 1)
            subscriber.recover(gapFrame(ticker, position + 1, update.seq - 1, "not_kept"));
          this.#recover(subscription, ticker, update);
          position = update.seq;
          subscription.behind.set(ticker, position);
        }
        if (updates.length === 0 && position < delivered) {
          subscriber.recover(gapFrame(ticker, position + 1, delivered, "not_kept"));
          position = delivered;
          subscription.behind.set(ticker, position);
        }
        await subscriber.room();
      }
    } finally {
      feed.dropTail();
    }
  }

  #recover(subscription: Subscription, ticker: string, update: StoredUpdate | Update): void {
    const { subscriber, filter } = subscription;
    if (update.frame === "") subscriber.recover(gapFrame(ticker, update.seq, update.seq, "not_kept"));
    else if (matches(filter, update.type)) subscriber.recover(positioned(update.frame, update.seq));
  }

  /** It has everything of the ticker up to the position. */
  #join(subscription: Subscription, ticker: string, position: number): void {
    if (position > this.delivered(ticker)) subscription.ahead.set(ticker, position);
    subscription.behind.delete(ticker);
    if (subscription.ticker === ALL_TICKERS) this.#listenIfEven(subscription);
    else {
      this.#hand(subscription);
      this.#listenIfEven(subscription);
      this.#greet(subscription, position);
    }
  }

  #hand(subscription: Subscription): void {
    subscription.state = "handed";
    this.#channels.get(subscription.ticker)!.handed.add(subscription);
  }

  /** The topic is for those who have exactly what the feed has delivered. */
  #listenIfEven(subscription: Subscription): void {
    if (subscription.state !== "handed" || subscription.subscriber.slow || subscription.behind.size > 0)
      return;
    for (const [ticker, position] of subscription.ahead) {
      if (position > this.delivered(ticker)) return;
      subscription.ahead.delete(ticker);
    }
    this.#channels.get(subscription.ticker)!.handed.delete(subscription);
    subscription.state = "listening";
    this.#listen(subscription);
    // Heartbeats tell only what moves: what moved while it was not there it hears now.
    if (subscription.ticker === ALL_TICKERS) this.#tellPositions(subscription);
  }

  #listen({ ticker, filter, subscriber }: Subscription): void {
    const { topics } = this.#channels.get(ticker)!;
    let topic = topics.get(filter.key);
    if (topic === undefined) {
      topic = { filter, name: `${filter.key}${ticker}`, listeners: 0 };
      topics.set(filter.key, topic);
    }
    topic.listeners++;
    subscriber.listen(topic.name);
  }

  #unlisten({ ticker, filter, subscriber }: Subscription): void {
    const topics = this.#channels.get(ticker)?.topics;
    const topic = topics?.get(filter.key);
    if (topics === undefined || topic === undefined) return;
    subscriber.unlisten(topic.name);
    if (--topic.listeners === 0) topics.delete(filter.key);
  }

  /** At once to each: then it knows that it is subscribed, also where there is no price. */
  #greet({ ticker, subscriber }: Subscription, position: number): void {
    subscriber.send(this.#heartbeat(ticker, position, new Date()));
    this.#startBeat(this.#channels.get(ticker)!);
  }

  #startBeat(channel: Channel): void {
    channel.beat ??= new Beat(this.#options.heartbeatIntervalMs, (at) => this.#sendHeartbeat(channel, at));
  }

  /** Of all tickers that the subscription to all is up to date with. */
  #tellPositions({ behind, subscriber }: Subscription): void {
    const positions = new Map(this.#others);
    for (const [ticker, feed] of this.#feeds) positions.set(ticker, feed.delivered);
    for (const ticker of behind.keys()) positions.delete(ticker);
    subscriber.send(allHeartbeatFrame(new Date(), positions, this.#epoch, this.#isVerified));
  }

  get #isVerified(): boolean {
    return performance.now() - this.#verifiedMs < UNVERIFIED_MS;
  }

  #sendHeartbeat(channel: Channel, now: Date): void {
    const text =
      channel.ticker === ALL_TICKERS
        ? allHeartbeatFrame(now, this.#moved, this.#epoch, this.#isVerified)
        : this.#heartbeat(channel.ticker, this.delivered(channel.ticker), now);
    if (channel.ticker === ALL_TICKERS) this.#moved.clear();
    for (const { name } of channel.topics.values()) this.#options.publish(name, text);
  }

  #heartbeat(ticker: string, seq: number, now: Date): string {
    return heartbeatFrame(ticker, now, { seq, epoch: this.#epoch }, this.#isVerified);
  }

  /** Hears of everything from the first moment on, but of tickers that it has missed something of only when that is read. */
  async #beginAll(subscription: Subscription, start: Start, epoch: string): Promise<void> {
    const newest = new Map(this.#others);
    for (const [ticker, feed] of this.#feeds) newest.set(ticker, feed.delivered);
    if (start.kind === "since" && start.since instanceof Map)
      for (const ticker of start.since.keys()) if (!newest.has(ticker)) newest.set(ticker, 0);
    for (const [ticker, position] of newest)
      if (concerns(start, ticker, position, epoch)) subscription.behind.set(ticker, null);
    this.#hand(subscription);
    if (subscription.behind.size > 0) this.#tellPositions(subscription);
    this.#listenIfEven(subscription);
    this.#startBeat(this.#channels.get(ALL_TICKERS)!);
    for (const ticker of [...subscription.behind.keys()]) {
      // Where reads take no turn of the event loop, thousands of them would leave none to the others.
      await new Promise(setImmediate);
      if (hasLeft(subscription)) return;
      const feed = this.#feeds.get(ticker) ?? this.#openFeed(ticker);
      const { frame, position, nothing } = await this.#start.of(ticker, feed.delivered, start, epoch);
      if (hasLeft(subscription)) return;
      if (frame !== null && !nothing) subscription.subscriber.send(frame);
      await this.#catchUp(subscription, feed, ticker, position);
    }
  }

  /** A feed that has become mute, whatever the reason, is found here. */
  async #checkPositions(): Promise<void> {
    if (this.#checking || this.#channels.size === 0 || this.#epoch === "") return;
    this.#checking = true;
    this.#forgetIdleFeeds();
    try {
      await this.#compare(this.#nextToCheck());
    } catch (error) {
      this.#options.warn(`Positions can't be checked: ${wordsOf(error)}`);
    } finally {
      this.#checking = false;
    }
  }

  #watched(): string[] | null {
    return this.#channels.has(ALL_TICKERS) ? null : [...this.#channels.keys()];
  }

  /** Of many tickers some at a time; of all of them, where they are many, now and then. */
  #nextToCheck(): string[] | null {
    const watched = this.#watched();
    const count = watched?.length ?? this.#others.size + this.#feeds.size;
    if (count <= CHECK_TICKERS_MAX) return watched;
    if (this.#checkFrom >= count) this.#checkFrom = 0;
    const from = this.#checkFrom;
    this.#checkFrom += CHECK_TICKERS_MAX;
    if (watched !== null) return watched.slice(from, from + CHECK_TICKERS_MAX);
    return from === 0 ? null : [];
  }

  async #compare(tickers: string[] | null): Promise<void> {
    const { updates } = this.#options;
    const before = this.#epoch;
    if ((await this.#currentEpoch()) !== before) return;
    this.#verifiedMs = performance.now();
    if (tickers !== null && tickers.length === 0) return;
    const delivered = new Map([...this.#feeds].map(([ticker, feed]) => [ticker, feed.delivered]));
    const read = updates.positions(tickers);
    const positions = read instanceof Promise ? await read : read;
    for (const [ticker, position] of positions) {
      if (position > this.delivered(ticker)) this.note(ticker, position);
      else if (position < (delivered.get(ticker) ?? 0)) {
        this.#restartAll(`${ticker} is at position ${position} after it was at ${delivered.get(ticker)}`);
        return;
      }
    }
  }

  /** A subscriber to all tickers needs the feeds of those that move; of the others only their position. */
  #forgetIdleFeeds(): void {
    if (this.#feeds.size <= IDLE_FEEDS_MAX || !this.#channels.has(ALL_TICKERS)) return;
    for (const [ticker, feed] of this.#feeds) {
      if (this.#channels.has(ticker) || !feed.idle) continue;
      feed.close();
      this.#feeds.delete(ticker);
      this.#others.set(ticker, feed.delivered);
    }
  }
}

/** It may have done so during any wait. */
function hasLeft({ state }: Subscription): boolean {
  return state === "left";
}

function isAhead(subscription: Subscription, ticker: string, position: number): boolean {
  const ahead = subscription.ahead.get(ticker);
  return ahead !== undefined && position <= ahead;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
