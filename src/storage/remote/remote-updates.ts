/**
 * What the upstream tells of saves: one WebSocket a ticker, while somebody here watches it. Its updates go on as they are; its
 * heartbeats only show that it lives, and its initial price that the subscription is in force, as this server makes its own.
 *
 * A socket that is lost is opened again, with growing pauses of random length. What was saved meanwhile is not known then: those
 * who watch have to connect again, as soon as that makes sense.
 */
import type { LogLines } from "../../observe/log.ts";
import { RequestError, unavailable } from "../../protocol/errors.ts";
import { isOwnFrame } from "../../protocol/frames.ts";
import { retryPauseMs, type Upstream } from "./upstream.ts";

/** Sockets of one worker. */
const TICKERS_MAX = 20_000;
/** How long a new subscriber waits for an upstream that is away. */
const SUBSCRIBE_MAX_MS = 10_000;
/** A socket that has been silent for so long is pinged; heartbeats usually come every second. */
const PING_AFTER_MS = 3_000;
/** … and is given up after this, also while it is being opened. */
const SILENCE_MAX_MS = 10_000;
const SWEEP_MS = 1_000;

interface Watched {
  ticker: string;
  socket: WebSocket | null;
  retry: Timer | null;
  attempt: number;
  /** The subscription is in force on this socket. */
  isInForce: boolean;
  /** It was in force before, on another socket. */
  hasGap: boolean;
  heardMs: number;
  pingedMs: number;
  first: PromiseWithResolvers<void>;
}

export interface RemoteUpdatesOptions {
  upstream: Upstream;
  log: LogLines;
  publish(ticker: string, frame: string): void;
  gap(ticker: string): void;
}

export class RemoteUpdates {
  readonly #options: RemoteUpdatesOptions;
  readonly #watched = new Map<string, Watched>();
  readonly #sweep: Timer;

  constructor(options: RemoteUpdatesOptions) {
    this.#options = options;
    this.#sweep = setInterval(() => this.#dropSilent(), SWEEP_MS);
  }

  /**
   * Resolves when every later commit to the ticker will be published here.
   *
   * @throws RequestError 503 not within SUBSCRIBE_MAX_MS, or too many tickers; 508 the upstream leads back here.
   */
  async subscribe(ticker: string): Promise<void> {
    if (this.#watched.size >= TICKERS_MAX) {
      throw unavailable(`${TICKERS_MAX} tickers are watched by this worker already`);
    }
    const now = performance.now();
    const watched: Watched = {
      ticker,
      socket: null,
      retry: null,
      attempt: 0,
      isInForce: false,
      hasGap: false,
      heardMs: now,
      pingedMs: now,
      first: Promise.withResolvers<void>(),
    };
    this.#watched.set(ticker, watched);
    void this.#connect(watched);
    const tooLate = setTimeout(
      () => watched.first.reject(unavailable("the upstream confirmed no subscription")),
      SUBSCRIBE_MAX_MS,
    );
    try {
      await watched.first.promise;
    } catch (error) {
      this.#drop(watched);
      throw error;
    } finally {
      clearTimeout(tooLate);
    }
  }

  unsubscribe(ticker: string): void {
    const watched = this.#watched.get(ticker);
    if (watched !== undefined) this.#drop(watched);
  }

  close(): void {
    clearInterval(this.#sweep);
    for (const watched of this.#watched.values()) this.#drop(watched);
  }

  #isWatched(watched: Watched): boolean {
    return this.#watched.get(watched.ticker) === watched;
  }

  async #connect(watched: Watched): Promise<void> {
    const { upstream } = this.#options;
    try {
      await upstream.ready();
    } catch (error) {
      // Waiting doesn't open a circle.
      if (error instanceof RequestError && error.status === 508) watched.first.reject(error);
      this.#retry(watched);
      return;
    }
    if (!this.#isWatched(watched)) return;
    const url = `${upstream.url.ws}/ws?symbol=${encodeURIComponent(watched.ticker)}`;
    const socket = new WebSocket(url, { headers: upstream.headers, perMessageDeflate: false });
    watched.socket = socket;
    watched.heardMs = performance.now();
    socket.onmessage = ({ data }) => {
      watched.heardMs = performance.now();
      if (typeof data === "string") this.#received(watched, data);
    };
    socket.addEventListener("pong", () => {
      watched.heardMs = performance.now();
    });
    socket.onclose = () => this.#lost(watched);
  }

  #received(watched: Watched, frame: string): void {
    const { ticker } = watched;
    if (!watched.isInForce) {
      watched.isInForce = true;
      watched.attempt = 0;
      watched.first.resolve();
      if (watched.hasGap) this.#options.gap(ticker);
      watched.hasGap = true;
    }
    if (!isOwnFrame(ticker, frame)) this.#options.publish(ticker, frame);
  }

  /** Its socket is closed, whoever did it. */
  #lost(watched: Watched): void {
    silence(watched);
    if (!this.#isWatched(watched)) return;
    this.#options.upstream.distrust();
    this.#retry(watched);
  }

  #retry(watched: Watched): void {
    if (!this.#isWatched(watched)) return;
    watched.attempt++;
    watched.retry = setTimeout(() => void this.#connect(watched), retryPauseMs(watched.attempt));
  }

  #drop(watched: Watched): void {
    if (this.#isWatched(watched)) this.#watched.delete(watched.ticker);
    if (watched.retry !== null) clearTimeout(watched.retry);
    const { socket } = watched;
    silence(watched);
    socket?.close();
  }

  #dropSilent(): void {
    const now = performance.now();
    for (const watched of this.#watched.values()) {
      const { socket } = watched;
      const silentMs = now - watched.heardMs;
      if (socket === null || silentMs < PING_AFTER_MS) continue;
      if (silentMs > SILENCE_MAX_MS) {
        const seconds = SILENCE_MAX_MS / 1000;
        this.#options.log.warning(
          `Updates of ${watched.ticker}: the upstream has been silent for ${seconds} s`,
        );
        silence(watched);
        socket.terminate();
        this.#lost(watched);
      } else if (now - watched.pingedMs > PING_AFTER_MS && socket.readyState === WebSocket.OPEN) {
        watched.pingedMs = now;
        socket.ping();
      }
    }
  }
}

/** Nothing that its socket still says counts. */
function silence(watched: Watched): void {
  const { socket } = watched;
  watched.socket = null;
  watched.isInForce = false;
  if (socket === null) return;
  socket.onmessage = null;
  socket.onclose = null;
}
