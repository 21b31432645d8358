/**
 * A subscriber that goes away at random, by itself or because its worker died, and comes back with
 * the positions that it has. What it is sent goes to its check.
 */
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
  #socket: WebSocket | null = null;
  #connections = 0;
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
    if (this.#connections++ > 0) this.counts.reconnects++;
    const isFirst = this.check.epoch === null;
    this.check.connects(!isFirst);
    if (isFirst && this.style === "symbol, since 0") this.#askAll(0);
    const socket = new WebSocket(`${this.#wsUrl}/ws?${this.#query(isFirst)}`);
    this.#socket = socket;
    let frames = 0;
    socket.onopen = () => {
      if (this.#socket === socket && this.style === "messages") this.#subscribeToTheRest();
    };
    socket.onmessage = ({ data }) => {
      if (this.#socket !== socket) return;
      if (frames++ === 0) this.#stayAwhile();
      this.#watchForMuteness();
      if (!this.check.take(String(data))) {
        this.counts.refused++;
        this.#leave();
        this.#comeBack();
        return;
      }
      if (this.#left !== null) this.#maybeComeBack(String(data));
    };
    socket.onclose = ({ code, reason }) => {
      if (this.#socket !== socket) return;
      if (code === CLOSE_SLOW) this.counts.slow++;
      if (frames === 0) this.counts.refused++;
      this.check.closed(code, reason);
      this.#comeBack();
    };
    this.#watchForMuteness();
  }

  #query(isFirst: boolean): string {
    const { tickers, types } = this.check.interest;
    const isSingle = this.style.startsWith("symbol,") || this.style === "symbol";
    const named = this.style === "messages" ? tickers!.slice(0, 1) : tickers;
    const query = new URLSearchParams();
    if (isSingle) query.set("symbol", tickers![0]!);
    else query.set("symbols", named?.join(",") ?? "*");
    if (types !== null) query.set("types", types.join(","));
    if (isFirst && this.style === "symbol, since 0") query.set("since", "0");
    const since = this.#positions(named);
    if (since.length > 0) {
      query.set("since", isSingle ? String(since[0]![1]) : since.map(([t, seq]) => `${t}:${seq}`).join(","));
      query.set("epoch", this.check.epoch!);
    }
    return query.toString();
  }

  /** What it would miss nothing after. */
  #positions(tickers: readonly string[] | null): [ticker: string, seq: number][] {
    if (this.check.epoch === null) return [];
    return [...this.check.tickers]
      .filter(([ticker, { base }]) => base !== null && (tickers === null || tickers.includes(ticker)))
      .map(([ticker, { last }]) => [ticker, last]);
  }

  #subscribeToTheRest(): void {
    this.#subscribe(this.check.interest.tickers!.slice(1));
  }

  #subscribe(tickers: readonly string[]): void {
    const since = Object.fromEntries(this.#positions(tickers));
    const { types } = this.check.interest;
    this.#socket!.send(
      JSON.stringify({
        action: "subscribe",
        symbols: tickers,
        ...(types === null ? {} : { types }),
        ...(Object.keys(since).length === 0 ? {} : { since, epoch: this.check.epoch }),
      }),
    );
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
    this.#socket!.send(JSON.stringify({ action: "unsubscribe", symbols: [last] }));
  }

  /** Frames that were on their way count until the server says that the subscription is over. */
  #maybeComeBack(text: string): void {
    if (!text.startsWith('{"type":"subscription"') || text.includes(`"${this.#left}"`)) return;
    const ticker = this.#left!;
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
    const socket = this.#socket;
    this.#socket = null;
    this.#clearTimers();
    // Half of them say goodbye.
    if (this.#random() < 0.5) socket?.close(1000);
    else socket?.terminate();
  }

  #comeBack(): void {
    this.#socket = null;
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
