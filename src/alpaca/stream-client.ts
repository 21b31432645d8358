/** One WebSocket of a stream: who it is, what it has asked for, and what waits for it. */
import type { Callers } from "../access/callers.ts";
import { type Credentials, keyIn } from "../access/credentials.ts";
import type { KeyRates } from "../access/key-rates.ts";
import type { Caller } from "../access/key-ring.ts";
import { auditedCheck } from "../commands/audited.ts";
import { tickerCheck } from "../commands/seen-tickers.ts";
import type { ClientFigures } from "../connections/connection.ts";
import { bytesIn, type Meter } from "../metrics/traffic.ts";
import type { AuditLog } from "../observe/audit-log.ts";
import {
  CLOSE_ENDED,
  CLOSE_KEY,
  CLOSE_POLICY,
  CLOSE_REASON_BYTES_MAX,
  CLOSE_RESTART,
  CLOSE_SLOW,
  CLOSE_TRY_LATER,
  STATUS,
} from "../protocol/codes.ts";
import { forbidden, RequestError } from "../protocol/errors.ts";
import { ALL_TICKERS } from "../stream/subscriber.ts";
import { sleep } from "../time/pauses.ts";
import { RequestQueue } from "../websocket/request-queue.ts";
import type { Socket, SocketClient, SocketServices } from "../websocket/socket-client.ts";
import type { SocketPlaces } from "../websocket/socket-places.ts";
import type { SubscriptionQuota } from "../websocket/subscription-quota.ts";
import { TokenBucket } from "../websocket/token-bucket.ts";
import { ChannelList, type ChannelNames, DATA_CHANNELS } from "./channels.ts";
import type { EventGroup } from "./event-group.ts";
import type { Listener, SharedWatch } from "./shared-watch.ts";
import { CODECS, type CodecName, type ControlMessage, type Encoded } from "./stream-codec.ts";
import { messageText, readClientMessage, StreamError } from "./stream-messages.ts";
import { WaitingGroups } from "./waiting-groups.ts";

/** How long a client may take to say who it is. */
const AUTH_MS = 10_000;
/** Of a list of connections. */
const TICKERS_SHOWN = 5;
/** With more than this in Bun's buffer messages wait here. */
const SLOW_BYTES = 64 * 1024;
/** Limit for unread answers beside `queueBytesMax`; beyond it no more messages are answered. */
const ANSWERS_BYTES_MAX = 1024 * 1024;
/**
 * Times `--ws-symbols-max`: symbols that a client may ask for at once; after that it may ask for
 * `--ws-symbols-max` a second, and more wait.
 */
const NAMED_AT_ONCE_FACTOR = 10;

export interface StreamHandshake {
  path: string;
  address: string;
  codec: CodecName;
  /** Of its headers; null: it says who it is by a message. */
  credentials: Credentials | null;
  /** Its address has too many WebSockets: it is told so, and closed. */
  isTooMany: boolean;
}

export interface StreamClientOptions extends SocketServices {
  /** Of single tickers, and of all. */
  named: SharedWatch;
  all: SharedWatch;
  quota: SubscriptionQuota;
  callers: Callers;
  rates: KeyRates;
  places: SocketPlaces;
  /** Once it is known whose key it is. */
  meterOf(caller: Caller): Meter;
  audit: AuditLog | null;
  symbolsMax: number;
  queueBytesMax: number;
  onClosed(): void;
}

export class StreamClient implements SocketClient, Listener {
  readonly #socket: Socket;
  readonly #handshake: StreamHandshake;
  readonly #options: StreamClientOptions;
  readonly #channels = new ChannelList();
  /** Tickers that it has entered at the watches; each counts for the quota. */
  readonly #entered = new Set<string>();
  readonly #requests: RequestQueue;
  readonly #named: TokenBucket;
  readonly #waiting: WaitingGroups;
  readonly #ended = new AbortController();
  readonly #authTimer: Timer;
  #isAuthenticated = false;
  #isWorking = false;
  #isFlushing = false;
  #closing = false;

