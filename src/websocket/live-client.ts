/** One WebSocket of /ws: what it watches, and what waits for it while it reads slowly. */
import type { ServerWebSocket } from "bun";
import { RequestError } from "../protocol/errors.ts";
import { CLOSE_NORMAL, CLOSE_RESTART, CLOSE_SLOW, CLOSE_TRY_LATER } from "../protocol/frames.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { Update } from "../storage/update-contract.ts";
import type { Start } from "../stream/starting-point.ts";
import { ALL_TICKERS, type Subscriber, type Subscription } from "../stream/subscriber.ts";
import type { Subscriptions } from "../stream/subscriptions.ts";
import { isNothing, matches, minus, shownTypes, type TypeFilter, union } from "../stream/type-filter.ts";
import { type Handshake, MessageError, readMessage, startOf, type Wish } from "./live-request.ts";
import type { SocketData } from "./sockets.ts";
import { WaitingUpdates } from "./waiting-updates.ts";

/** With more than this in Bun's hands a client counts as slow: what comes next waits here, where its policy can act. */
const SLOW_BYTES = 64 * 1024;
/** Subscriptions of one socket that begin at once; the others wait their turn. */
const BEGIN_AT_ONCE = 8;
/** How long a subscription waits for a database that is away, and how often it asks. */
const BEGIN_WAIT_MAX_MS = 10_000;
const BEGIN_RETRY_MS = 250;
/** RFC 6455: a close reason has at most 123 bytes. */
const REASON_BYTES_MAX = 123;
const POSITIONS_NAMED_MAX = 10_000;
/** Of answers to messages that it doesn't read. */
const ANSWERS_BYTES_MAX = 1024 * 1024;

export interface LiveClientOptions {
  subscriptions: Subscriptions;
  symbolsMax: number;
  queueBytesMax: number;
  /** What a client was closed for. */
  onSlow(reason: string): void;
  warn(message: string): void;
}

export class LiveClient implements Subscriber {
  readonly #socket: ServerWebSocket<SocketData>;
  readonly #handshake: Handshake;
  readonly #options: LiveClientOptions;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #waiting: WaitingUpdates;
  /** Of a recovery that waits for room. */
  #room: PromiseWithResolvers<void> | null = null;
  #slow = false;
  #closing = false;

  constructor(socket: ServerWebSocket<SocketData>, handshake: Handshake, options: LiveClientOptions) {
    this.#socket = socket;
    this.#handshake = handshake;
    this.#options = options;
    this.#waiting = new WaitingUpdates(handshake.slow, options.queueBytesMax);
  }

  get open(): boolean {
    return !this.#closing && this.#socket.readyState === WebSocket.OPEN;
  }

  get slow(): boolean {
    return this.#slow;
  }

