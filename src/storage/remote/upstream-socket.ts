/** One WebSocket to the upstream, subscribed to all tickers or to some by name. See DESIGN.md. */
import type { LogLines } from "../../observe/log.ts";
import type { Update } from "../update-contract.ts";
import type { Upstream } from "./upstream.ts";
import { readUpstreamFrame, type UpstreamFrame } from "./upstream-frame.ts";
import { shownBeginning } from "./wrong-answer.ts";

/** The upstream's name for all tickers. */
export const ALL_SYMBOLS = "*";
/** Keeps a message below 3 MB. */
const TICKERS_PER_MESSAGE = 500;
/** A socket is pinged after so long a silence; heartbeats usually come every second. */
const PING_AFTER_MS = 3_000;
/** A socket is given up after so long a silence, also while it is being opened. */
const SILENCE_MAX_MS = 10_000;
/**
 * Longest wait for an answer to a message, or for the first frame of a new ticker. A socket may
 * answer pings for ever and nothing else.
 */
const ANSWER_MAX_MS = 10_000;
/** A socket that was in force for so long was sound. */
const SOUND_MS = 5_000;

export interface UpstreamSocketOptions {
  upstream: Upstream;
  log: LogLines;
  isForAll: boolean;
  tickers: Iterable<string>;
  /** How many tickers it may name. */
  namesMax(): number;
  /** Asks the upstream's commands. */
  epoch(): Promise<string>;
  publish(ticker: string, update: Update): void;
  /** Updates of the ticker may have been missed; null: of any. */
  missed(ticker: string | null): void;
  /** Later updates of the ticker will come; null: of all. */
  inForce(ticker: string | null): void;
  /** The upstream takes fewer names. */
  tooMany(): void;
  /** The upstream is an older server. */
  older(): void;
  /** @param reason why the socket was given up; null: the other side closed it. */
  ended(reason: string | null): void;
}

export class UpstreamSocket {
  readonly isForAll: boolean;
  readonly #options: UpstreamSocketOptions;
  readonly #socket: WebSocket;
  /** Names in force. */
  readonly #tickers = new Set<string>();
  /** Names asked for, without a first frame. */
  readonly #begun = new Set<string>();
  /** Names to be asked for. */
  readonly #missing: Set<string>;
  readonly #unwatched = new Set<string>();
  /** The answer to a message, or the greeting, is due. */
  #awaitsReply = true;
  #heardMs = performance.now();
  #pingedMs = this.#heardMs;
  /** The last message, or the last first frame while others are due. */
  #askedMs = this.#heardMs;
  /** Everything watched was in force first. */
  #inForceMs: number | null = null;
  #epoch: string | null = null;
  /** The upstream's commands have told the same epoch. Until then no update counts. */
  #isOfUpstream = false;
  #isComparing = false;
  #hasEnded = false;