  constructor(socket: Socket, handshake: StreamHandshake, options: StreamClientOptions) {
    this.#socket = socket;
    this.#handshake = handshake;
    this.#options = options;
    this.#requests = new RequestQueue(options.queuedBytes);
    const { symbolsMax } = options;
    this.#named = new TokenBucket(NAMED_AT_ONCE_FACTOR * symbolsMax, symbolsMax);
    this.#waiting = new WaitingGroups(handshake.codec, options.queueBytesMax);
    this.#authTimer = setTimeout(() => this.#end(new StreamError(404), CLOSE_POLICY), AUTH_MS);
  }

  get shown(): string {
    const { tickers } = this.details();
    const more = tickers.length > 3 ? ", …" : "";
    return tickers.length === 0 ? "nothing" : tickers.slice(0, 3).join(", ") + more;
  }

  get waitingBytes(): number {
    return this.#waiting.bytes;
  }

  get waits(): boolean {
    return !this.#waiting.isEmpty || this.#requests.size > 0;
  }

  figures(): ClientFigures {
    const { updates, bytes, nextSinceMs } = this.#waiting;
    return {
      subscriptions: this.#entered.size,
      policy: "disconnect",
      queue: updates,
      queueBytes: bytes,
      waitedMs: nextSinceMs === null ? 0 : performance.now() - nextSinceMs,
      folded: 0,
      gaps: 0,
    };
  }

