/**
 * The subscriber of tests, bench and soak: what a client of the server sees through a WebSocket
 * library. It keeps every frame with the moment of its arrival, knows the position that each
 * ticker has reached, and comes back with them.
 */
import { type Falsy, waitUntil } from "./server.ts";
import type { Close } from "./web-socket-messages.ts";

/** A text of the server, read as JSON. */
export interface LiveFrame {
  symbol: string;
  seq: number;
  epoch?: string;
  /** Of frames that are of no ticker: `subscription`, `error`, `last_positions`. */
  type?: string;
  code?: string;
  error?: string;
  subscriptions?: { symbol: string; types: string[] }[];
  positions?: Record<string, number>;
  conflated?: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it as they please.
  data: any;
}

export interface Frame extends LiveFrame {
  atMs: number;
}

export interface SubscriberOptions {
  /** Takes each frame, with its text; then none stays in `frames`. */
  onFrame?: (frame: Frame, text: string) => void;
  onOpen?: () => void;
  /** The server has ended the connection, or has refused it. */
  onClosed?: (close: Close) => void;
  /** When the server has ended the connection, it reconnects after so long. Default: never. */
  returnsAfterMs?: number;
}

/** What a subscription that goes on has beside its tickers. */
interface Resumption {
  since?: Record<string, number>;
  epoch?: string;
}

const NO_UPDATES = new Set([
  ...["heartbeat", "initial_price", "snapshot", "recovery", "gap", "replay_end"],
  ...["feed_stale", "feed_alive", "feeds_left_out"],
]);

export class Subscriber implements AsyncDisposable {
  /** Of all its connections. */
  readonly frames: Frame[] = [];
  /** Null while it is connected, and until the server has answered. */
  closed: Close | null = null;
  connections = 0;
  /** Of each ticker, the last update that it has, or that it was told not to expect. */
  readonly positions = new Map<string, number>();
  /** Of the positions; null before the first of them. */
  epoch: string | null = null;
  /**
   * Updates that were left out or came twice. Where it hasn't asked for every update, by `types` or
   * `slow=conflate`, only those that came twice.
   */
  readonly faults: string[] = [];
  readonly #wsUrl: string;
  readonly #path: string;
  readonly #query: Record<string, string>;
  readonly #options: SubscriberOptions;
  #socket: WebSocket;
  #mayLeaveOut: boolean;
  #returning: Timer | undefined;
  #isOver = false;

  private constructor(
    wsUrl: string,
    path: string,
    query: Record<string, string>,
    options: SubscriberOptions = {},
  ) {
    this.#wsUrl = wsUrl;
    this.#path = path;
    this.#query = query;
    this.#options = options;
    this.#mayLeaveOut = query.types !== undefined || query.slow === "conflate";
    this.#socket = this.#connect(query);
  }

  /**
   * Resolves when updates from now on reach it: the first heartbeat comes after that.
   *
   * @throws Error it was closed before.
   */
  static async open(wsUrl: string, symbol: string): Promise<Subscriber> {
    const subscriber = Subscriber.connect(wsUrl, symbol);
    await subscriber.until(`${symbol} is subscribed`, () => subscriber.heartbeats.length > 0);
    return subscriber;
  }

  static connect(wsUrl: string, symbol: string, options?: SubscriberOptions): Subscriber {
    return Subscriber.ask(wsUrl, { symbol }, options);
  }

  /** With these parameters in the query. */
  static ask(wsUrl: string, query: Record<string, string>, options?: SubscriberOptions): Subscriber {
    return new Subscriber(wsUrl, "/ws", query, options);
  }

  /** Of history, at the speed that the query says. */
  static replay(wsUrl: string, query: Record<string, string>): Subscriber {
    return new Subscriber(wsUrl, "/ws/replay", query);
  }

  get heartbeats(): Frame[] {
    return this.ofType("heartbeat");
  }

  ofType(type: string): Frame[] {
    return this.frames.filter(({ data }) => data?.type === type);
  }

  /** Frames of saves. */
  get updates(): Frame[] {
    return this.frames.filter(({ data }) => data !== undefined && !NO_UPDATES.has(data.type));
  }

  /** Positions of the updates. */
  get seqs(): number[] {
    return this.updates.map(({ seq }) => seq);
  }

  /** Of updates that are saves of ticks, the price of the first one. */
  get prices(): number[] {
    return this.updates.map(({ data }) => data.payload[0].price);
  }

  get errors(): (string | undefined)[] {
    return this.frames.filter(({ type }) => type === "error").map(({ code }) => code);
  }

  send(text: string | Uint8Array<ArrayBuffer>): void {
    this.#socket.send(text);
  }

