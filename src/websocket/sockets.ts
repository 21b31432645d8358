/**
 * The WebSockets of this worker: from upgrade to close. Bounded in what a client that doesn't read may leave behind, and
 * in how long a dead one stays.
 */
import type { Server, ServerWebSocket, WebSocketHandler } from "bun";
import type { Counters } from "../observe/counters.ts";
import type { LogLines } from "../observe/log.ts";
import { CLOSE_GOING_AWAY, CLOSE_NORMAL, SYMBOL_REQUIRED } from "../protocol/frames.ts";
import { isObject } from "../protocol/json.ts";
import type { Subscriber, Subscriptions } from "../stream/subscriptions.ts";

/** Of one frame from a client. */
const CLIENT_FRAME_BYTES_MAX = 4 * 1024 * 1024;
/** One save is one frame, and a quote is told in longer names than it may be sent in: of its body's size, at most 2.6 times. */
const FRAME_PER_BODY_MAX = 3;
/** Beyond the largest frame: what may wait for a client that reads slowly before it is cut off. */
const SUBSCRIBER_BACKLOG_BYTES = 1024 * 1024;
const LARGE_FRAME_BYTES = 64 * 1024;
/** RFC 6455: the connection ended without a close frame. */
const CLOSED_ABNORMALLY = 1006;
/** A client for which frames have been waiting all this time is cut off: it doesn't read, or can't catch up. */
const STALL_MAX_MS = 15_000;
/** While the server stops, a client that has taken nothing for this long is not waited for. */
const DRAIN_STALL_MS = 1_000;
const DRAIN_POLL_MS = 10;
/** Every socket is pinged so often, and cut off when it has answered none for SILENCE_MAX_MS. */
const SWEEP_MS = 1_000;
/** What waits for all clients of a worker together; beyond it those with most are cut off. */
const BACKLOG_TOTAL_BYTES_MAX = 256 * 1024 * 1024;
const PING_MS = 30_000;
const SILENCE_MAX_MS = 75_000;
/** RFC 6455 1012 "service restart" and 1013 "try again later": the client should connect again. */
const CLOSE_RESTART = 1012;
const CLOSE_TRY_LATER = 1013;

export interface SocketData {
  symbol: string;
  /** Kept, since Bun has forgotten it when the socket closes. */
  address: string;
  subscriber: Subscriber | null;
  heardMs: number;
  pingedMs: number;
  /** Since when frames wait for it; 0 when none do. */
  stalledMs: number;
  /** Bytes that waited for it at the last sweep. */
  backlog: number;
}

type Socket = ServerWebSocket<SocketData>;

export interface SocketsOptions {
  subscriptions: Subscriptions;
  maxBodyBytes: number;
  counters: Counters;
  log: LogLines;
}

export class Sockets {
  readonly #options: SocketsOptions;
  readonly #open = new Set<Socket>();
  readonly #sweep: Timer;

  constructor(options: SocketsOptions) {
    this.#options = options;
    this.#sweep = setInterval(() => this.#cutOffDead(), SWEEP_MS);
  }

  get size(): number {
    return this.#open.size;
  }

  /** @returns undefined when the request became a WebSocket. */
  upgrade(request: Request, server: Server<SocketData>, query: URLSearchParams): boolean {
    const now = performance.now();
    const data: SocketData = {
      symbol: query.get("symbol") ?? "",
      address: server.requestIP(request)?.address ?? "-",
      subscriber: null,
      heardMs: now,
      pingedMs: now,
      stalledMs: 0,
      backlog: 0,
    };
    // Bun selects the first subprotocol that a client offers, although none is spoken here; so it must not see them.
    request.headers.delete("sec-websocket-protocol");
    return server.upgrade(request, { data });
  }

  handler(): WebSocketHandler<SocketData> {
    return {
      maxPayloadLength: CLIENT_FRAME_BYTES_MAX,
      backpressureLimit: this.#options.maxBodyBytes * FRAME_PER_BODY_MAX + SUBSCRIBER_BACKLOG_BYTES,
      closeOnBackpressureLimit: true,
      idleTimeout: 120,
      perMessageDeflate: false,
      open: (socket) => this.#opened(socket),
      message: (socket, message) => this.#received(socket, message),
      pong: (socket) => heard(socket),
      ping: (socket) => heard(socket),
      close: (socket, code) => this.#closed(socket, code),
    };
  }

  /** A frame that alone may reach the bound: who is closed at it should be told from who just leaves. */
  noteLarge(symbol: string, bytes: number): void {
    if (bytes < LARGE_FRAME_BYTES) return;
    for (const socket of this.#open) {
      if (socket.data.symbol === symbol) socket.data.backlog = socket.getBufferedAmount() + bytes;
    }
  }

