/**
 * What the upstream tells of saves: one WebSocket of this worker, subscribed to the tickers that
 * somebody here watches, or to all of them where somebody watches all, or more than a WebSocket can
 * name. Its updates go on as they are, under the upstream's positions; its other frames only show
 * that it lives, and its epoch.
 *
 * A socket that is lost is opened again, with growing pauses of random length, and subscribed to
 * the same tickers. What was saved meanwhile is in the upstream's update log: those who watch are
 * told to look there.
 *
 * DESIGN. One message is under way at a time, and what has come together meanwhile goes with the
 * next: each is answered with the whole subscription. A ticker that nobody watches any more is
 * given up a moment later, and so not given up at all if somebody comes back.
 */
import type { LogLines } from "../../observe/log.ts";
import { STATUS } from "../../protocol/codes.ts";
import { hasStatus, unavailable } from "../../protocol/errors.ts";
import type { Update } from "../update-contract.ts";
import { olderUpstream } from "./commands.ts";
import { retryPauseMs, type Upstream } from "./upstream.ts";
import { readUpstreamFrame, type UpstreamFrame } from "./upstream-frame.ts";
import { shownBeginning } from "./wrong-answer.ts";

/** As in stream/subscriptions.ts. */
const ALL_TICKERS = "";
/** As the upstream says it. */
const ALL_SYMBOLS = "*";
/** By name, until the upstream says that it takes fewer: its --ws-symbols-max is usually this. */
const BY_NAME_MAX = 1_000;
/** Watched by one worker. */
const TICKERS_MAX = 20_000;
/** Of one message, at most 3 MB. */
const TICKERS_PER_MESSAGE = 500;
/** How long a new subscriber waits for an upstream that is away. */
const SUBSCRIBE_MAX_MS = 10_000;
/** A socket that has been silent for so long is pinged; heartbeats usually come every second. */
const PING_AFTER_MS = 3_000;
/** … and is given up after this, also while it is being opened. */
const SILENCE_MAX_MS = 10_000;
const SWEEP_MS = 1_000;
/**
 * Until an answer to a message, or the first frame of a new ticker. A socket may answer pings for
 * ever and nothing else.
 */
const ANSWER_MAX_MS = 10_000;
/** A socket that was in force for so long was sound. */
const SOUND_MS = 5_000;
/** Until an older server is asked again: it has to be upgraded first. */
const OLDER_RETRY_MS = 10_000;

interface Watched {
  ticker: string;
  /** The subscription has been in force, if perhaps on a socket before this one. */
  wasInForce: boolean;
  first: PromiseWithResolvers<void>;
}

/** One WebSocket. */
interface Link {
  socket: WebSocket;
  /** Subscribed to all tickers, by its address. */
  isForAll: boolean;
  /** All that was watched when it was opened is in force. */
  isInForce: boolean;
  /** By name: in force, asked for, and to be asked for. */
  tickers: Set<string>;
  begun: Set<string>;
  missing: Set<string>;
  /** The upstream's answer to a message, or its greeting, has not come yet. */
  awaitsReply: boolean;
  heardMs: number;
  pingedMs: number;
  /** The last message, or the last answer while others are missing. */
  askedMs: number;
  inForceMs: number | null;
  /** As it said last. */
  epoch: string | null;
  /**
   * The epoch is that of the upstream's commands: behind one address there may be two servers.
   * Before, no update of it counts.
   */
  isOfUpstream: boolean;
  isAsking: boolean;
}

export interface RemoteUpdatesOptions {
  upstream: Upstream;
  log: LogLines;
  /** As the upstream's commands say it. */
  epoch(): Promise<string>;
  publish(ticker: string, update: Update): void;
  /** Updates of the ticker, or of all tickers, may have been missed. */
  missed(ticker: string): void;
}

export class RemoteUpdates {
  readonly #options: RemoteUpdatesOptions;
  readonly #watched = new Map<string, Watched>();
  readonly #sweep: Timer;
  #link: Link | null = null;
  #connecting = false;
  #retry: Timer | null = null;
  #attempt = 0;
  /** All that was watched has to be subscribed to anew, and then looked up. */
  #hasGap = false;
  #byNameMax = BY_NAME_MAX;
  #epoch: string | null = null;
  #olderLogged = false;
  /** Why the last socket was given up, as long as none has been sound. */
  #logged: string | null = null;
  #closed = false;

