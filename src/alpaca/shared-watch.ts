/**
 * The tickers that clients of streams watch in this worker. Each has one subscription, however many
 * ask for it: its updates are translated once, and handed to all who listen.
 *
 * It is a subscriber as a WebSocket of /ws is one, so no update is missed while a client is
 * connected. It is always `slow`, so updates are delivered to it and not to a topic.
 */
import type { LiveBars } from "../live-bars/live-bars.ts";
import type { Zone } from "../market/zone.ts";
import type { Update } from "../storage/update-contract.ts";
import { SENT } from "../stream/frame-form.ts";
import { ALL_TICKERS, type Subscriber } from "../stream/subscriber.ts";
import type { Subscription } from "../stream/subscription.ts";
import type { Subscriptions } from "../stream/subscriptions.ts";
import { onlyTypes } from "../stream/type-filter.ts";
import { turn } from "../time/pauses.ts";
import { type Beginner, type Beginning, beginAll } from "../websocket/beginnings.ts";
import type { Turns } from "../websocket/turns.ts";
import type { DataChannel } from "./channels.ts";
import { type EventGroup, inGroups } from "./event-group.ts";
import { MadeBars } from "./made-bars.ts";
import { ToldBars } from "./told-bars.ts";
import { readToldFrame, type ToldFrame, type ToldRow } from "./told-updates.ts";

const TRADE = "trade";
const BAR = "bar";
const TYPES = onlyTypes([TRADE, "quote", BAR]);
/** Frames that are no updates: the beginnings of those that are read. */
const SNAPSHOT = '"data":{"type":"snapshot"';
const NOT_RECOVERED = '"data":{"type":"recovery","recovered":false';

/** `T` of the messages of each channel. */
const MESSAGE_TYPES: Record<DataChannel, string> = {
  trades: "t",
  quotes: "q",
  bars: "b",
  updatedBars: "u",
  dailyBars: "d",
};

export interface Listener {
  /** Messages of one update, in order. */
  take(groups: readonly EventGroup[]): void;
  /** Updates whose content can't be told any more. */
  missed(what: string): void;
}

interface WatchedTicker {
  subscription: Subscription;
  /** How many clients want it. */
  clients: number;
  beginning: Promise<void> | null;
  /** Why it couldn't begin; it then stays until all clients have left. */
  failed: string | null;
  listeners: Map<DataChannel, Set<Listener>>;
}

export interface SharedWatchOptions {
  subscriptions: Subscriptions;
  turns: Turns;
  liveBars: Pick<LiveBars, "listen">;
  /** In which days of bars begin. */
  zone: Zone;
  /** Called when every client has to connect again. */
  onRestart(): void;
}

export class SharedWatch implements Subscriber, Beginner {
  readonly open = true;
  readonly slow = true;
  readonly form = SENT;
  readonly hearsAlone = true;
  readonly #options: SharedWatchOptions;
  readonly #start: Beginning["start"];
  readonly #watched = new Map<string, WatchedTicker>();
  readonly #told = new ToldBars();
  readonly #made: MadeBars;

  /** @param start a snapshot, of single tickers, tells which bars are corrections. */
  constructor(start: "snapshot" | "now", options: SharedWatchOptions) {
    this.#start = { kind: start };
    this.#options = options;
    this.#made = new MadeBars({
      liveBars: options.liveBars,
      turns: options.turns,
      tell: (ticker, isChange, bar) => this.#tellMade(ticker, isChange, bar),
      missed: (ticker, what) => tellMissed(minuteListeners(this.#listenersOf(ticker)), what),
    });
  }

