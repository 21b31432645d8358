/**
 * One client of live updates, through a WebSocket or a stream of events: what it watches, and what
 * waits for it while it reads slowly.
 */

import type { CheckTickers } from "../commands/context.ts";
import type { NoteRows } from "../commands/counted-rows.ts";
import type { ClientFigures } from "../connections/connection.ts";
import type { BarFrame } from "../live-bars/bar-listener.ts";
import type { LiveBars } from "../live-bars/live-bars.ts";
import { bytesIn, type Meter } from "../metrics/traffic.ts";
import { CLOSE_ENDED, CLOSE_REASON_BYTES_MAX, CLOSE_RESTART, CLOSE_SLOW } from "../protocol/codes.ts";
import { errorFrame } from "../protocol/frames.ts";
import type { Update } from "../storage/update-contract.ts";
import type { FrameForm } from "../stream/frame-form.ts";
import { ALL_TICKERS, type Subscriber } from "../stream/subscriber.ts";
import type { Subscription } from "../stream/subscription.ts";
import type { Subscriptions } from "../stream/subscriptions.ts";
import { matches, type TypeFilter } from "../stream/type-filter.ts";
import { turn } from "../time/pauses.ts";
import { ClientBars } from "./client-bars.ts";
import { ClientRequests, type RequestingClient } from "./client-requests.ts";
import { type FrameStyle, type Handshake, MessageError } from "./live-request.ts";
import type { SocketClient, SocketServices } from "./socket-client.ts";
import type { SubscriptionQuota } from "./subscription-quota.ts";
import { WaitingBars } from "./waiting-bars.ts";
import { WaitingUpdates } from "./waiting-updates.ts";
import { WatchList } from "./watch-list.ts";

/** With more than this in Bun's buffer a client is slow: updates wait here, under its policy. */
const SLOW_BYTES = 64 * 1024;
const POSITIONS_NAMED_MAX = 10_000;
/** Frames sent as one write: as many as Bun collects for a topic. */
const HEARD_MAX = 32;
/** Of a list of connections. */
const TICKERS_SHOWN = 5;
/** Limits for one batch; what is due beyond them goes into the next. A frame may be longer. */
const BATCH_FRAMES_MAX = 1_000;
const BATCH_CHARACTERS_MAX = 64 * 1024;
/** Limit for unread answers beside `queueBytesMax`; beyond it no more messages are answered. */
const ANSWERS_BYTES_MAX = 1024 * 1024;

/** What a client is written to: a WebSocket, or what stands for one. */
export interface ClientSocket {
  /** As that of a WebSocket. */
  readonly readyState: number;
  getBufferedAmount(): number;
  send(text: string): number;
  /** What is sent in the call goes out as one write. */
  cork(write: () => void): void;
  subscribe(topic: string): void;
  unsubscribe(topic: string): void;
  close(code: number, reason: string): void;
}

export interface LiveClientOptions extends SocketServices {
  address: string;
  /** The socket has no topics, and collects what is sent in a turn by itself. */
  isStream: boolean;
  /** Told of its frames and updates; a stream tells the bytes of its events itself. */
  meter: Meter;
  subscriptions: Subscriptions;
  liveBars: LiveBars;
  symbolsMax: number;
  queueBytesMax: number;
  quota: SubscriptionQuota;
  checkTickers: CheckTickers | null;
  /** Told of updates that are read of the log for it. Null: they aren't counted. */
  noteRows: NoteRows | null;
}

export class LiveClient implements Subscriber, SocketClient, RequestingClient {
  readonly #socket: ClientSocket;
  readonly #handshake: Handshake;
  readonly #options: LiveClientOptions;
  readonly #watchList: WatchList;
  readonly #requests: ClientRequests;
  readonly #waiting: WaitingUpdates;
  readonly #bars: ClientBars;
  readonly #waitingBars: WaitingBars;
  /** Set while a recovery waits for room. */
  #room: PromiseWithResolvers<void> | null = null;
  /** Frames of this turn of the event loop: heartbeats often fall due together, and go as one. */
  #heard: string[] | null = null;
  #heardCharacters = 0;
  #telling: FrameStyle;
  #slow = false;
  #closing = false;