  constructor(options: RemoteUpdatesOptions) {
    this.#options = options;
    this.#sweep = setInterval(() => this.#tidy(), SWEEP_MS);
  }

  /**
   * Resolves when every later commit to the ticker will be published here.
   *
   * @param ticker ALL_TICKERS is all of them.
   * @throws RequestError 503 not within SUBSCRIBE_MAX_MS, too many tickers, or an older server; 508
   *   the upstream leads back here.
   */
  async subscribe(ticker: string): Promise<void> {
    if (this.#watched.size >= TICKERS_MAX) {
      throw unavailable(`${TICKERS_MAX} tickers are watched by this worker already`);
    }
    const watched: Watched = { ticker, wasInForce: false, first: Promise.withResolvers<void>() };
    this.#watched.set(ticker, watched);
    if (this.#link?.tickers.has(ticker) === true) this.#confirm(ticker);
    else if (this.#link?.begun.has(ticker) !== true) this.#link?.missing.add(ticker);
    const tooLate = setTimeout(
      () => watched.first.reject(unavailable("the upstream confirmed no subscription")),
      SUBSCRIBE_MAX_MS,
    );
    this.#advance();
    try {
      await watched.first.promise;
    } catch (error) {
      if (this.#watched.get(ticker) === watched) this.unsubscribe(ticker);
      throw error;
    } finally {
      clearTimeout(tooLate);
    }
  }

  unsubscribe(ticker: string): void {
    this.#watched.delete(ticker);
    if (this.#link?.isForAll === true) this.#advance();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#sweep);
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#rejectWaiting(unavailable("the server is stopping"));
    this.#watched.clear();
    this.#dropLink();
  }

  /** Not back by name at once, when they are a few less. */
  get #wantsAll(): boolean {
    if (this.#watched.has(ALL_TICKERS) || this.#watched.has(ALL_SYMBOLS)) return true;
    const byNameMax = this.#link?.isForAll === true ? this.#byNameMax / 2 : this.#byNameMax;
    return this.#watched.size > byNameMax;
  }

  /** Brings the socket a step closer to what is watched. */
  #advance(): void {
    if (this.#closed || this.#watched.size === 0) return;
    if (this.#link !== null && this.#link.isForAll !== this.#wantsAll) {
      this.#hasGap = true;
      this.#dropLink();
    }
    if (this.#link === null) void this.#connect();
    else if (this.#link.isForAll) this.#confirmAll(this.#link);
    else this.#subscribeNext(this.#link);
  }

  async #connect(): Promise<void> {
    if (this.#connecting || this.#retry !== null) return;
    this.#connecting = true;
    const { upstream } = this.#options;
    try {
      await upstream.ready();
    } catch (error) {
      this.#connecting = false;
      // Waiting doesn't open a circle.
      if (hasStatus(error, STATUS.circle)) this.#rejectWaiting(error);
      this.#retryLater();
      return;
    }
    this.#connecting = false;
    if (this.#closed || this.#watched.size === 0) return;
    const isForAll = this.#wantsAll;
    // By message, where a ticker may hold a comma.
    const symbols = isForAll ? ALL_SYMBOLS : "";
    const socket = new WebSocket(`${upstream.url.ws}/ws?symbols=${symbols}`, {
      headers: upstream.headers,
      perMessageDeflate: false,
    });
    const now = performance.now();
    const link: Link = {
      socket,
      isForAll,
      isInForce: false,
      tickers: new Set(),
      begun: new Set(),
      missing: new Set(this.#watched.keys()),
      awaitsReply: true,
      heardMs: now,
      pingedMs: now,
      askedMs: now,
      inForceMs: null,
      epoch: null,
      isOfUpstream: false,
      isAsking: false,
    };
    this.#link = link;
    socket.onmessage = ({ data }) => {
      link.heardMs = performance.now();
      if (typeof data === "string") this.#received(link, data);
      else this.#giveUp(link, "it sent a frame that is no text");
    };
    socket.addEventListener("pong", () => {
      link.heardMs = performance.now();
    });
    socket.onclose = () => this.#lost(link);
  }

  /** The next message, unless one is under way. */
  #subscribeNext(link: Link): void {
    if (link.awaitsReply) return;
    const isFull = link.tickers.size + link.missing.size > this.#byNameMax;
    if (isFull && this.#dropUnwatched(link)) return;
    const tickers: string[] = [];
    for (const ticker of link.missing) {
      link.missing.delete(ticker);
      if (tickers.push(ticker) === TICKERS_PER_MESSAGE) break;
    }
    for (const ticker of tickers) link.begun.add(ticker);
    if (tickers.length > 0) this.#send(link, "subscribe", tickers);
    else if (link.begun.size === 0) this.#completed(link);
  }

  #send(link: Link, action: "subscribe" | "unsubscribe", tickers: string[]): void {
    link.awaitsReply = true;
    link.askedMs = performance.now();
    const start = action === "subscribe" ? { snapshot: false } : {};
    link.socket.send(JSON.stringify({ action, symbols: tickers, ...start }));
  }

  #received(link: Link, text: string): void {
    const frame = readUpstreamFrame(text);
    if (frame === null) {
      this.#foundOlder(link);
      return;
    }
    switch (frame.kind) {
      case "update":
        this.#noteInForce(link, frame.ticker);
        // What is told meanwhile is looked up when the epoch is known.
        if (!link.isOfUpstream) break;
        if (this.#watched.has(frame.ticker) || this.#watched.has(ALL_TICKERS))
          this.#options.publish(frame.ticker, frame.update);
        break;
      case "gap":
        this.#options.missed(frame.ticker);
        break;
      case "heartbeat":
        this.#noteEpoch(link, frame.epoch);
        this.#noteInForce(link, frame.ticker);
        break;
      case "subscription":
        if (frame.epoch !== null) this.#noteEpoch(link, frame.epoch);
        link.awaitsReply = false;
        this.#advance();
        break;
      case "error":
        this.#refused(link, frame);
        break;
      case "garbage":
        this.#giveUp(link, `what it sent is no frame; ${shownBeginning(text)}`);
        break;
    }
  }

  /** The ticker's first frame has come; a heartbeat is sent at once. */
  #noteInForce(link: Link, ticker: string): void {
    if (link.isForAll) {
      if (link.isInForce || ticker !== ALL_SYMBOLS) return;
      this.#completed(link);
      this.#confirmAll(link);
    } else if (link.begun.delete(ticker)) {
      link.tickers.add(ticker);
      link.askedMs = performance.now();
      this.#confirm(ticker);
      if (link.begun.size === 0) this.#subscribeNext(link);
    }
  }

  #confirmAll(link: Link): void {
    if (link.isInForce) for (const ticker of this.#watched.keys()) this.#confirm(ticker);
  }

  #confirm(ticker: string): void {
    const watched = this.#watched.get(ticker);
    if (watched === undefined || watched.wasInForce) return;
    watched.wasInForce = true;
    watched.first.resolve();
  }

  /** All that is watched is in force. */
  #completed(link: Link): void {
    link.isInForce = true;
    link.inForceMs ??= performance.now();
    if (!this.#hasGap) return;
    this.#hasGap = false;
    this.#options.missed(ALL_TICKERS);
  }

  #refused(link: Link, { code, error }: Extract<UpstreamFrame, { kind: "error" }>): void {
    // All of them are one subscription.
    if (code === "too_many_symbols" || code === "too_many_subscriptions") {
      this.#byNameMax = Math.min(this.#byNameMax, this.#watched.size - 1);
      this.#advance();
    } else this.#giveUp(link, error);
  }

  #noteEpoch(link: Link, epoch: string): void {
    if (link.epoch !== epoch) {
      link.epoch = epoch;
      link.isOfUpstream = false;
      void this.#compareEpoch(link);
    }
    const before = this.#epoch;
    this.#epoch = epoch;
    if (before !== null && before !== epoch) this.#options.missed(ALL_TICKERS);
  }

  /** Again with the next sweep where the upstream doesn't say. */
  async #compareEpoch(link: Link): Promise<void> {
    if (link.isAsking) return;
    link.isAsking = true;
    const told = link.epoch;
    try {
      const epoch = await this.#options.epoch();
      // Another one came meanwhile: the next sweep compares that.
      if (this.#link !== link || link.epoch !== told) return;
      if (epoch === told) {
        link.isOfUpstream = true;
        this.#options.missed(ALL_TICKERS);
      } else {
        this.#giveUp(link, "its updates are of another database than its commands");
      }
    } catch (error) {
      this.#options.log.debug(`Updates: the upstream's epoch is not known: ${String(error)}`);
    } finally {
      link.isAsking = false;
    }
  }

  #foundOlder(link: Link): void {
    const error = olderUpstream("it doesn't number updates");
    if (!this.#olderLogged) this.#options.log.error(`Updates: ${error.message}`);
    this.#olderLogged = true;
    this.#hasGap = true;
    if (this.#link === link) this.#dropLink();
    this.#rejectWaiting(error);
    this.#retryLater(OLDER_RETRY_MS);
  }

  #rejectWaiting(error: Error): void {
    for (const watched of this.#watched.values()) if (!watched.wasInForce) watched.first.reject(error);
  }

  #giveUp(link: Link, reason: string): void {
    if (this.#link !== link) return;
    if (isSound(link)) this.#logged = null;
    if (this.#logged !== reason)
      this.#options.log.warning(`Updates: the upstream's WebSocket is opened again: ${reason}`);
    this.#logged = reason;
    this.#lost(link);
  }

  /** Its socket is closed, whoever did it. */
  #lost(link: Link): void {
    if (this.#link !== link) return;
    if (isSound(link)) this.#attempt = 0;
    this.#hasGap = true;
    this.#dropLink();
    this.#options.upstream.distrust();
    this.#retryLater();
  }

  #dropLink(): void {
    const link = this.#link;
    this.#link = null;
    if (link === null) return;
    const { socket } = link;
    socket.onmessage = null;
    socket.onclose = null;
    if (performance.now() - link.heardMs > SILENCE_MAX_MS) socket.terminate();
    else socket.close();
  }

  #retryLater(pauseMs?: number): void {
    if (this.#closed || this.#retry !== null || this.#watched.size === 0) return;
    this.#attempt++;
    this.#retry = setTimeout(() => {
      this.#retry = null;
      this.#advance();
    }, pauseMs ?? retryPauseMs(this.#attempt));
  }

  #tidy(): void {
    const link = this.#link;
    if (link === null) return;
    if (this.#watched.size === 0) {
      this.#dropLink();
    } else {
      if (link.epoch !== null && !link.isOfUpstream) void this.#compareEpoch(link);
      this.#dropUnwatched(link);
      this.#checkSilence(link);
    }
  }

  /** @returns Whether there were any. */
  #dropUnwatched(link: Link): boolean {
    if (link.awaitsReply || link.isForAll) return false;
    const unwatched = [...link.tickers].filter((ticker) => !this.#watched.has(ticker));
    if (unwatched.length === 0) return false;
    const tickers = unwatched.slice(0, TICKERS_PER_MESSAGE);
    for (const ticker of tickers) link.tickers.delete(ticker);
    this.#send(link, "unsubscribe", tickers);
    return true;
  }

  #checkSilence(link: Link): void {
    const now = performance.now();
    if (isUnanswered(link) && now - link.askedMs > ANSWER_MAX_MS) {
      this.#giveUp(link, `it has confirmed no subscription for ${ANSWER_MAX_MS / 1000} s`);
      return;
    }
    const silentMs = now - link.heardMs;
    if (silentMs < PING_AFTER_MS) return;
    if (silentMs > SILENCE_MAX_MS) {
      this.#giveUp(link, `it has been silent for ${SILENCE_MAX_MS / 1000} s`);
    } else if (now - link.pingedMs > PING_AFTER_MS && link.socket.readyState === WebSocket.OPEN) {
      link.pingedMs = now;
      link.socket.ping();
    }
  }
}

function isUnanswered({ awaitsReply, begun, isForAll, isInForce }: Link): boolean {
  return awaitsReply || begun.size > 0 || (isForAll && !isInForce);
}

function isSound({ inForceMs }: Link): boolean {
  return inForceMs !== null && performance.now() - inForceMs > SOUND_MS;
}
