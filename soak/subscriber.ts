/**
 * A subscriber that goes away at random, by itself or because its worker died, and comes back with
 * the positions that it has. What it is sent goes to its check.
 */
import { type Frame, Subscriber } from "../test/support/subscriber.ts";
import type { SubscriberCheck } from "./subscriber-check.ts";

/** How a subscriber says what it wants. */
export type Style =
  /** `symbol=`, as old clients do. */
  | "symbol"
  /** `symbol=` and `since=0`: all from the beginning. */
  | "symbol, since 0"
  /** `symbols=` with several. */
  | "symbols"
  /** `symbols=` with `types=`. */
  | "types"
  /** `symbols=*`. */
  | "*"
  /**
   * Subscribes to all but one of its tickers by message, and now and then leaves one for a while.
   */
  | "messages";

export interface SubscriberCounts {
  /** Connections after the first, whoever ended the one before. */
  reconnects: number;
  /**
   * Connections that were refused or ended before their first frame, or that a ticker was refused
   * on.
   */
  refused: number;
  /** Closed by the server with 4008. */
  slow: number;
}

/** It stays connected for about so long. */
const STAYS_MS = 4_000;
const AWAY_MS_MAX = 300;
const LEAVES_A_TICKER_MS = 1_500;
const CLOSE_SLOW = 4008;
/** Without any frame for so long, the connection is given up. Heartbeats come more often. */
const MUTE_MS = 15_000;

export class SoakSubscriber {
  readonly counts: SubscriberCounts = { reconnects: 0, refused: 0, slow: 0 };
  readonly check: SubscriberCheck;
  readonly style: Style;
  readonly #wsUrl: string;
  readonly #random: () => number;
  #subscriber: Subscriber | null = null;
  /** The connection has had a frame. */
  #isServed = false;
  #goesAwayByItself = true;
  #timers = new Set<Timer>();
  #muteTimer: Timer | undefined;
  #hasEnded = false;
  /** A ticker that it has left for a moment, by message. */
  #left: string | null = null;

  constructor(check: SubscriberCheck, style: Style, wsUrl: string, random: () => number) {
    this.check = check;
    this.style = style;
    this.#wsUrl = wsUrl;
    this.#random = random;
  }

  start(): void {
    this.#connect();
  }

  /** From now on it goes away only when it is sent away. */
  settle(): void {
    this.#goesAwayByItself = false;
  }

  end(): void {
    this.#hasEnded = true;
    this.#leave();
  }

  #connect(): void {
    const isKnown = this.check.epoch !== null;
    this.check.connects(isKnown);
    if (!isKnown && this.style === "symbol, since 0") this.#askAll(0);
    this.#isServed = false;
    if (this.#subscriber === null) {
      this.#subscriber = Subscriber.ask(this.#wsUrl, this.#query(), {
        onOpen: () => {
          if (this.style === "messages") this.#subscribe(this.check.interest.tickers!.slice(1));
        },
        onFrame: (frame, text) => this.#take(frame, text),
        onClosed: ({ code, reason }) => this.#closed(code, reason),
      });
    } else {
      this.counts.reconnects++;
      this.#subscriber.reconnect();
    }
    this.#watchForMuteness();
  }

  #query(): Record<string, string> {
    const { tickers, types } = this.check.interest;
    if (this.style === "symbol") return { symbol: tickers![0]! };
    if (this.style === "symbol, since 0") return { symbol: tickers![0]!, since: "0" };
    const named = this.style === "messages" ? tickers!.slice(0, 1) : tickers;
    const symbols = named?.join(",") ?? "*";
    return types === null ? { symbols } : { symbols, types: types.join(",") };
  }

  #take(frame: Frame, text: string): void {
    if (!this.#isServed) this.#stayAwhile();
    this.#isServed = true;
    this.#watchForMuteness();
    if (!this.check.take(text, frame)) {
      this.counts.refused++;
      this.#leave();
      this.#comeBack();
    } else if (this.#left !== null) this.#maybeComeBack(this.#left, frame);
  }

  #closed(code: number, reason: string): void {
    if (code === CLOSE_SLOW) this.counts.slow++;
    if (!this.#isServed) this.counts.refused++;
    this.check.closed(code, reason);
    this.#comeBack();
  }

  #subscribe(tickers: readonly string[]): void {
    const { types } = this.check.interest;
    const resumption = this.#subscriber!.resumption(tickers);
    this.#subscriber!.subscribe(tickers, types === null ? resumption : { types, ...resumption });
  }

  #askAll(since: number): void {
    for (const ticker of this.check.tickers.keys()) this.check.asks(ticker, since);
  }

  #stayAwhile(): void {
    this.#after(this.#random() * 2 * STAYS_MS, () => {
      if (!this.#goesAwayByItself) return;
      this.#leave();
      this.#comeBack();
    });
    if (this.style === "messages")
      this.#after(this.#random() * 2 * LEAVES_A_TICKER_MS, () => this.#leaveTicker());
  }

  #leaveTicker(): void {
    const { tickers } = this.check.interest;
    const last = tickers!.at(-1)!;
    // Only once its subscription stands: its place in the order of frames is known then.
    if (!this.#goesAwayByItself || this.check.tickers.get(last)!.isWaiting) return;
    this.#left = last;
    this.#subscriber!.unsubscribe([last]);
  }

  /** Frames that were on their way count until the server says that the subscription is over. */
  #maybeComeBack(ticker: string, { type, subscriptions }: Frame): void {
    if (type !== "subscription" || subscriptions!.some(({ symbol }) => symbol === ticker)) return;
    this.#left = null;
    this.#after(this.#random() * AWAY_MS_MAX, () => {
      const check = this.check.tickers.get(ticker)!;
      this.#subscribe([ticker]);
      check.asks(check.base === null ? null : check.last);
    });
  }

  #watchForMuteness(): void {
    if (this.#muteTimer === undefined) {
      this.#muteTimer = setTimeout(() => {
        this.#leave();
        this.#comeBack();
      }, MUTE_MS);
    } else this.#muteTimer.refresh();
  }

  #leave(): void {
    this.#clearTimers();
    // Half of them say goodbye.
    this.#subscriber?.leave(this.#random() < 0.5 ? "close" : "terminate");
  }

  #comeBack(): void {
    this.#left = null;
    this.#clearTimers();
    if (!this.#hasEnded) this.#after(this.#random() * AWAY_MS_MAX, () => this.#connect());
  }

  /** Timers end with the connection. */
  #after(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
  }

  #clearTimers(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    clearTimeout(this.#muteTimer);
    this.#muteTimer = undefined;
  }
}
