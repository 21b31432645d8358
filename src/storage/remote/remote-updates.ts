/**
 * What the upstream tells of saves: one WebSocket of this worker, subscribed to the tickers that somebody here watches, or to all of them.
 * Its updates go on as they are, under the upstream's positions; its other frames only show that it lives, and its epoch.
 *
 * A socket that is lost is opened again, with growing pauses of random length, and subscribed to the same tickers. What was saved
 * meanwhile is in the upstream's update log: those who watch are told to look there.
 *
 * DESIGN. One message is under way at a time, and what has come together meanwhile goes with the next: each is answered with the whole
 * subscription. A ticker that nobody watches any more is given up a moment later, and so not given up at all if somebody comes back.
 */
import type { LogLines } from "../../observe/log.ts";
import { RequestError, unavailable } from "../../protocol/errors.ts";
import type { Update } from "../update-contract.ts";
import { olderUpstream } from "./commands.ts";
import { retryPauseMs, type Upstream } from "./upstream.ts";
import { readUpstreamFrame } from "./upstream-frame.ts";

/** As hub/messages.ts has it. */
const ALL_TICKERS = "";
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
  isInForce: boolean;
  /** Of one that isn't for all: those in force, and those that are wanted too. */
  tickers: Set<string>;
  missing: Set<string>;
  /** The message that isn't answered yet. */
  asked: { action: "subscribe" | "unsubscribe"; tickers: string[] } | null;
  heardMs: number;
  pingedMs: number;
}

export interface RemoteUpdatesOptions {
  upstream: Upstream;
  log: LogLines;
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
  #epoch: string | null = null;
  #olderLogged = false;
  #closed = false;

  constructor(options: RemoteUpdatesOptions) {
    this.#options = options;
    this.#sweep = setInterval(() => this.#tidy(), SWEEP_MS);
  }

  /**
   * Resolves when every later commit to the ticker will be published here.
   *
   * @param ticker ALL_TICKERS is all of them.
   * @throws RequestError 503 not within SUBSCRIBE_MAX_MS, too many tickers, or an older server; 508 the upstream leads back here.
   */
  async subscribe(ticker: string): Promise<void> {
    if (this.#watched.size >= TICKERS_MAX) {
      throw unavailable(`${TICKERS_MAX} tickers are watched by this worker already`);
    }
    const watched: Watched = { ticker, wasInForce: false, first: Promise.withResolvers<void>() };
    this.#watched.set(ticker, watched);
    if (this.#link?.tickers.has(ticker) === true) this.#confirm([ticker]);
    else this.#link?.missing.add(ticker);
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
    if (ticker === ALL_TICKERS) this.#advance();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#sweep);
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#rejectWaiting(unavailable("the server is stopping"));
    this.#watched.clear();
    this.#dropLink();
  }

  get #wantsAll(): boolean {
    return this.#watched.has(ALL_TICKERS);
  }

  /** Brings the socket a step closer to what is watched. */
  #advance(): void {
    if (this.#closed || this.#watched.size === 0) return;
    if (this.#link !== null && this.#link.isForAll !== this.#wantsAll) {
      this.#hasGap = true;
      this.#dropLink();
    }
    const link = this.#link;
    if (link === null) void this.#connect();
    else if (link.isInForce || link.socket.readyState === WebSocket.OPEN) this.#subscribeNext(link);
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
      if (error instanceof RequestError && error.status === 508) this.#rejectWaiting(error);
      this.#retryLater();
      return;
    }
    this.#connecting = false;
    const [first] = this.#watched.keys();
    if (this.#closed || first === undefined) return;
    const isForAll = this.#wantsAll;
    // The others follow by message, where a ticker may hold a comma.
    const query = isForAll ? "symbols=*" : `symbol=${encodeURIComponent(first)}`;
    const socket = new WebSocket(`${upstream.url.ws}/ws?${query}`, {
      headers: upstream.headers,
      perMessageDeflate: false,
    });
    const now = performance.now();
    const link: Link = {
      socket,
      isForAll,
      isInForce: false,
      tickers: new Set(),
      missing: new Set(this.#watched.keys()),
      asked: null,
      heardMs: now,
      pingedMs: now,
    };
    this.#link = link;
    socket.onopen = () => this.#advance();
    socket.onmessage = ({ data }) => {
      link.heardMs = performance.now();
      if (typeof data === "string") this.#received(link, data);
    };
    socket.addEventListener("pong", () => {
      link.heardMs = performance.now();
    });
    socket.onclose = () => this.#lost(link);
  }

  /** The next message, unless one is under way. */
  #subscribeNext(link: Link): void {
    if (link.isForAll) {
      if (link.isInForce) this.#confirm([...this.#watched.keys()]);
      return;
    }
    if (link.asked !== null) return;
    const tickers: string[] = [];
    for (const ticker of link.missing) {
      link.missing.delete(ticker);
      if (tickers.push(ticker) === TICKERS_PER_MESSAGE) break;
    }
    if (tickers.length > 0) this.#send(link, "subscribe", tickers);
    else this.#completed(link);
  }