  get subscriptions(): Iterable<Subscription> {
    return [...this.#watched.values()].map(({ subscription }) => subscription);
  }

  subscriptionTo(ticker: string): Subscription | undefined {
    return this.#watched.get(ticker)?.subscription;
  }

  /**
   * Counts one client more for each ticker, until `leave`, also where it fails.
   *
   * @param tickers or ALL_TICKERS.
   * @returns null once every later update of them is delivered; else why that can't be.
   */
  async enter(tickers: readonly string[]): Promise<string | null> {
    const opened: WatchedTicker[] = [];
    const entered = tickers.map((ticker) => {
      let watched = this.#watched.get(ticker);
      if (watched === undefined) {
        watched = this.#opened(ticker);
        opened.push(watched);
      }
      watched.clients++;
      return watched;
    });
    if (opened.length > 0) {
      const beginning = this.#begin(opened);
      for (const watched of opened) watched.beginning = beginning;
    }
    for (const watched of entered) {
      if (watched.beginning !== null) await watched.beginning;
      if (watched.failed !== null) return watched.failed;
    }
    return null;
  }

  leave(tickers: Iterable<string>): void {
    for (const ticker of tickers) {
      const watched = this.#watched.get(ticker);
      if (watched === undefined || --watched.clients > 0) continue;
      this.#watched.delete(ticker);
      if (ticker === ALL_TICKERS) {
        this.#made.endAll();
        this.#told.clear();
      } else {
        this.#made.end(ticker);
        this.#told.forget(ticker);
      }
      this.#options.subscriptions.leave(watched.subscription);
    }
  }

  attach(ticker: string, channel: DataChannel, listener: Listener): void {
    const listeners = this.#watched.get(ticker)?.listeners;
    const ofChannel = listeners?.get(channel);
    if (ofChannel === undefined) listeners?.set(channel, new Set([listener]));
    else ofChannel.add(listener);
    if (ticker !== ALL_TICKERS) this.#makeBars(ticker);
  }

  detach(ticker: string, channel: DataChannel, listener: Listener): void {
    const listeners = this.#watched.get(ticker)?.listeners;
    const ofChannel = listeners?.get(channel);
    ofChannel?.delete(listener);
    if (ofChannel?.size === 0) listeners!.delete(channel);
    if (listeners === undefined || minuteListeners(listeners).length > 0) return;
    if (ticker === ALL_TICKERS) this.#made.endAll();
    else this.#made.end(ticker);
  }

  isCurrent(subscription: Subscription): boolean {
    return this.#watched.get(subscription.ticker)?.subscription === subscription;
  }

  drop(subscription: Subscription): void {
    this.#options.subscriptions.leave(subscription);
  }

  reopen({ ticker }: Subscription): Subscription {
    const subscription = this.#options.subscriptions.open(this, ticker, TYPES);
    const watched = this.#watched.get(ticker);
    if (watched !== undefined) watched.subscription = subscription;
    return subscription;
  }

  /** Also of heartbeats, which are nobody's here. */
  send(text: string): void {
    if (text.includes(SNAPSHOT) || text.includes(NOT_RECOVERED))
      this.#take(readToldFrame(text, this.#options.zone));
  }

  deliver(ticker: string, update: Update, text: string): void {
    if (!TYPES.names.includes(update.type)) return; // rows that were removed or renamed
    if (update.type === TRADE) this.#makeBars(ticker);
    const listeners = this.#listenersOf(ticker);
    // Bars also without a listener, as they tell which later ones are corrections.
    const isWanted = update.type === BAR || listeners.has(update.type === TRADE ? "trades" : "quotes");
    if (isWanted) this.#take(readToldFrame(text, this.#options.zone));
  }

  deliverGap(ticker: string, from: number, to: number): void {
    this.#take({ type: "gap", symbol: ticker, from, to });
  }

  deliverSnapshot(_ticker: string, _position: number, text: string): void {
    this.#take(readToldFrame(text, this.#options.zone));
  }

  recover(text: string): void {
    this.#take(readToldFrame(text, this.#options.zone));
  }

  waitsFrom(): undefined {
    return undefined;
  }

  async room(): Promise<void> {
    // A long recovery must let others have their turn.
    await turn();
  }

  // While it is slow it has no topic.
  hear(): void {}
  listen(): void {}
  unlisten(): void {}

  restart(): void {
    this.#options.onRestart();
  }

  #opened(ticker: string): WatchedTicker {
    const subscription = this.#options.subscriptions.open(this, ticker, TYPES);
    const state = { clients: 0, beginning: null, failed: null, listeners: new Map() };
    const watched: WatchedTicker = { subscription, ...state };
    this.#watched.set(ticker, watched);
    return watched;
  }