  constructor(options: UpstreamSocketOptions) {
    const { upstream, isForAll, tickers } = options;
    this.#options = options;
    this.isForAll = isForAll;
    this.#missing = new Set(isForAll ? [] : tickers);
    // Tickers go by message, as they may hold commas.
    this.#socket = new WebSocket(`${upstream.url.ws}/ws?symbols=${isForAll ? ALL_SYMBOLS : ""}`, {
      headers: upstream.headers,
      perMessageDeflate: false,
    });
    this.#socket.onmessage = ({ data }) => {
      this.#heardMs = performance.now();
      if (typeof data === "string") this.#received(data);
      else this.#options.ended("it sent a frame that is no text");
    };
    this.#socket.addEventListener("pong", () => {
      this.#heardMs = performance.now();
    });
    this.#socket.onclose = () => this.#options.ended(null);
  }

  get isSound(): boolean {
    return this.#inForceMs !== null && performance.now() - this.#inForceMs > SOUND_MS;
  }

  watch(ticker: string): void {
    this.#unwatched.delete(ticker);
    if (this.isForAll ? this.#inForceMs !== null : this.#tickers.has(ticker)) this.#options.inForce(ticker);
    else if (!this.isForAll && !this.#begun.has(ticker)) this.#missing.add(ticker);
    this.#subscribeNext();
  }

  /** The subscription is given up later, as watchers often return. */
  unwatch(ticker: string): void {
    if (!this.isForAll && !this.#missing.delete(ticker)) this.#unwatched.add(ticker);
  }

  /** Called every second. */
  tidy(): void {
    if (this.#epoch !== null && !this.#isOfUpstream) void this.#compareEpoch();
    this.#dropUnwatched();
    this.#checkSilence();
  }

  /** Closes it; none of its options is called any more. */
  end(): void {
    this.#hasEnded = true;
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    if (performance.now() - this.#heardMs > SILENCE_MAX_MS) this.#socket.terminate();
    else this.#socket.close();
  }

  /** Sends the next message, unless one is under way. */
  #subscribeNext(): void {
    if (this.#awaitsReply || this.isForAll) return;
    const isFull = this.#tickers.size + this.#missing.size > this.#options.namesMax();
    if (isFull && this.#dropUnwatched()) return;
    const tickers = [...this.#missing].slice(0, TICKERS_PER_MESSAGE);
    for (const ticker of tickers) {
      this.#missing.delete(ticker);
      this.#begun.add(ticker);
    }
    if (tickers.length > 0) this.#send({ action: "subscribe", symbols: tickers, snapshot: false });
    else if (this.#begun.size === 0) this.#completed();
  }

  /** @returns whether a message was sent. */
  #dropUnwatched(): boolean {
    if (this.#awaitsReply) return false;
    const unwatched = [...this.#unwatched].filter((ticker) => this.#tickers.has(ticker));
    if (unwatched.length === 0) return false;
    const tickers = unwatched.slice(0, TICKERS_PER_MESSAGE);
    for (const ticker of tickers) {
      this.#unwatched.delete(ticker);
      this.#tickers.delete(ticker);
    }
    this.#send({ action: "unsubscribe", symbols: tickers });
    return true;
  }

  #send(message: object): void {
    this.#awaitsReply = true;
    this.#askedMs = performance.now();
    this.#socket.send(JSON.stringify(message));
  }

  #received(text: string): void {
    const frame = readUpstreamFrame(text);
    if (frame === null) {
      this.#options.older();
      return;
    }
    switch (frame.kind) {
      case "update":
        this.#noteInForce(frame.ticker);
        if (this.#isOfUpstream) this.#options.publish(frame.ticker, frame.update);
        break;
      case "gap":
        this.#options.missed(frame.ticker);
        break;
      case "heartbeat":
        this.#noteEpoch(frame.epoch);
        this.#noteInForce(frame.ticker);
        break;
      case "subscription":
        if (frame.epoch !== null) this.#noteEpoch(frame.epoch);
        this.#awaitsReply = false;
        this.#subscribeNext();
        break;
      case "error":
        this.#refused(frame);
        break;
      case "garbage":
        this.#options.ended(`what it sent is no frame; ${shownBeginning(text)}`);
        break;
    }
  }

  /** A subscription is in force with its first frame; a heartbeat is sent at once. */
  #noteInForce(ticker: string): void {
    if (this.isForAll) {
      if (this.#inForceMs !== null || ticker !== ALL_SYMBOLS) return;
      this.#completed();
      this.#options.inForce(null);
    } else if (this.#begun.delete(ticker)) {
      this.#tickers.add(ticker);
      this.#askedMs = performance.now();
      this.#options.inForce(ticker);
      if (this.#begun.size === 0) this.#subscribeNext();
    }
  }

  /** Earlier updates may be missing. */
  #completed(): void {
    if (this.#inForceMs !== null) return;
    this.#inForceMs = performance.now();
    this.#options.missed(null);
  }

  #refused({ code, error }: Extract<UpstreamFrame, { kind: "error" }>): void {
    if (code === "too_many_symbols" || code === "too_many_subscriptions") this.#options.tooMany();
    else this.#options.ended(error);
  }

  #noteEpoch(epoch: string): void {
    if (this.#epoch === epoch) return;
    this.#epoch = epoch;
    this.#isOfUpstream = false;
    void this.#compareEpoch();
  }

  /** Behind one address there may be two servers. `tidy` repeats this if the upstream fails. */
  async #compareEpoch(): Promise<void> {
    if (this.#isComparing) return;
    this.#isComparing = true;
    const told = this.#epoch;
    try {
      const epoch = await this.#options.epoch();
      // If another one came meanwhile, `tidy` compares it.
      if (this.#hasEnded || this.#epoch !== told) return;
      if (epoch === told) {
        this.#isOfUpstream = true;
        this.#options.missed(null);
      } else {
        this.#options.ended("its updates are of another database than its commands");
      }
    } catch (error) {
      this.#options.log.debug(`Updates: the upstream's epoch is not known: ${String(error)}`);
    } finally {
      this.#isComparing = false;
    }
  }

  #checkSilence(): void {
    const now = performance.now();
    const isDue = this.#awaitsReply || this.#begun.size > 0 || (this.isForAll && this.#inForceMs === null);
    const silentMs = now - this.#heardMs;
    if (isDue && now - this.#askedMs > ANSWER_MAX_MS) {
      this.#options.ended(`it has confirmed no subscription for ${ANSWER_MAX_MS / 1000} s`);
    } else if (silentMs > SILENCE_MAX_MS) {
      this.#options.ended(`it has been silent for ${SILENCE_MAX_MS / 1000} s`);
    } else if (
      silentMs > PING_AFTER_MS &&
      now - this.#pingedMs > PING_AFTER_MS &&
      this.#socket.readyState === WebSocket.OPEN
    ) {
      this.#pingedMs = now;
      this.#socket.ping();
    }
  }
}
