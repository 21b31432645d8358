/** One WebSocket of /ws: what it watches, and what waits for it while it reads slowly. */
import type { ServerWebSocket } from "bun";
import { CLOSE_REASON_BYTES_MAX, CLOSE_RESTART, CLOSE_SLOW } from "../protocol/frames.ts";
import type { Update } from "../storage/update-contract.ts";
import { ALL_TICKERS, type Subscriber } from "../stream/subscriber.ts";
import type { Subscription } from "../stream/subscription.ts";
import type { Subscriptions } from "../stream/subscriptions.ts";
import { matches, type TypeFilter } from "../stream/type-filter.ts";
import { turn } from "../time/pauses.ts";
import { ClientRequests, type RequestingClient } from "./client-requests.ts";
import type { Handshake } from "./live-request.ts";
import type { QueuedBytes } from "./request-queue.ts";
import type { SocketData } from "./sockets.ts";
import type { SubscriptionQuota } from "./subscription-quota.ts";
import type { Turns } from "./turns.ts";
import { WaitingUpdates } from "./waiting-updates.ts";
import { WatchList } from "./watch-list.ts";

/**
 * With more than this in Bun's hands a client counts as slow: what comes next waits here, where its
 * policy can act.
 */
const SLOW_BYTES = 64 * 1024;
const POSITIONS_NAMED_MAX = 10_000;
/** Frames that go out as one: as many as Bun collects of a topic's. */
const HEARD_MAX = 32;
/**
 * Of answers to messages that it doesn't read, beside its queue: then no more messages are
 * answered.
 */
const ANSWERS_BYTES_MAX = 1024 * 1024;

export interface LiveClientOptions {
  subscriptions: Subscriptions;
  symbolsMax: number;
  queueBytesMax: number;
  quota: SubscriptionQuota;
  queuedBytes: QueuedBytes;
  turns: Turns;
  /** It was sent what others are told by topic. */
  onHeard(text: string): void;
  /** What a client is being closed for: it reads too slowly, or sends too much. */
  onCutOff(reason: string): void;
  /** A message met what nobody expected. */
  onFailed(error: unknown): void;
  warn(message: string): void;
}

export class LiveClient implements Subscriber, RequestingClient {
  readonly #socket: ServerWebSocket<SocketData>;
  readonly #handshake: Handshake;
  readonly #options: LiveClientOptions;
  readonly #watchList: WatchList;
  readonly #requests: ClientRequests;
  readonly #waiting: WaitingUpdates;
  /** Of a recovery that waits for room. */
  #room: PromiseWithResolvers<void> | null = null;
  /** What it heard in this turn: many heartbeats fall due together, and go out as one. */
  #heard: string[] | null = null;
  #slow = false;
  #closing = false;