  details(): { tickers: string[]; lag_updates: number } {
    const tickers: string[] = [];
    for (const ticker of this.#entered) {
      if (tickers.length === TICKERS_SHOWN) break;
      tickers.push(ticker === ALL_TICKERS ? "*" : ticker);
    }
    return { tickers, lag_updates: this.#waiting.updates };
  }

  start(): void {
    this.#send({ T: "success", msg: "connected" });
    const { credentials } = this.#handshake;
    if (credentials !== null) void this.#begin(credentials);
  }

  message(received: string | Buffer): void {
    if (this.#closing) return;
    const refused = this.#requests.add(messageText(received));
    if (refused === "own bound")
      this.refuse(CLOSE_POLICY, "", "too many messages wait for those before them");
    else if (refused !== null) this.refuse(CLOSE_TRY_LATER, "", "too many messages of all clients wait");
    else void this.#work();
  }

  pace(): void {
    this.#flush();
    void this.#work();
  }

  refuse(closeCode: number, _errorCode: string, reason: string): void {
    if (!this.#isOpen) return;
    this.#options.onCutOff(reason, closeCode === CLOSE_ENDED);
    this.#end(new StreamError(closeCode === CLOSE_KEY ? 402 : 400, reason), closeCode);
  }

  closed(): void {
    this.#closing = true;
    clearTimeout(this.#authTimer);
    this.#ended.abort();
    this.#requests.clear();
    this.#waiting.clear();
    this.#leave([...this.#entered]);
    this.#options.onClosed();
  }

  take(groups: readonly EventGroup[]): void {
    if (!this.#isOpen) return;
    if (!this.#waiting.add(groups)) {
      this.#options.onCutOff(`slow reader: more than ${this.#options.queueBytesMax} bytes wait`);
      this.#end(new StreamError(407), CLOSE_SLOW);
      return;
    }
    if (this.#isFlushing) return;
    // All updates of a turn of the event loop go as one.
    this.#isFlushing = true;
    queueMicrotask(() => {
      this.#isFlushing = false;
      this.#flush();
    });
  }

  missed(what: string): void {
    this.#flush();
    if (this.#isOpen) this.#tell(new StreamError(500, what));
  }

  restart(): void {
    if (!this.#closing) this.#close(CLOSE_RESTART, "updates may have been missed; connect again");
  }

  get #isOpen(): boolean {
    return !this.#closing && this.#socket.readyState === WebSocket.OPEN;
  }

  get #hasRoomForAnswer(): boolean {
    return this.#socket.getBufferedAmount() <= this.#options.queueBytesMax + ANSWERS_BYTES_MAX;
  }

  async #work(): Promise<void> {
    if (this.#isWorking) return;
    this.#isWorking = true;
    try {
      while (this.#isOpen && this.#requests.size > 0 && this.#hasRoomForAnswer) {
        const turn = this.#options.turns.take();
        if (turn !== null) await turn;
        const text = this.#requests.take();
        if (text !== undefined && this.#isOpen) await this.#answer(text);
      }
    } catch (error) {
      this.#options.onFailed(error);
    } finally {
      this.#isWorking = false;
    }
  }

  /** Who it is, by its headers: its messages wait for that. */
  async #begin(credentials: Credentials): Promise<void> {
    this.#isWorking = true;
    try {
      await this.#authenticate(credentials);
    } catch (error) {
      this.#options.onFailed(error);
    }
    this.#isWorking = false;
    await this.#work();
  }

  async #answer(text: string | null): Promise<void> {
    try {
      const message = readClientMessage(text);
      if (message.action === "auth") await this.#authenticate(message.credentials);
      else if (!this.#isAuthenticated) throw new StreamError(401);
      else if (message.action === "subscribe") await this.#subscribe(message.names);
      else this.#unsubscribe(message.names);
    } catch (error) {
      if (!(error instanceof StreamError)) throw error;
      if (error.code === 402) this.#end(error, CLOSE_POLICY);
      else this.#tell(error);
    }
  }

  async #authenticate(credentials: Credentials): Promise<void> {
    // Whom the headers have let in may say it again, as some clients always do.
    if (this.#isAuthenticated && this.#handshake.credentials === null) throw new StreamError(403);
    clearTimeout(this.#authTimer);
    if (this.#handshake.isTooMany) {
      this.#end(new StreamError(406), CLOSE_TRY_LATER);
      return;
    }
    const refused = await this.#admit(credentials);
    if (!this.#isOpen) return;
    if (refused === STATUS.tooMany) this.#end(new StreamError(406), CLOSE_TRY_LATER);
    else if (refused !== null) this.#end(new StreamError(402), CLOSE_POLICY);
    else {
      this.#isAuthenticated = true;
      this.#send({ T: "success", msg: "authenticated" });
    }
  }

  /** @returns the status of the refusal; null: it is let in. */
  async #admit(credentials: Credentials): Promise<number | null> {
    const { audit, callers, places, rates, meterOf } = this.#options;
    const { address, path } = this.#handshake;
    let who = "-";
    try {
      const caller = await callers.identify(keyIn(credentials), this.#handshake);
      who = caller.name;
      const before = this.#socket.data.owner;
      // What it is subscribed to was asked for with the rights of the first one.
      if (before !== null && before.hash !== caller.hash)
        throw forbidden(`the key ${before.name} has opened this WebSocket, and it can't become another's`);
      if (!caller.may.has("stream")) throw forbidden(`the key ${caller.name} lacks the scope stream`);
      if (before === null) {
        rates.check(caller, rates.countRequest(caller));
        await places.enterKey(caller, path);
        if (this.#closing) places.leaveKey(caller);
        else Object.assign(this.#socket.data, { owner: caller, meter: meterOf(caller) });
      }
      if (caller.hash !== null) audit?.signedIn(caller.name, address);
      return null;
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      audit?.refused({ who, from: address, outcome: error.status, path, error: error.message });
      return error.status;
    }
  }

  /** What is acknowledged is complete: every save that begins after it is told. */
  async #subscribe(names: ChannelNames): Promise<void> {
    this.#check(names);
    const { owner } = this.#socket.data;
    if (owner !== null) this.#checkSeen(owner, dataTickers(names));
    const added = dataTickers(names).filter((ticker) => !this.#entered.has(ticker));
    await this.#throttle(added.length);
    if (!this.#isOpen) return;
    this.#checkQuota(added);
    for (const ticker of added) this.#entered.add(ticker);
    this.#options.quota.add(this.#socket.data.address, added.length);
    // Both at once: a client that closes meanwhile leaves what it has entered.
    const failures = await Promise.all(
      [this.#options.named, this.#options.all].map((watch) =>
        watch.enter(added.filter((ticker) => this.#watchOf(ticker) === watch)),
      ),
    );
    if (!this.#isOpen) return;
    const failed = failures.find((failure) => failure !== null) ?? null;
    if (failed !== null) {
      this.#options.warn(`WebSocket ${this.#handshake.path} for ${this.shown}: ${failed}`);
      this.#end(new StreamError(500, "the server can't subscribe now; connect again"), CLOSE_TRY_LATER);
      return;
    }
    this.#channels.add(names);
    this.#attach(dataTickers(names));
    this.#acknowledge();
  }

  #unsubscribe(names: ChannelNames): void {
    this.#flush();
    this.#channels.remove(names);
    const tickers = dataTickers(names).filter((ticker) => this.#entered.has(ticker));
    this.#attach(tickers);
    this.#leave(tickers.filter((ticker) => this.#channels.dataChannels(ticker).length === 0));
    this.#acknowledge();
  }

  /**
   * Listens to what it has asked for: to each ticker of a channel, or to all at once.
   *
   * @param changed the tickers whose channels have changed.
   */
  #attach(changed: readonly string[]): void {
    for (const ticker of changed.includes(ALL_TICKERS) ? this.#entered : changed) {
      const watch = this.#watchOf(ticker);
      for (const channel of DATA_CHANNELS) {
        const isTwice = ticker !== ALL_TICKERS && this.#channels.has(channel, ALL_TICKERS);
        if (this.#channels.has(channel, ticker) && !isTwice) watch.attach(ticker, channel, this);
        else watch.detach(ticker, channel, this);
      }
    }
  }

  #leave(tickers: readonly string[]): void {
    for (const ticker of tickers) {
      const watch = this.#watchOf(ticker);
      for (const channel of DATA_CHANNELS) watch.detach(ticker, channel, this);
      watch.leave([ticker]);
      this.#entered.delete(ticker);
    }
    this.#options.quota.add(this.#socket.data.address, -tickers.length);
  }

  #watchOf(ticker: string): SharedWatch {
    return ticker === ALL_TICKERS ? this.#options.all : this.#options.named;
  }

  async #throttle(tickers: number): Promise<void> {
    const waitMs = this.#named.borrow(tickers);
    if (waitMs > 0) await sleep(waitMs, this.#ended.signal);
  }

  #check(names: ChannelNames): void {
    const { symbolsMax } = this.#options;
    const tickers = new Set(this.#channels.tickers);
    for (const list of names.values()) for (const ticker of list) tickers.add(ticker);
    if (tickers.size > symbolsMax)
      throw new StreamError(
        405,
        `got ${tickers.size} symbols, expected at most ${symbolsMax} (--ws-symbols-max)`,
      );
  }

  #checkSeen(owner: Caller, tickers: readonly string[]): void {
    try {
      const { audit } = this.#options;
      const { address: from, path } = this.#handshake;
      auditedCheck(tickerCheck(owner), audit, { who: owner.name, from, path })?.(tickers);
    } catch (error) {
      if (error instanceof RequestError) throw new StreamError(409, error.message);
      throw error;
    }
  }

  #checkQuota(added: readonly string[]): void {
    try {
      this.#options.quota.check(this.#socket.data.address, added);
    } catch (error) {
      if (error instanceof RequestError) throw new StreamError(405, error.message);
      throw error;
    }
  }

  /** Alone in its frame, as all that isn't data: some clients look at the first message only. */
  #send(message: ControlMessage): void {
    this.#sendNow(CODECS[this.#handshake.codec].control(message));
  }

  #sendNow(frame: Encoded): void {
    this.#socket.data.meter.sent(bytesIn(frame));
    this.#socket.send(frame);
  }

  #acknowledge(): void {
    this.#send({ T: "subscription", ...this.#channels.shown() });
  }

  #tell({ code, message }: StreamError): void {
    this.#send({ T: "error", code, msg: message });
  }

  #end(error: StreamError, closeCode: number): void {
    if (!this.#isOpen) return;
    this.#tell(error);
    this.#close(closeCode, error.message);
  }

  #close(code: number, reason: string): void {
    this.#socket.data.closingMs ||= performance.now();
    this.#socket.close(code, reason.slice(0, CLOSE_REASON_BYTES_MAX));
    this.closed();
  }

  #flush(): void {
    if (this.#waiting.isEmpty || !this.#isOpen) return;
    this.#socket.cork(() => {
      while (this.#socket.getBufferedAmount() <= SLOW_BYTES) {
        const taken = this.#waiting.takeFrame();
        if (taken === null) return;
        const { frame, messages } = taken;
        this.#sendNow(frame);
        this.#socket.data.meter.sentRows(messages);
        this.#options.onHeard(frame.length);
      }
    });
  }
}

function dataTickers(names: ChannelNames): string[] {
  return [...new Set(DATA_CHANNELS.flatMap((channel) => names.get(channel) ?? []))];
}
