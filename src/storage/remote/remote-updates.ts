/**
 * Keeps one WebSocket of this worker to the upstream open, subscribed to what is watched here, and
 * passes its updates on. See DESIGN.md.
 */
import type { LogLines } from "../../observe/log.ts";
import { STATUS } from "../../protocol/codes.ts";
import { hasStatus, unavailable } from "../../protocol/errors.ts";
import type { Update } from "../update-contract.ts";
import { olderUpstream } from "./commands.ts";
import { retryPauseMs, type Upstream } from "./upstream.ts";
import { ALL_SYMBOLS, UpstreamSocket } from "./upstream-socket.ts";

/** The same as in stream/subscriber.ts. */
const ALL_TICKERS = "";
/** Limit for tickers by name, until the upstream says that it takes fewer. */
const BY_NAME_MAX = 1_000;
/** Limit for one worker. */
const TICKERS_MAX = 20_000;
/** A new subscriber waits so long for an upstream that is away. */
const SUBSCRIBE_MAX_MS = 10_000;
const SWEEP_MS = 1_000;
/** An older server is asked again after this pause: it has to be upgraded first. */
const OLDER_RETRY_MS = 10_000;

interface Watched {
  /** The subscription has been in force, if perhaps on an earlier socket. */
  wasInForce: boolean;
  first: PromiseWithResolvers<void>;
}

export interface RemoteUpdatesOptions {
  upstream: Upstream;
  log: LogLines;
  /** Asks the upstream's commands. */
  epoch(): Promise<string>;
  publish(ticker: string, update: Update): void;
  /** Updates of the ticker, or of all tickers, may have been missed. */
  missed(ticker: string): void;
}

export class RemoteUpdates {
  readonly #options: RemoteUpdatesOptions;
  readonly #watched = new Map<string, Watched>();
  readonly #sweep: Timer;
  #socket: UpstreamSocket | null = null;
  #connecting = false;
  #retry: Timer | null = null;
  #attempt = 0;
  #byNameMax = BY_NAME_MAX;
  #olderLogged = false;
  /** Why the last socket was given up, as long as none has been sound. */
  #logged: string | null = null;
  #closed = false;

  constructor(options: RemoteUpdatesOptions) {
    this.#options = options;
    this.#sweep = setInterval(() => {
      if (this.#watched.size === 0) this.#dropSocket();
      else this.#socket?.tidy();
    }, SWEEP_MS);
  }

  /**
   * Resolves when every later commit to the ticker will be published here.
   *
   * @param ticker ALL_TICKERS stands for all of them.
   * @throws RequestError 503 not within SUBSCRIBE_MAX_MS, too many tickers, or an older server; 508
   *   the upstream leads back here.
   */
  async subscribe(ticker: string): Promise<void> {
    if (this.#watched.size >= TICKERS_MAX) {
      throw unavailable(`${TICKERS_MAX} tickers are watched by this worker already`);
    }
    const watched: Watched = { wasInForce: false, first: Promise.withResolvers<void>() };
    this.#watched.set(ticker, watched);
    const tooLate = setTimeout(
      () => watched.first.reject(unavailable("the upstream confirmed no subscription")),
      SUBSCRIBE_MAX_MS,
    );
    this.#advance();
    this.#socket?.watch(ticker);
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
    this.#socket?.unwatch(ticker);
    if (this.#socket?.isForAll === true) this.#advance();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#sweep);
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#rejectWaiting(unavailable("the server is stopping"));
    this.#watched.clear();
    this.#dropSocket();
  }

  /** A few tickers fewer don't lead back to names at once. */
  get #wantsAll(): boolean {
    if (this.#watched.has(ALL_TICKERS) || this.#watched.has(ALL_SYMBOLS)) return true;
    const byNameMax = this.#socket?.isForAll === true ? this.#byNameMax / 2 : this.#byNameMax;
    return this.#watched.size > byNameMax;
  }

  /** Opens the socket, or one of the other kind. */
  #advance(): void {
    if (this.#closed || this.#watched.size === 0) return;
    if (this.#socket !== null && this.#socket.isForAll !== this.#wantsAll) this.#dropSocket();
    if (this.#socket === null) void this.#connect();
  }

  async #connect(): Promise<void> {
    if (this.#connecting || this.#retry !== null) return;
    this.#connecting = true;
    const { upstream, log, epoch, publish, missed } = this.#options;
    try {
      await upstream.ready();
    } catch (error) {
      // Waiting doesn't open a circle.
      if (hasStatus(error, STATUS.circle)) this.#rejectWaiting(error);
      this.#retryLater();
      return;
    } finally {
      this.#connecting = false;
    }
    if (this.#closed || this.#watched.size === 0) return;
    const socket = new UpstreamSocket({
      upstream,
      log,
      isForAll: this.#wantsAll,
      tickers: this.#watched.keys(),
      namesMax: () => this.#byNameMax,
      epoch,
      publish: (ticker, update) => {
        if (this.#watched.has(ticker) || this.#watched.has(ALL_TICKERS)) publish(ticker, update);
      },
      missed: (ticker) => missed(ticker ?? ALL_TICKERS),
      inForce: (ticker) => {
        for (const each of ticker === null ? this.#watched.keys() : [ticker]) this.#confirm(each);
      },
      tooMany: () => {
        this.#byNameMax = Math.min(this.#byNameMax, this.#watched.size - 1);
        this.#advance();
      },
      older: () => this.#foundOlder(),
      ended: (reason) => this.#ended(socket, reason),
    });
    this.#socket = socket;
  }

  #confirm(ticker: string): void {
    const watched = this.#watched.get(ticker);
    if (watched === undefined || watched.wasInForce) return;
    watched.wasInForce = true;
    watched.first.resolve();
  }

  #rejectWaiting(error: Error): void {
    for (const watched of this.#watched.values()) if (!watched.wasInForce) watched.first.reject(error);
  }

  #foundOlder(): void {
    const error = olderUpstream("it doesn't number updates");
    if (!this.#olderLogged) this.#options.log.error(`Updates: ${error.message}`);
    this.#olderLogged = true;
    this.#dropSocket();
    this.#rejectWaiting(error);
    this.#retryLater(OLDER_RETRY_MS);
  }

  #ended(socket: UpstreamSocket, reason: string | null): void {
    if (socket.isSound) {
      this.#attempt = 0;
      this.#logged = null;
    }
    if (reason !== null) {
      if (this.#logged !== reason)
        this.#options.log.warning(`Updates: the upstream's WebSocket is opened again: ${reason}`);
      this.#logged = reason;
    }
    this.#dropSocket();
    this.#options.upstream.distrust();
    this.#retryLater();
  }

  #dropSocket(): void {
    this.#socket?.end();
    this.#socket = null;
  }

  #retryLater(pauseMs?: number): void {
    if (this.#closed || this.#retry !== null || this.#watched.size === 0) return;
    this.#attempt++;
    this.#retry = setTimeout(() => {
      this.#retry = null;
      this.#advance();
    }, pauseMs ?? retryPauseMs(this.#attempt));
  }
}