  constructor(socket: ServerWebSocket<SocketData>, handshake: Handshake, options: LiveClientOptions) {
    this.#socket = socket;
    this.#handshake = handshake;
    this.#options = options;
    this.#waiting = new WaitingUpdates(handshake.slow, options.queueBytesMax);
    const { subscriptions, symbolsMax, quota, queuedBytes, turns } = options;
    const { address } = socket.data;
    this.#watchList = new WatchList({ subscriber: this, address, subscriptions, quota, symbolsMax });
    this.#requests = new ClientRequests({
      subscriptions,
      watchList: this.#watchList,
      symbolsMax,
      queuedBytes,
      turns,
      client: this,
    });
  }

  get open(): boolean {
    return !this.#closing && this.#socket.readyState === WebSocket.OPEN;
  }

  get slow(): boolean {
    return this.#slow;
  }

  get subscriptions(): Iterable<Subscription> {
    return this.#watchList;
  }

  /** Of what it watches, for the log. */
  get shown(): string {
    return this.#watchList.shown;
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
    // Who asks for one by `symbol` knows what it is subscribed to.
    if (wish !== null) this.#requests.begin(wish, symbol === "");
  }

  message(received: string | Buffer): void {
    if (!this.#closing) this.#requests.message(received);
  }

  /**
   * Call when Bun has handed over everything, and after publishing. Whoever doesn't keep up leaves
   * the topics, and comes back to them.
   */
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
    this.#requests.stop();
    this.#watchList.leaveAll();
    this.#waiting.clear();
    this.#room?.resolve();
  }

  send(text: string): void {
    if (this.open) this.#write(text);
  }

  close(code: number, reason: string): void {
    this.#writeHeard();
    this.#socket.close(code, reason.slice(0, CLOSE_REASON_BYTES_MAX));
  }

  refuse(code: number, errorCode: string, reason: string): void {
    if (!this.open) return;
    this.send(JSON.stringify({ type: "error", code: errorCode, error: reason }));
    this.#options.onCutOff(reason);
    this.close(code, reason);
    this.closed();
  }

  ended(ticker: string): void {
    if (ticker === ALL_TICKERS) this.#waiting.clear();
    else this.#waiting.dropTicker(ticker);
  }

  narrowed(ticker: string, filter: TypeFilter): void {
    this.#waiting.dropTypes(ticker === ALL_TICKERS ? null : ticker, (type) => matches(filter, type));
  }

  get hasRoomForAnswer(): boolean {
    return this.#socket.getBufferedAmount() <= this.#options.queueBytesMax + ANSWERS_BYTES_MAX;
  }

  warn(message: string): void {
    this.#options.warn(message);
  }

  failed(error: unknown): void {
    this.#options.onFailed(error);
  }

  recover(text: string): void {
    this.send(text);
  }

  deliver(ticker: string, update: Update, text: string): void {
    if (!this.open) return;
    if (this.#waiting.size === 0 && this.#socket.getBufferedAmount() <= SLOW_BYTES) {
      this.#write(text);
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
    if (this.#waiting.size === 0) this.#write(text);
    else this.#waiting.addGap(ticker, from, to, text);
  }

  deliverSnapshot(ticker: string, seq: number, text: string): void {
    if (!this.open) return;
    if (this.#waiting.size === 0) this.#write(text);
    else this.#waiting.addSnapshot(ticker, seq, text);
  }

  async room(): Promise<void> {
    // Also with room: a long recovery must let others have their turn.
    await turn();
    if (!this.open || this.#socket.getBufferedAmount() <= SLOW_BYTES) return;
    this.#room ??= Promise.withResolvers<void>();
    await this.#room.promise;
  }

  hear(text: string): void {
    if (!this.open) return;
    this.#options.onHeard(text);
    if (this.#heard === null) {
      this.#heard = [];
      queueMicrotask(() => this.#writeHeard());
    }
    if (this.#heard.push(text) >= HEARD_MAX) this.#writeHeard();
  }

  listen(topic: string): void {
    this.#writeHeard();
    if (this.open) this.#socket.subscribe(topic);
  }

  unlisten(topic: string): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.unsubscribe(topic);
  }

  restart(): void {
    this.close(CLOSE_RESTART, "updates may have been missed; connect again");
    this.closed();
  }

  #write(text: string): void {
    this.#writeHeard();
    this.#socket.send(text);
  }

  #writeHeard(): void {
    const heard = this.#heard;
    if (heard === null) return;
    this.#heard = null;
    if (!this.open) return;
    this.#socket.cork(() => {
      for (const text of heard) this.#socket.send(text);
    });
  }

  /** All that it listens to is handed to it from here on, where its policy can act. */
  #becomeSlow(): void {
    if (this.#slow) return;
    this.#slow = true;
    for (const subscription of this.#watchList) this.#options.subscriptions.handOver(subscription);
  }

  #flush(): void {
    while (this.open && this.#socket.getBufferedAmount() <= SLOW_BYTES) {
      const text = this.#waiting.take();
      if (text === undefined) {
        this.#slow = false;
        for (const subscription of this.#watchList) this.#options.subscriptions.takeBack(subscription);
        return;
      }
      this.#write(text);
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
    for (const subscription of this.#watchList) {
      // Of all tickers those of which something is missing: of the others it has the position.
      const tickers =
        subscription.ticker === ALL_TICKERS
          ? [...first.keys(), ...subscription.behindTickers()]
          : [subscription.ticker];
      for (const ticker of tickers) {
        const position = last(subscription, ticker);
        if (position !== null && positions.size < POSITIONS_NAMED_MAX) positions.set(ticker, position);
      }
    }
    const [only] = this.#watchList.size === 1 ? [...this.#watchList].map(({ ticker }) => ticker) : [];
    const single = only === undefined || only === ALL_TICKERS ? undefined : positions.get(only);
    const reason = single === undefined ? "slow reader" : `slow reader; last position ${single}`;
    if (single === undefined) {
      const named = Object.fromEntries(positions);
      this.#write(JSON.stringify({ type: "last_positions", positions: named }));
    }
    this.#options.onCutOff(reason);
    this.close(CLOSE_SLOW, reason);
    this.closed();
  }
}