  /** Of what it watches, for the log. */
  get shown(): string {
    const names = [...this.#subscriptions.keys()].slice(0, 3).map((ticker) => shownTicker(ticker));
    return names.length === 0 ? "nothing" : names.join(", ") + (this.#subscriptions.size > 3 ? ", …" : "");
  }

  get waitingBytes(): number {
    return this.#waiting.bytes;
  }

  /** True while something waits for it that `pace` may move on. */
  get waits(): boolean {
    return this.#slow || this.#room !== null;
  }

  /** Begins what the handshake asked for. */
  start(): void {
    const { symbol, wish } = this.#handshake;
    if (wish === null) return;
    const opened = wish.tickers.map((ticker) => this.#open(ticker, wish.filter));
    // Who asks for one by `symbol` knows what it is subscribed to.
    void this.#begin(opened, wish, symbol === "");
  }

  message(received: string | Buffer): void {
    if (this.#socket.getBufferedAmount() > this.#options.queueBytesMax + ANSWERS_BYTES_MAX) {
      this.#disconnect();
      return;
    }
    try {
      const message = readMessage(received);
      switch (message.action) {
        case "close":
          this.#socket.close(CLOSE_NORMAL);
          return;
        case "subscribe":
          this.#change(message.wish);
          return;
        case "unsubscribe":
          this.#unsubscribe(message.tickers, message.filter);
          this.#tell();
      }
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      this.send(JSON.stringify({ type: "error", code: error.code, error: error.message }));
    }
  }

  /** Call when Bun has handed over everything, and after publishing. Whoever doesn't keep up leaves the topics, and comes back to them. */
  pace(): void {
    if (this.#closing) return;
    if (this.#socket.getBufferedAmount() <= SLOW_BYTES) {
      if (this.#slow) this.#flush();
      this.#room?.resolve();
      this.#room = null;
      return;
    }
    this.#becomeSlow();
  }

  /** Call when the socket has closed. */
  closed(): void {
    this.#closing = true;
    for (const subscription of this.#subscriptions.values()) this.#options.subscriptions.leave(subscription);
    this.#subscriptions.clear();
    this.#waiting.clear();
    this.#room?.resolve();
  }

  send(text: string): void {
    if (this.open) this.#socket.send(text);
  }

  recover(text: string): void {
    this.send(text);
  }

  deliver(ticker: string, update: Update, text: string): void {
    if (!this.open) return;
    if (this.#waiting.size === 0 && this.#socket.getBufferedAmount() <= SLOW_BYTES) {
      this.#socket.send(text);
      return;
    }
    this.#becomeSlow();
    if (!this.#waiting.add(ticker, update, text)) this.#disconnect([ticker, update.seq]);
  }

  waitsFrom(ticker: string): number | undefined {
    return this.#waiting.size === 0 ? undefined : this.#waiting.firstOf(ticker);
  }

  deliverGap(ticker: string, from: number, to: number, text: string): void {
    if (!this.open) return;
    if (this.#waiting.size === 0) this.#socket.send(text);
    else this.#waiting.addGap(ticker, from, to, text);
  }

  deliverSnapshot(ticker: string, seq: number, text: string): void {
    if (!this.open) return;
    if (this.#waiting.size === 0) this.#socket.send(text);
    else this.#waiting.addSnapshot(ticker, seq, text);
  }

  async room(): Promise<void> {
    // Also with room: a long recovery must let others have their turn.
    await new Promise(setImmediate);
    if (!this.open || this.#socket.getBufferedAmount() <= SLOW_BYTES) return;
    this.#room ??= Promise.withResolvers<void>();
    await this.#room.promise;
  }

  listen(topic: string): void {
    if (this.open) this.#socket.subscribe(topic);
  }

  unlisten(topic: string): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.unsubscribe(topic);
  }

  restart(): void {
    this.#socket.close(CLOSE_RESTART, "updates may have been missed; connect again");
  }

  /** All that it listens to is handed to it from here on, where its policy can act. */
  #becomeSlow(): void {
    if (this.#slow) return;
    this.#slow = true;
    for (const subscription of this.#subscriptions.values())
      this.#options.subscriptions.handOver(subscription);
  }

  #flush(): void {
    while (this.open && this.#socket.getBufferedAmount() <= SLOW_BYTES) {
      const text = this.#waiting.take();
      if (text === undefined) {
        this.#slow = false;
        for (const subscription of this.#subscriptions.values())
          this.#options.subscriptions.takeBack(subscription);
        return;
      }
      this.#socket.send(text);
    }
  }

  /** Nothing more fits. @param next the ticker and position of the update that doesn't. */
  #disconnect(next?: [ticker: string, seq: number]): void {
    const { subscriptions } = this.#options;
    const first = this.#waiting.first();
    if (next !== undefined && !first.has(next[0])) first.set(...next);
    const last = (subscription: Subscription, ticker: string): number | null => {
      const waits = first.get(ticker);
      return waits === undefined ? subscriptions.reached(subscription, ticker) : waits - 1;
    };
    const positions = new Map<string, number>();
    for (const subscription of this.#subscriptions.values()) {
      // Of all tickers those of which something is missing: of the others it has the position.
      const tickers =
        subscription.ticker === ALL_TICKERS
          ? [...first.keys(), ...subscription.behind.keys()]
          : [subscription.ticker];
      for (const ticker of tickers) {
        const position = last(subscription, ticker);
        if (position !== null && positions.size < POSITIONS_NAMED_MAX) positions.set(ticker, position);
      }
    }
    const [only] = this.#subscriptions.size === 1 ? this.#subscriptions.keys() : [];
    const single = only === undefined || only === ALL_TICKERS ? undefined : positions.get(only);
    const reason = single === undefined ? "slow reader" : `slow reader; last position ${single}`;
    if (single === undefined) {
      const named = Object.fromEntries(positions);
      this.#socket.send(JSON.stringify({ type: "last_positions", positions: named }));
    }
    this.#options.onSlow(reason);
    this.#socket.close(CLOSE_SLOW, reason.slice(0, REASON_BYTES_MAX));
    this.closed();
  }

  #change(wish: Wish): void {
    const { subscriptions, symbolsMax } = this.#options;
    const hasAll = this.#subscriptions.has(ALL_TICKERS);
    const wantsAll = wish.tickers[0] === ALL_TICKERS;
    if (this.#subscriptions.size > 0 && hasAll !== wantsAll) {
      throw new MessageError(
        "bad_message",
        wantsAll
          ? 'symbols: got "*" beside single tickers: unsubscribe them first'
          : 'symbols: all tickers are subscribed to already: unsubscribe "*" first',
      );
    }
    const added = wish.tickers.filter((ticker) => !this.#subscriptions.has(ticker)).length;
    if (this.#subscriptions.size + added > symbolsMax) throw tooMany(symbolsMax, added);
    const opened: Subscription[] = [];
    for (const ticker of wish.tickers) {
      const before = this.#subscriptions.get(ticker);
      if (before !== undefined && startOf(wish, ticker).kind !== "since") {
        subscriptions.widen(before, wish.filter);
        continue;
      }
      if (before !== undefined) this.#leave(before);
      const filter = before === undefined ? wish.filter : union(before.filter, wish.filter);
      opened.push(this.#open(ticker, filter));
    }
    void this.#begin(opened, wish, true);
  }

  #unsubscribe(tickers: string[], filter: TypeFilter): void {
    for (const ticker of tickers) {
      const subscription = this.#subscriptions.get(ticker);
      if (subscription === undefined) continue;
      const left = minus(subscription.filter, filter);
      if (isNothing(left)) {
        this.#leave(subscription);
        continue;
      }
      this.#options.subscriptions.refilter(subscription, left);
      this.#waiting.dropTypes(ticker === ALL_TICKERS ? null : ticker, (type) => matches(left, type));
    }
  }

  #open(ticker: string, filter: TypeFilter): Subscription {
    const subscription = this.#options.subscriptions.open(this, ticker, filter);
    this.#subscriptions.set(ticker, subscription);
    return subscription;
  }

  /** What still waits of it would come after the answer that it has ended. */
  #leave(subscription: Subscription): void {
    const { ticker } = subscription;
    this.#options.subscriptions.leave(subscription);
    this.#subscriptions.delete(ticker);
    if (ticker === ALL_TICKERS) this.#waiting.clear();
    else this.#waiting.dropTicker(ticker);
  }

  async #begin(opened: Subscription[], wish: Wish, tell: boolean): Promise<void> {
    const { subscriptions } = this.#options;
    // Where the database is away, each of them waits for it below, and says so.
    if (tell) await subscriptions.epoch().catch(() => null);
    if (tell) this.#tell();
    const failed: string[] = [];
    let why = "";
    const deadline = performance.now() + BEGIN_WAIT_MAX_MS;
    const queue = opened.values();
    const beginInTurn = async (): Promise<void> => {
      for (const subscription of queue) {
        // Where reads take no turn of the event loop, hundreds of them would leave none to the others.
        await new Promise(setImmediate);
        try {
          await this.#beginOne(subscription, startOf(wish, subscription.ticker), deadline);
        } catch (error) {
          why = messageOf(error);
          failed.push(shownTicker(subscription.ticker));
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(BEGIN_AT_ONCE, opened.length) }, beginInTurn));
    if (failed.length === 0 || !this.open) return;
    const names = failed.slice(0, 3).join(", ") + (failed.length > 3 ? ", …" : "");
    this.#options.warn(`WebSocket for ${names}: ${why}`);
    if (!tell || this.#subscriptions.size === 0) {
      this.#socket.close(CLOSE_TRY_LATER, "the server can't subscribe now");
      return;
    }
    this.send(
      JSON.stringify({ type: "error", code: "unavailable", error: `not subscribed to ${names}: ${why}` }),
    );
    this.#tell();
  }

  /**
   * A database that is away is asked again, from where the client is by then.
   *
   * @throws what it failed with at the deadline.
   */
  async #beginOne(subscription: Subscription, start: Start, deadline: number): Promise<void> {
    const { subscriptions } = this.#options;
    const { ticker } = subscription;
    /** Meanwhile the client may have ended it, or begun it elsewhere; other types stand in it. */
    const isCurrent = (): boolean => this.open && this.#subscriptions.get(ticker) === subscription;
    for (;;) {
      try {
        await subscriptions.begin(subscription, start);
        return;
      } catch (error) {
        if (!isCurrent()) return;
        // Of all tickers it has got too much already to begin once more: the client knows where it is.
        const isOver = ticker === ALL_TICKERS || performance.now() > deadline;
        if (isOver || !(error instanceof RequestError)) {
          this.#subscriptions.delete(ticker);
          throw error;
        }
        const epoch = subscriptions.knownEpoch;
        await Bun.sleep(BEGIN_RETRY_MS);
        if (!isCurrent()) return;
        const told = subscription.behind.get(ticker) ?? null;
        if (told !== null) start = { kind: "since", since: { position: told }, epoch };
        subscription = this.#open(ticker, subscription.filter);
      }
    }
  }

  #tell(): void {
    const list = [...this.#subscriptions.values()].map(({ ticker, filter }) => ({
      symbol: shownTicker(ticker),
      types: shownTypes(filter),
    }));
    const epoch = this.#options.subscriptions.knownEpoch;
    this.send(JSON.stringify({ type: "subscription", epoch, subscriptions: list }));
  }
}

export function tooMany(symbolsMax: number, added: number): MessageError {
  return new MessageError(
    "too_many_symbols",
    `symbols: got ${added} more, expected at most ${symbolsMax} on one connection (--ws-symbols-max)`,
  );
}

function shownTicker(ticker: string): string {
  return ticker === ALL_TICKERS ? "*" : ticker;
}