  /** Never rejects: each of them tells whether it failed. */
  async #begin(opened: readonly WatchedTicker[]): Promise<void> {
    const { subscriptions, turns } = this.#options;
    const beginnings = opened.map(({ subscription }) => ({ subscription, start: this.#start }));
    const failed = await beginAll(beginnings, this, { subscriptions, turns });
    for (const watched of opened) {
      watched.beginning = null;
      if (failed?.tickers.includes(watched.subscription.ticker)) watched.failed = failed.why;
    }
  }

  /** The subscription to all tickers is listened to as a whole. */
  #listenersOf(ticker: string): WatchedTicker["listeners"] {
    return (this.#watched.get(ticker) ?? this.#watched.get(ALL_TICKERS))?.listeners ?? new Map();
  }

  #take(frame: ToldFrame): void {
    if (frame.type === "other") return;
    const { symbol } = frame;
    const listeners = this.#listenersOf(symbol);
    if (frame.type === "snapshot") {
      if (frame.minute !== null) this.#told.know(symbol, frame.minute);
    } else if (frame.type === "gap") {
      const positions = frame.from === null ? "" : ` ${frame.from} to ${frame.to}`;
      tellMissed([...listeners.values()], `updates${positions} of ${symbol} can't be told any more`);
    } else if (frame.kind === "minuteBars") this.#tellMinutes(symbol, listeners, frame.rows);
    else this.#tell(symbol, listeners, frame.kind, frame.rows);
  }

  /** Bars of trades, if somebody wants bars and nobody stores them as they come. */
  #makeBars(ticker: string): void {
    if (minuteListeners(this.#listenersOf(ticker)).length === 0) return;
    if (!this.#told.areStoredLive(ticker, Date.now())) this.#made.begin(ticker);
  }

  #tellMade(ticker: string, isChange: boolean, bar: ToldRow): void {
    // What is stored of that time counts, and was told.
    if (this.#told.isCovered(ticker, bar.stamp)) return;
    // A change tells no new minute: a stored bar of it is still the first that is told as new.
    const isCorrection = isChange || this.#told.tell(ticker, { stamp: bar.stamp, isStored: false });
    const channel = isCorrection ? "updatedBars" : "bars";
    this.#tell(ticker, this.#listenersOf(ticker), channel, [bar]);
  }

  #tellMinutes(symbol: string, to: WatchedTicker["listeners"], bars: readonly ToldRow[]): void {
    let channel: DataChannel = "bars";
    let run: ToldRow[] = [];
    for (const bar of bars) {
      const isCorrection = this.#told.tell(symbol, { stamp: bar.stamp, isStored: true });
      const own = isCorrection ? "updatedBars" : "bars";
      if (own !== channel) {
        this.#tell(symbol, to, channel, run);
        channel = own;
        run = [];
      }
      run.push(bar);
    }
    // Stored bars are the ones that count, where they come as their minutes end.
    if (this.#told.areStoredLive(symbol, Date.now())) this.#made.end(symbol);
    this.#tell(symbol, to, channel, run);
  }

  #tell(
    symbol: string,
    to: WatchedTicker["listeners"],
    channel: DataChannel,
    rows: readonly ToldRow[],
  ): void {
    const listeners = to.get(channel);
    if (listeners === undefined || rows.length === 0) return;
    const members = rows.map((row) => row.members);
    const groups = inGroups({ T: MESSAGE_TYPES[channel], S: symbol, members });
    for (const listener of listeners) listener.take(groups);
  }
}

/** Of bars of a minute, new ones and corrections. */
function minuteListeners(listeners: WatchedTicker["listeners"]): ReadonlySet<Listener>[] {
  return (["bars", "updatedBars"] as const).flatMap((channel) => listeners.get(channel) ?? []);
}

function tellMissed(listeners: readonly ReadonlySet<Listener>[], what: string): void {
  for (const listener of new Set(listeners.flatMap((ofChannel) => [...ofChannel]))) listener.missed(what);
}