  /** @param more other members of the message, `types` for one. */
  subscribe(symbols: readonly string[], more: object = {}): void {
    if ("types" in more) this.#mayLeaveOut = true;
    this.send(JSON.stringify({ action: "subscribe", symbols, ...more }));
  }

  unsubscribe(symbols: readonly string[], more: object = {}): void {
    this.send(JSON.stringify({ action: "unsubscribe", symbols, ...more }));
  }

  /** To miss nothing of these tickers. @param tickers null: all. */
  resumption(tickers: readonly string[] | null): Resumption {
    const known = [...this.positions].filter(([ticker]) => tickers === null || tickers.includes(ticker));
    if (this.epoch === null || known.length === 0) return {};
    return { since: Object.fromEntries(known), epoch: this.epoch };
  }

  /** Ends the connection and hears no more of it. */
  leave(how: "close" | "terminate" = "close"): void {
    clearTimeout(this.#returning);
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    if (how === "close") socket.close(1000);
    else socket.terminate();
    this.closed ??= { code: 1000, reason: "it has left" };
  }

  /** Asks for the same again, and to go on where it was. */
  reconnect(): void {
    this.leave();
    const { symbol, symbols } = this.#query;
    const several = symbols === "*" ? null : (symbols ?? "").split(",");
    const { since, epoch } = this.resumption(symbol === undefined ? several : [symbol]);
    if (since === undefined || epoch === undefined) this.#socket = this.#connect(this.#query);
    else {
      const listed = Object.entries(since).map(([ticker, seq]) => `${ticker}:${seq}`);
      const value = symbol === undefined ? listed.join(",") : String(since[symbol]);
      this.#socket = this.#connect({ ...this.#query, since: value, epoch });
    }
  }

  /**
   * Resolves with what the condition gives, as soon as that is truthy.
   *
   * @throws Error it was closed before.
   */
  async until<T>(what: string, condition: () => T | Falsy, deadlineMs?: number): Promise<T> {
    let found: T | Falsy = null;
    const isOver = (): boolean => {
      found = condition();
      return Boolean(found) || this.closed !== null;
    };
    await waitUntil(what, isOver, deadlineMs);
    if (found) return found;
    throw new Error(`closed with ${this.closed?.code} (${this.closed?.reason}) before this: ${what}`);
  }

  async untilClosed(deadlineMs?: number): Promise<Close> {
    return await waitUntil("the subscriber is closed", () => this.closed, deadlineMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    clearTimeout(this.#returning);
    this.#socket.close();
    await this.untilClosed();
  }

  #connect(query: Record<string, string>): WebSocket {
    const { onOpen, onClosed, returnsAfterMs } = this.#options;
    const socket = new WebSocket(`${this.#wsUrl}${this.#path}?${new URLSearchParams(query)}`);
    this.closed = null;
    this.connections++;
    socket.onopen = () => onOpen?.();
    socket.onmessage = ({ data }) => this.#take(String(data));
    socket.onclose = ({ code, reason }) => {
      this.closed = { code, reason };
      if (returnsAfterMs !== undefined && !this.#isOver)
        this.#returning = setTimeout(() => this.reconnect(), returnsAfterMs);
      onClosed?.(this.closed);
    };
    return socket;
  }

  #take(text: string): void {
    const frame: Frame = { ...(JSON.parse(text) as LiveFrame), atMs: performance.now() };
    this.epoch = frame.epoch ?? this.epoch;
    this.#place(frame);
    if (this.#options.onFrame === undefined) this.frames.push(frame);
    else this.#options.onFrame(frame, text);
  }

  #place({ symbol, seq, data, positions, conflated }: Frame): void {
    // A subscription to all tickers has one heartbeat for those that moved.
    if (symbol === "*" && positions !== undefined)
      for (const [ticker, reached] of Object.entries(positions)) this.#reach(ticker, reached);
    if (!Number.isSafeInteger(seq)) return;
    const before = this.positions.get(symbol);
    if (data.type === "heartbeat") this.#reach(symbol, seq);
    else if (NO_UPDATES.has(data.type) || before === undefined) this.positions.set(symbol, seq);
    else {
      const isNext = seq === before + 1 || this.#mayLeaveOut || conflated !== undefined;
      if (seq <= before || !isNext) this.faults.push(`${symbol}: update ${seq} came after ${before}`);
      this.positions.set(symbol, Math.max(seq, before));
    }
  }

  /** A heartbeat's position: with every update before it, it is told nothing new. */
  #reach(ticker: string, seq: number): void {
    const before = this.positions.get(ticker) ?? seq;
    if (seq > before && !this.#mayLeaveOut)
      this.faults.push(`${ticker}: a heartbeat of position ${seq} came after ${before}`);
    this.positions.set(ticker, Math.max(seq, before));
  }
}