  constructor(socket: ClientSocket, handshake: Handshake, options: LiveClientOptions) {
    this.#socket = socket;
    this.#handshake = handshake;
    this.#options = options;
    this.#telling = handshake;
    this.#waiting = new WaitingUpdates(handshake.slow, options.queueBytesMax, {
      gapText: (ticker, range) => this.form.gap(ticker, range, "slow", options.subscriptions.knownEpoch),
      counts: options.counts,
    });
    this.#waitingBars = new WaitingBars(options.queueBytesMax);
    this.#bars = new ClientBars({
      liveBars: options.liveBars,
      take: (frame) => this.#takeBars(frame),
      failed: (ticker, why) => this.send(errorFrame("unavailable", `not told of ${ticker}: ${why}`)),
    });
    const { address, subscriptions, symbolsMax, quota, checkTickers, queuedBytes, turns } = options;
    this.#watchList = new WatchList({
      ...{ subscriber: this, address, subscriptions, quota, checkTickers, symbolsMax },
      barsOf: (ticker) => this.#bars.shown(ticker),
    });
    this.#requests = new ClientRequests({
      subscriptions,
      watchList: this.#watchList,
      bars: this.#bars,
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

  get form(): FrameForm {
    return this.#telling.form;
  }

  get hearsAlone(): boolean {
    const { isStream, meter } = this.#options;
    // What goes to several at once would count for none of them.
    return this.#telling.batch || isStream || meter.isBounded;
  }

  get subscriptions(): Iterable<Subscription> {
    return this.#watchList;
  }

  subscriptionTo(ticker: string): Subscription | undefined {
    return this.#watchList.get(ticker);
  }

  tellAs(telling: FrameStyle): void {
    const isSame = telling.form === this.form && telling.batch === this.#telling.batch;
    if (isSame) return;
    if (this.#watchList.size > 0)
      throw new MessageError(
        "bad_message",
        "frames, heartbeat, batch: got others than those of the subscriptions before, expected them with the first",
      );
    this.#telling = telling;
  }

  /** What it watches, for the log. */
  get shown(): string {
    return this.#watchList.shown;
  }

  get waitingBytes(): number {
    return this.#waiting.bytes + this.#waitingBars.bytes;
  }

  /** Whether anything waits that `pace` may move on. */
  get waits(): boolean {
    return this.#slow || this.#room !== null;
  }

  figures(): ClientFigures {
    const { updates, folded, gaps, nextSinceMs } = this.#waiting;
    return {
      subscriptions: this.#watchList.size,
      policy: this.#handshake.slow,
      queue: updates + this.#waitingBars.size,
      queueBytes: this.waitingBytes,
      waitedMs: nextSinceMs === null ? 0 : performance.now() - nextSinceMs,
      folded,
      gaps,
    };
  }

  details(): { tickers: string[]; lag_updates: number } {
    const { subscriptions } = this.#options;
    let behind = this.#waiting.updates;
    for (const subscription of this.#requests.isBeginning ? this.#watchList : []) {
      for (const ticker of subscription.tickersBeingRead())
        behind += Math.max(
          0,
          subscriptions.delivered(ticker) - (subscriptions.reached(subscription, ticker) ?? 0),
        );
    }
    return { tickers: this.#watchList.firstTickers(TICKERS_SHOWN), lag_updates: behind };
  }

  /**
   * Of each ticker, the position up to which everything was sent; those that have not begun are
   * left out. Null: they mean nothing now, as the subscriptions were taken away.
   */
  places(): Map<string, number> | null {
    const { subscriptions } = this.#options;
    const waiting = this.#waiting.size === 0 ? null : this.#waiting.first();
    const places = new Map<string, number>();
    for (const subscription of this.#watchList) {
      if (subscription.hasLeft) return null;
      const { ticker } = subscription;
      const first = waiting?.get(ticker);
      const position = first === undefined ? subscriptions.reached(subscription, ticker) : first - 1;
      if (position !== null) places.set(ticker, position);
    }
    return places;
  }

  start(): void {
    const { symbol, wish } = this.#handshake;
    // A client that names one ticker by `symbol` knows what it is subscribed to.
    if (wish !== null) this.#requests.begin(wish, symbol === "");
  }

  message(received: string | Buffer): void {
    if (!this.#closing) this.#requests.message(received);
  }

  /** Call after publishing, and when Bun's buffer is empty. A slow client leaves the topics. */
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

  closed(): void {
    this.#closing = true;
    this.#requests.stop();
    this.#watchList.leaveAll();
    this.#bars.leaveAll();
    this.#waiting.clear();
    this.#waitingBars.clear();
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
    this.send(errorFrame(errorCode, reason));
    this.#options.onCutOff(reason, code === CLOSE_ENDED);
    this.close(code, reason);
    this.closed();
  }

  ended(ticker: string): void {
    if (ticker === ALL_TICKERS) this.#waiting.clear();
    else this.#waiting.dropTicker(ticker);
    this.#waitingBars.dropTicker(ticker);
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
    this.#options.noteRows?.(1);
    if (this.open) this.#options.meter.sentRows(1);
    this.send(text);
  }

  deliver(ticker: string, update: Update, text: string): void {
    if (!this.open) return;
    if (this.#waiting.size === 0 && this.#socket.getBufferedAmount() <= SLOW_BYTES) {
      this.#options.meter.sentRows(1);
      this.#write(text);
      return;
    }
    this.#becomeSlow();
    if (!this.#waiting.add(ticker, update, text)) this.#disconnect([ticker, update.position]);
  }

  waitsFrom(ticker: string): number | undefined {
    return this.#waiting.size === 0 ? undefined : this.#waiting.firstOf(ticker);
  }

  deliverGap(ticker: string, from: number, to: number, text: string): void {
    if (!this.open) return;
    if (this.#waiting.size === 0) this.#write(text);
    else this.#waiting.addGap(ticker, from, to, text);
  }

  deliverSnapshot(ticker: string, position: number, text: string): void {
    if (!this.open) return;
    if (this.#waiting.size === 0) this.#write(text);
    else this.#waiting.addSnapshot(ticker, position, text);
  }

  async room(): Promise<void> {
    // Also with room: a long recovery must let others have their turn.
    await turn();
    if (!this.open || this.#socket.getBufferedAmount() <= SLOW_BYTES) return;
    this.#room ??= Promise.withResolvers<void>();
    await this.#room.promise;
  }

  hear(text: string, rows: number): void {
    if (!this.open) return;
    this.#options.meter.sentRows(rows);
    this.#options.onHeard(text.length);
    if (this.#options.isStream) this.#socket.send(text);
    else this.#collect(text);
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

  #takeBars(frame: BarFrame): void {
    if (!this.open) return;
    if (!this.#slow && this.#socket.getBufferedAmount() <= SLOW_BYTES) {
      this.hear(frame.text, 1);
      return;
    }
    this.#becomeSlow();
    if (this.#waitingBars.add(frame)) return;
    if (this.#handshake.slow === "disconnect") this.#disconnect();
    else this.#waitingBars.drop(frame);
  }

  #write(text: string): void {
    if (this.#telling.batch) {
      this.#collect(text);
      return;
    }
    this.#writeHeard();
    this.#sendNow(text);
  }

  #sendNow(text: string): void {
    if (!this.#options.isStream) this.#options.meter.sent(bytesIn(text));
    this.#socket.send(text);
  }

  #collect(text: string): void {
    const { batch } = this.#telling;
    if (batch && this.#heardCharacters + text.length > BATCH_CHARACTERS_MAX) this.#writeHeard();
    if (this.#heard === null) {
      this.#heard = [];
      queueMicrotask(() => this.#writeHeard());
    }
    this.#heardCharacters += text.length;
    if (this.#heard.push(text) >= (batch ? BATCH_FRAMES_MAX : HEARD_MAX)) this.#writeHeard();
  }

  #writeHeard(): void {
    const heard = this.#heard;
    if (heard === null) return;
    this.#heard = null;
    this.#heardCharacters = 0;
    if (!this.open) return;
    if (this.#telling.batch && heard.length > 1) {
      this.#sendNow(`{"type":"batch","updates":[${heard.join(",")}]}`);
      return;
    }
    this.#socket.cork(() => {
      for (const text of heard) this.#sendNow(text);
    });
  }

  /** All updates are now delivered one by one, so that the client's policy can act. */
  #becomeSlow(): void {
    if (this.#slow) return;
    this.#slow = true;
    for (const subscription of this.#watchList) this.#options.subscriptions.deliverDirectly(subscription);
  }

  #flush(): void {
    while (this.open && this.#socket.getBufferedAmount() <= SLOW_BYTES) {
      const update = this.#waiting.take();
      const text = update ?? this.#waitingBars.take(this.#options.subscriptions.knownEpoch);
      if (text === undefined) {
        this.#slow = false;
        for (const subscription of this.#watchList)
          this.#options.subscriptions.listenIfUpToDate(subscription);
        return;
      }
      if (update === undefined || this.#waiting.hasTakenUpdate) this.#options.meter.sentRows(1);
      this.#write(text);
    }
  }

  /** @param next the ticker and position of an update that didn't fit. */
  #disconnect(next?: [ticker: string, position: number]): void {
    const { subscriptions } = this.#options;
    const first = this.#waiting.first();
    if (next !== undefined && !first.has(next[0])) first.set(...next);
    const last = (subscription: Subscription, ticker: string): number | null => {
      const waits = first.get(ticker);
      return waits === undefined ? subscriptions.reached(subscription, ticker) : waits - 1;
    };
    const positions = new Map<string, number>();
    for (const subscription of this.#watchList) {
      // A subscription to all names only tickers with missing updates; the client has the others'.
      const tickers =
        subscription.ticker === ALL_TICKERS
          ? [...first.keys(), ...subscription.tickersBeingRead()]
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
