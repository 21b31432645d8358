/** One WebSocket of /ws: what it watches, and what waits for it while it reads slowly. */
import type { ServerWebSocket } from "bun";
import { CLOSE_NORMAL, CLOSE_RESTART, CLOSE_SLOW, CLOSE_TRY_LATER } from "../protocol/frames.ts";
import type { Update } from "../storage/update-contract.ts";
import {
  ALL_TICKERS,
  type Subscriber,
  type Subscription,
  type Subscriptions,
} from "../stream/subscriptions.ts";
import { isNothing, minus, shownTypes } from "../stream/type-filter.ts";
import { type Handshake, MessageError, readMessage, type Wish } from "./live-request.ts";
import type { SocketData } from "./sockets.ts";
import { WaitingUpdates } from "./waiting-updates.ts";

/** With more than this in Bun's hands a client counts as slow: what comes next waits here, where its policy can act. */
const SLOW_BYTES = 64 * 1024;
/** Subscriptions of one socket that begin at once; the others wait their turn. */
const BEGIN_AT_ONCE = 16;
/** RFC 6455: a close reason has at most 123 bytes. */
const REASON_BYTES_MAX = 123;
const NEWEST_NAMED_MAX = 10_000;

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
    // Who asks for one by `symbol` knows what it is subscribed to.
    this.#subscribe(wish, symbol === "");
  }

  message(text: string): void {
    try {
      const message = readMessage(text);
      switch (message.action) {
        case "close":
          this.#socket.close(CLOSE_NORMAL);
          return;
        case "subscribe":
          this.#change(message.wish, message.hasSince);
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
    if (this.#slow) return;
    this.#slow = true;
    for (const subscription of this.#subscriptions.values())
      this.#options.subscriptions.handOver(subscription);
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
    this.#slow = true;
    if (!this.#waiting.add(ticker, update, text)) this.#disconnect(ticker, update);
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

  /** The next update of `ticker` doesn't fit any more. */
  #disconnect(ticker: string, { seq }: Update): void {
    const { subscriptions } = this.#options;
    const first = this.#waiting.first();
    if (!first.has(ticker)) first.set(ticker, seq);
    const last = (of: string): number => (first.get(of) ?? subscriptions.delivered(of) + 1) - 1;
    const [single] = this.#subscriptions.keys();
    let reason = "slow reader";
    if (this.#subscriptions.size === 1 && single !== undefined && single !== ALL_TICKERS) {
      reason = `slow reader; last position ${last(single)}`;
    } else {
      const tickers = single === ALL_TICKERS ? [...first.keys()] : [...this.#subscriptions.keys()];
      const named = tickers.slice(0, NEWEST_NAMED_MAX).map((of) => [of, last(of)]);
      this.#socket.send(JSON.stringify({ type: "last_positions", positions: Object.fromEntries(named) }));
    }
    this.#waiting.clear();
    this.#options.onSlow(reason);
    this.#socket.close(CLOSE_SLOW, reason.slice(0, REASON_BYTES_MAX));
    this.closed();
  }

  #change(wish: Wish, hasSince: boolean): void {
    const { subscriptions, symbolsMax } = this.#options;
    const isAll = (tickers: Iterable<string>): boolean => [...tickers].includes(ALL_TICKERS);
    const mixes = (tickers: string[]): boolean => this.#subscriptions.size > 0 && isAll(tickers);
    if (isAll(this.#subscriptions.keys()) !== isAll(wish.tickers) && this.#subscriptions.size > 0) {
      throw new MessageError(
        "bad_message",
        mixes(wish.tickers)
          ? 'symbols: got "*" beside single tickers: unsubscribe them first'
          : `symbols: all tickers are subscribed to already: unsubscribe "*" first`,
      );
    }
    const fresh = wish.tickers.filter((ticker) => hasSince || !this.#subscriptions.has(ticker));
    const added = wish.tickers.filter((ticker) => !this.#subscriptions.has(ticker)).length;
    if (this.#subscriptions.size + added > symbolsMax) throw tooMany(symbolsMax, added);
    for (const ticker of wish.tickers) {
      const subscription = this.#subscriptions.get(ticker);
      if (subscription === undefined) continue;
      if (!hasSince) subscriptions.widen(subscription, wish.filter);
      else {
        subscriptions.leave(subscription);
        this.#subscriptions.delete(ticker);
      }
    }
    this.#subscribe({ ...wish, tickers: fresh }, true);
  }

  #unsubscribe(tickers: string[], filter: Wish["filter"]): void {
    const { subscriptions } = this.#options;
    for (const ticker of tickers) {
      const subscription = this.#subscriptions.get(ticker);
      if (subscription === undefined) continue;
      const left = minus(subscription.filter, filter);
      if (!isNothing(left)) {
        subscriptions.refilter(subscription, left);
        continue;
      }
      subscriptions.leave(subscription);
      this.#subscriptions.delete(ticker);
    }
  }

  #subscribe({ tickers, filter, start }: Wish, tell: boolean): void {
    const opened = tickers.map((ticker) => {
      const subscription = this.#options.subscriptions.open(this, ticker, filter);
      this.#subscriptions.set(ticker, subscription);
      return subscription;
    });
    void this.#begin(opened, start, tell);
  }

  async #begin(opened: Subscription[], start: Wish["start"], tell: boolean): Promise<void> {
    const failed: string[] = [];
    let why = "";
    const queue = opened.values();
    try {
      if (tell) await this.#options.subscriptions.epoch();
    } catch {
      // Each of them fails below, and says so.
    }
    if (tell) this.#tell();
    const worker = async (): Promise<void> => {
      for (const subscription of queue) {
        try {
          await this.#options.subscriptions.begin(subscription, start);
        } catch (error) {
          why = error instanceof Error ? error.message : String(error);
          failed.push(subscription.ticker);
          if (this.#subscriptions.get(subscription.ticker) === subscription)
            this.#subscriptions.delete(subscription.ticker);
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(BEGIN_AT_ONCE, opened.length) }, worker));
    if (failed.length === 0 || !this.open) return;
    const names = failed.slice(0, 3).map(shownTicker).join(", ");
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