  #send(link: Link, action: "subscribe" | "unsubscribe", tickers: string[]): void {
    link.asked = { action, tickers };
    if (action === "unsubscribe") for (const ticker of tickers) link.tickers.delete(ticker);
    link.socket.send(JSON.stringify({ action, symbols: tickers, snapshot: false }));
  }

  #received(link: Link, text: string): void {
    const frame = readUpstreamFrame(text);
    if (frame === null) {
      this.#foundOlder(link);
      return;
    }
    if ("epoch" in frame && frame.epoch !== null) this.#noteEpoch(frame.epoch);
    switch (frame.kind) {
      case "update":
        if (link.isForAll || this.#watched.has(frame.ticker))
          this.#options.publish(frame.ticker, frame.update);
        break;
      case "gap":
        this.#options.missed(frame.ticker);
        break;
      case "subscription":
        this.#answered(link);
        break;
      case "error":
        this.#refused(link, frame.error);
        break;
      case "other":
        break;
    }
  }

  #answered(link: Link): void {
    const { asked } = link;
    link.asked = null;
    if (asked?.action === "subscribe") {
      for (const ticker of asked.tickers) link.tickers.add(ticker);
      this.#confirm(asked.tickers);
    }
    if (link.isForAll) {
      link.isInForce = true;
      this.#completed(link);
    }
    this.#advance();
  }

  #confirm(tickers: string[]): void {
    for (const ticker of tickers) {
      const watched = this.#watched.get(ticker);
      if (watched === undefined || watched.wasInForce) continue;
      watched.wasInForce = true;
      watched.first.resolve();
    }
  }

  /** All that is watched is in force. */
  #completed(link: Link): void {
    link.isInForce = true;
    this.#attempt = 0;
    if (!this.#hasGap) return;
    this.#hasGap = false;
    this.#options.missed(ALL_TICKERS);
  }

  /** A message was refused. */
  #refused(link: Link, error: string): void {
    const tickers = link.asked?.tickers ?? [];
    link.asked = null;
    let mustBeBack = false;
    for (const ticker of tickers) {
      const watched = this.#watched.get(ticker);
      if (watched === undefined) continue;
      if (watched.wasInForce) mustBeBack = true;
      else {
        this.#watched.delete(ticker);
        watched.first.reject(unavailable(`the upstream refused a subscription: ${error}`));
      }
    }
    if (mustBeBack) this.#giveUp(link, `it refused a subscription: ${error}`);
    else this.#advance();
  }

  #noteEpoch(epoch: string): void {
    const before = this.#epoch;
    this.#epoch = epoch;
    if (before !== null && before !== epoch) this.#options.missed(ALL_TICKERS);
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
    this.#options.log.warning(`Updates: the upstream's WebSocket is opened again: ${reason}`);
    this.#lost(link);
  }

  /** Its socket is closed, whoever did it. */
  #lost(link: Link): void {
    if (this.#link !== link) return;
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
    socket.onopen = null;
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
      this.#dropUnwatched(link);
      this.#checkSilence(link);
    }
  }

  #dropUnwatched(link: Link): void {
    if (link.asked !== null || link.isForAll) return;
    const unwatched = [...link.tickers].filter((ticker) => !this.#watched.has(ticker));
    if (unwatched.length > 0) this.#send(link, "unsubscribe", unwatched.slice(0, TICKERS_PER_MESSAGE));
  }

  #checkSilence(link: Link): void {
    const now = performance.now();
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