  /** Every update before now may have been missed: clients must know, so they have to connect again. */
  closeAllForRestart(): void {
    for (const socket of this.#open) restart(socket);
  }

  /**
   * Closes each with 1001 as soon as it has taken what waits for it. One that takes nothing any more is not waited for.
   * Resolves when all are closed, or after the time.
   */
  async drain(timeoutMs: number): Promise<void> {
    clearInterval(this.#sweep);
    const deadline = performance.now() + timeoutMs;
    const waiting = new Map<Socket, { bytes: number; sinceMs: number }>();
    for (;;) {
      const now = performance.now();
      for (const socket of [...this.#open]) {
        const bytes = socket.getBufferedAmount();
        const before = waiting.get(socket);
        if (before === undefined || bytes < before.bytes) waiting.set(socket, { bytes, sinceMs: now });
        const isStuck = before !== undefined && now - before.sinceMs > DRAIN_STALL_MS;
        if (bytes > 0 && !isStuck && now < deadline) continue;
        this.#open.delete(socket);
        socket.close(CLOSE_GOING_AWAY, "server is stopping");
      }
      if (this.#open.size === 0) return;
      await Bun.sleep(DRAIN_POLL_MS);
    }
  }

  #opened(socket: Socket): void {
    this.#open.add(socket);
    const { symbol } = socket.data;
    if (symbol === "") {
      socket.close(CLOSE_NORMAL, SYMBOL_REQUIRED);
      return;
    }
    const subscriber: Subscriber = {
      send: (text) => void socket.send(text),
      listen: (ticker) => socket.subscribe(ticker),
      restart: () => restart(socket),
      get open() {
        return socket.readyState === WebSocket.OPEN;
      },
    };
    socket.data.subscriber = subscriber;
    this.#options.counters.subscribers++;
    this.#options.subscriptions.join(symbol, subscriber).catch((error: Error) => {
      this.#options.log.warning(`WebSocket for ${symbol}: ${error.message}`);
      socket.close(CLOSE_TRY_LATER, "the server can't subscribe now");
    });
  }

  #received(socket: Socket, message: string | Buffer): void {
    heard(socket);
    if (typeof message !== "string") return;
    let request: unknown;
    try {
      request = JSON.parse(message);
    } catch {
      return; // the protocol ignores what it doesn't know
    }
    if (isObject(request) && request.action === "unsubscribe") socket.close(CLOSE_NORMAL);
  }

  #closed(socket: Socket, code: number): void {
    this.#open.delete(socket);
    const { symbol, subscriber } = socket.data;
    if (subscriber === null) return;
    this.#options.counters.subscribers--;
    this.#options.subscriptions.leave(symbol, subscriber);
    const what = `WebSocket for ${symbol} from ${socket.data.address} closed with ${code}`;
    if (code !== CLOSED_ABNORMALLY || socket.data.backlog === 0) {
      this.#options.log.debug(what);
      return;
    }
    // Bun doesn't say which: it closes at the bound as it does when the client is gone.
    this.#options.counters.subscribersCutOff++;
    this.#options.log.warning(
      `${what} with ${socket.data.backlog} bytes waiting: cut off at the bound, or gone`,
    );
  }

  #cutOffDead(): void {
    const now = performance.now();
    const backlogs = new Map<Socket, number>();
    for (const socket of this.#open) {
      const { data } = socket;
      const backlog = socket.getBufferedAmount();
      data.backlog = backlog;
      if (backlog > 0) backlogs.set(socket, backlog);
      if (backlog === 0) data.stalledMs = 0;
      else if (data.stalledMs === 0) data.stalledMs = now;
      if (data.stalledMs !== 0 && now - data.stalledMs > STALL_MAX_MS) {
        this.#cutOff(socket, `has not caught up for ${STALL_MAX_MS / 1000} s`);
      } else if (now - data.heardMs > SILENCE_MAX_MS) {
        this.#cutOff(socket, `has answered no ping for ${SILENCE_MAX_MS / 1000} s`);
      } else if (now - data.pingedMs > PING_MS) {
        data.pingedMs = now;
        socket.ping();
      }
    }
    this.#boundTotal(backlogs);
  }

  #boundTotal(backlogs: Map<Socket, number>): void {
    let total = 0;
    for (const bytes of backlogs.values()) total += bytes;
    if (total <= BACKLOG_TOTAL_BYTES_MAX) return;
    for (const [socket, bytes] of [...backlogs].sort(([, a], [, b]) => b - a)) {
      if (total <= BACKLOG_TOTAL_BYTES_MAX) return;
      total -= bytes;
      if (this.#open.has(socket))
        this.#cutOff(socket, `has ${bytes} bytes waiting, of too many for all clients`);
    }
  }

  #cutOff(socket: Socket, why: string): void {
    this.#options.counters.subscribersCutOff++;
    this.#options.log.warning(
      `WebSocket for ${socket.data.symbol} from ${socket.data.address} ${why}; cutting it off`,
    );
    socket.terminate();
  }
}

function restart(socket: Socket): void {
  socket.close(CLOSE_RESTART, "updates may have been missed; connect again");
}

function heard(socket: Socket): void {
  socket.data.heardMs = performance.now();
}
