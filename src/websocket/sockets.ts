/**
 * The WebSockets of this worker that get updates, from upgrade to close, whatever they speak.
 * Bounds the data that clients leave unread, and how long a dead client stays.
 */
import type { Server, WebSocketHandler } from "bun";
import type { KeyRates } from "../access/key-rates.ts";
import type { Caller, StillAdmits } from "../access/key-ring.ts";
import { auditedCheck } from "../commands/audited.ts";
import type { CheckTickers } from "../commands/context.ts";
import { tickerCheck } from "../commands/seen-tickers.ts";
import type { Arrival, ConnectionSource, OpenConnection } from "../connections/connection.ts";
import type { LiveBars } from "../live-bars/live-bars.ts";
import { bytesIn, type Traffic } from "../metrics/traffic.ts";
import type { AuditLog } from "../observe/audit-log.ts";
import type { Counters } from "../observe/counters.ts";
import type { LogLines } from "../observe/log.ts";
import {
  CLOSE_ENDED,
  CLOSE_FAILED,
  CLOSE_GOING_AWAY,
  CLOSE_KEY,
  CLOSE_NORMAL,
  CLOSE_POLICY,
  KEY_GONE,
} from "../protocol/codes.ts";
import { badRequest } from "../protocol/errors.ts";
import { SYMBOL_REQUIRED } from "../protocol/frames.ts";
import type { Subscriptions } from "../stream/subscriptions.ts";
import { ClientTotals } from "./client-totals.ts";
import { LiveClient } from "./live-client.ts";
import { type Handshake, readHandshake } from "./live-request.ts";
import { messageCost, messageRate, tooManyMessages } from "./message-rate.ts";
import { QueuedBytes } from "./request-queue.ts";
import { shownClient } from "./shown-client.ts";
import type { OpenClient, Socket, SocketData, SocketServices } from "./socket-client.ts";
import type { SocketPlaces } from "./socket-places.ts";
import type { SubscriptionQuota } from "./subscription-quota.ts";
import { Turns } from "./turns.ts";
import { tooMany } from "./watch-list.ts";

/**
 * Limit for a client's message: a base, and room for each ticker with its position. Bun buffers an
 * incomplete message of every socket.
 */
const MESSAGE_BYTES = 64 * 1024;
const MESSAGE_BYTES_PER_SYMBOL = 256;
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;
/** A save is one frame. Quotes have longer names in frames: at most 2.6 times the body's size. */
const FRAME_PER_BODY_MAX = 3;
/** Room in Bun's buffer, beyond the largest frame, before it closes a client. */
const SUBSCRIBER_BACKLOG_BYTES = 1024 * 1024;
const LARGE_FRAME_BYTES = 64 * 1024;
/** RFC 6455: the connection ended without a close frame. */
const CLOSED_ABNORMALLY = 1006;
/** A client that has read nothing for this long, while data waits, is cut off. */
const STALL_MAX_MS = 15_000;
/** Time for a client that was told to go, and may not even read that. */
const CLOSE_WAIT_MS = 5_000;
/** While the server stops, a client that reads nothing for this long is not waited for. */
const DRAIN_STALL_MS = 1_000;
const DRAIN_POLL_MS = 10;
/** How soon after a publish slow clients are detected. */
const PACE_MS = 5;
/** Beyond this many sockets the checks are less frequent, so that they take no more time. */
const PACE_SOCKETS = 1_000;
/** How often sockets are checked for pings, silence and stalls. */
const SWEEP_MS = 1_000;
/** Limit for unread data of all clients of a worker; beyond it those with most are cut off. */
const BACKLOG_TOTAL_BYTES_MAX = 256 * 1024 * 1024;
const PING_MS = 30_000;
const SILENCE_MAX_MS = 75_000;

export interface SocketsOptions {
  subscriptions: Subscriptions;
  liveBars: LiveBars;
  maxBodyBytes: number;
  symbolsMax: number;
  queueBytesMax: number;
  places: SocketPlaces;
  stillAdmits: StillAdmits;
  /** Null: there is none. */
  audit: AuditLog | null;
  quota: SubscriptionQuota;
  rates: KeyRates;
  traffic: Traffic;
  counters: Counters;
  log: LogLines;
}

type NewSocket = Pick<SocketData, "open" | "path" | "address" | "owner" | "arrival" | "door" | "isCounted">;

export class Sockets implements ConnectionSource {
  readonly #options: SocketsOptions;
  readonly #open = new Set<Socket>();
  readonly #sweep: Timer;
  readonly #queuedBytes = new QueuedBytes();
  readonly #turns = new Turns();
  #pace: Timer | null = null;
  #totals = new ClientTotals();

  constructor(options: SocketsOptions) {
    this.#options = options;
    this.#sweep = setInterval(() => this.#cutOffDead(), SWEEP_MS);
  }

  get size(): number {
    return this.#open.size;
  }

  /**
   * @returns false when the handshake is incomplete, true when the request became a WebSocket.
   * @throws RequestError 400 a parameter is invalid, 429 too many WebSockets or subscriptions of
   *   the address or key, 503 too many subscriptions of all.
   */
  async upgrade(
    request: Request,
    server: Server<SocketData>,
    query: URLSearchParams,
    by: { address: string; caller: Caller; arrival: Arrival },
  ): Promise<boolean> {
    return this.#options.places.upgrade(request, server, await this.prepare(query, by));
  }

  /**
   * What a WebSocket of `/ws` begins with. Its place has been entered.
   *
   * @throws RequestError as `upgrade`.
   */
  async prepare(
    query: URLSearchParams,
    { address, caller: owner, arrival }: { address: string; caller: Caller; arrival: Arrival },
  ): Promise<SocketData> {
    const { places, symbolsMax, quota } = this.#options;
    const handshake = readHandshake(query);
    const tickers = handshake.wish?.tickers ?? [];
    const checkTickers = tickerCheck(owner);
    checkTickers?.(tickers);
    if (tickers.length > symbolsMax) throw badRequest(tooMany(symbolsMax, tickers.length).message);
    quota.check(address, tickers);
    await places.enter({ address, owner }, "/ws");
    // Its own parameters are checked above, of which the router tells.
    const asked = { who: owner.name, from: address, path: "/ws" };
    const told = auditedCheck(this.#withinRates(owner, checkTickers), this.#options.audit, asked);
    const open = handshake.wish === null ? SYMBOL_REQUIRED : this.#liveClient(handshake, owner, told);
    const door = "websocket";
    return this.#dataOf({ open, path: "/ws", address, owner, arrival, door, isCounted: true });
  }

  /**
   * Makes a WebSocket of the request. `isCounted`: its address has been entered.
   *
   * @returns false when the handshake is incomplete.
   */
  accept(request: Request, server: Server<SocketData>, of: NewSocket): boolean {
    return this.#options.places.upgrade(request, server, this.#dataOf(of));
  }

  #dataOf(of: NewSocket): SocketData {
    const now = performance.now();
    const { traffic, rates } = this.#options;
    return {
      ...of,
      meter: traffic.meter(of.door, of.owner === null ? null : rates.noteBytes(of.owner)),
      client: null,
      rate: messageRate(this.#options.symbolsMax),
      heardMs: now,
      pingedMs: now,
      stalledMs: 0,
      backlog: 0,
      closingMs: 0,
    };
  }

  handler(): WebSocketHandler<SocketData> {
    return {
      maxPayloadLength: Math.min(
        MESSAGE_BYTES_MAX,
        MESSAGE_BYTES + MESSAGE_BYTES_PER_SYMBOL * this.#options.symbolsMax,
      ),
      backpressureLimit: unreadBytesMax(this.#options.maxBodyBytes),
      closeOnBackpressureLimit: true,
      idleTimeout: 120,
      perMessageDeflate: false,
      open: (socket) => this.#opened(socket),
      message: (socket, message) => this.#received(socket, message),
      drain: (socket) => this.#drained(socket),
      pong: (socket) => void this.#heard(socket, null),
      ping: (socket) => void this.#heard(socket, null),
      close: (socket, code) => this.#closed(socket, code),
    };
  }

  /** Call it after a publish, so that slow clients are detected soon. */
  published(topic: string, text: string): void {
    if (text.length >= LARGE_FRAME_BYTES) this.#noteLarge(topic, text.length);
    this.#pace ??= this.#paceSoon();
  }

  /** As of the last look, which is up to a second ago. */
  get totals(): ClientTotals {
    return this.#totals;
  }

  *connections(): Iterable<OpenConnection> {
    for (const socket of this.#open) {
      const { client, path, stalledMs, owner, arrival, address } = socket.data;
      if (client === null) continue;
      yield shownClient(client, {
        ...{ arrival, path, address, key: owner?.name ?? null, stalledMs },
        kind: path.startsWith("/v2/") ? "alpaca" : "websocket",
        bufferedBytes: socket.getBufferedAmount(),
        end: (reason) => client.refuse(CLOSE_ENDED, "ended_by_operator", reason),
      });
    }
  }

  /** Bytes that clients have not read yet. */
  get waitingBytes(): number {
    let bytes = 0;
    for (const socket of this.#open)
      bytes += socket.getBufferedAmount() + (socket.data.client?.waitingBytes ?? 0);
    return bytes;
  }

  /**
   * Cuts off the newest half of the sockets of the address that has most. Bun doesn't show how much
   * it holds of their messages; only closing frees that.
   */
  closeSome(): { closed: number; address: string } {
    const ofAddress = Map.groupBy(this.#open, ({ data }) => data.address);
    const [address, sockets] = [...ofAddress].reduce<[string, Socket[]]>(
      (most, one) => (one[1].length > most[1].length ? one : most),
      ["-", []],
    );
    const closed = sockets.slice(Math.floor(sockets.length / 2));
    this.#options.counters.subscribersCutOff += closed.length;
    for (const socket of closed) socket.terminate();
    return { closed: closed.length, address };
  }

  /**
   * Closes each socket with 1001 once it has read what waits for it, or reads nothing any more.
   * Resolves when all are closed, or after the time.
   */
  async drain(timeoutMs: number): Promise<void> {
    clearInterval(this.#sweep);
    const deadline = performance.now() + timeoutMs;
    const waiting = new Map<Socket, { bytes: number; sinceMs: number }>();
    for (;;) {
      const now = performance.now();
      for (const socket of [...this.#open]) {
        socket.data.client?.pace();
        const bytes = socket.getBufferedAmount() + (socket.data.client?.waitingBytes ?? 0);
        const before = waiting.get(socket);
        if (before === undefined || bytes < before.bytes) waiting.set(socket, { bytes, sinceMs: now });
        const isStuck = before !== undefined && now - before.sinceMs > DRAIN_STALL_MS;
        if (bytes > 0 && !isStuck && now < deadline) continue;
        this.#open.delete(socket);
        socket.close(CLOSE_GOING_AWAY, "server is stopping");
      }
      if (this.#open.size === 0) break;
      await Bun.sleep(DRAIN_POLL_MS);
    }
    if (this.#pace !== null) clearTimeout(this.#pace);
  }

  #opened(socket: Socket): void {
    this.#open.add(socket);
    const { data } = socket;
    if (typeof data.open === "string") {
      socket.close(CLOSE_NORMAL, data.open);
      return;
    }
    data.client = data.open(socket, this.#services(socket));
    this.#options.counters.subscribers++;
    data.client.start();
  }

  /**
   * A key that has had its rows or bytes subscribes to nothing more, as updates of before would
   * come.
   */
  #withinRates(owner: Caller, check: CheckTickers | null): CheckTickers | null {
    if (owner.rows === null && owner.bytes === null) return check;
    return (tickers) => {
      this.#options.rates.check(owner, null);
      check?.(tickers);
    };
  }

  #liveClient(handshake: Handshake, owner: Caller, checkTickers: CheckTickers | null): OpenClient {
    const { subscriptions, liveBars, symbolsMax, queueBytesMax, quota, rates } = this.#options;
    return (socket, services) =>
      new LiveClient(socket, handshake, {
        ...services,
        address: socket.data.address,
        isStream: false,
        meter: socket.data.meter,
        subscriptions,
        liveBars,
        symbolsMax,
        queueBytesMax,
        quota,
        checkTickers,
        noteRows: rates.noteRows(owner),
      });
  }

  #services(socket: Socket): SocketServices {
    const { counters, log } = this.#options;
    return {
      counts: counters,
      queuedBytes: this.#queuedBytes,
      turns: this.#turns,
      onCutOff: (reason, isAsked = false) => {
        socket.data.closingMs = performance.now();
        if (!isAsked) counters.subscribersCutOff++;
        log.warning(`${describe(socket)}: closing it, ${reason}`);
      },
      onHeard: (bytes) => this.#heardAlone(socket, bytes),
      onFailed: (error) => this.#failed(socket, error),
      warn: (message) => log.warning(message),
    };
  }

  #received(socket: Socket, message: string | Buffer): void {
    socket.data.meter.received(bytesIn(message));
    if (!this.#heard(socket, message)) return;
    this.#options.counters.messages++;
    socket.data.client?.message(message);
  }

  /** @returns false when the client sends too much, and is to be ignored. */
  #heard({ data }: Socket, message: string | Buffer | null): boolean {
    data.heardMs = performance.now();
    if (data.closingMs !== 0) return false;
    if (data.rate.take(messageCost(message))) return true;
    data.client?.refuse(CLOSE_POLICY, "too_many_messages", tooManyMessages(this.#options.symbolsMax));
    return false;
  }

  /** Ends this client alone: one client's message must not end the process. */
  #failed(socket: Socket, error: unknown): void {
    this.#options.log.error(
      `${describe(socket)}: a message failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
    socket.close(CLOSE_FAILED, "an internal server error occurred");
  }

  #drained(socket: Socket): void {
    socket.data.stalledMs = 0;
    socket.data.client?.pace();
  }

  #checkPace(): void {
    this.#pace = null;
    let waits = false;
    for (const { data } of this.#open) {
      data.client?.pace();
      waits ||= data.client?.waits === true;
    }
    // Bun reports only an emptied buffer, not one that was never full.
    if (waits) this.#pace = this.#paceSoon();
  }

  #paceSoon(): Timer {
    return setTimeout(() => this.#checkPace(), PACE_MS * Math.max(1, this.#open.size / PACE_SOCKETS));
  }

  /** Like `published`, for a topic with one listener. */
  #heardAlone(socket: Socket, bytes: number): void {
    this.#options.counters.framesPublished++;
    if (bytes >= LARGE_FRAME_BYTES) socket.data.backlog = socket.getBufferedAmount() + bytes;
    this.#pace ??= this.#paceSoon();
  }

  /** A frame may reach Bun's bound alone. The note tells such a close from a client that leaves. */
  #noteLarge(topic: string, bytes: number): void {
    for (const socket of this.#open) {
      if (socket.isSubscribed(topic)) socket.data.backlog = socket.getBufferedAmount() + bytes;
    }
  }

  #closed(socket: Socket, code: number): void {
    this.#open.delete(socket);
    if (socket.data.isCounted) this.#options.places.leave(socket.data);
    const { client, backlog } = socket.data;
    if (client === null) return;
    const what = `${describe(socket)} closed with ${code}`;
    client.closed();
    this.#options.counters.subscribers--;
    if (code !== CLOSED_ABNORMALLY || backlog === 0) {
      this.#options.log.debug(what);
      return;
    }
    // Bun closes at the bound with the same code as when the client is gone.
    this.#options.counters.subscribersCutOff++;
    this.#options.log.warning(`${what} with ${backlog} bytes waiting: cut off at the bound, or gone`);
  }

  #endOfKey(socket: Socket): void {
    const { client } = socket.data;
    if (client !== null) client.refuse(CLOSE_KEY, "key_not_valid", KEY_GONE);
    else socket.close(CLOSE_KEY, KEY_GONE);
  }

  #cutOffDead(): void {
    const now = performance.now();
    const backlogs = new Map<Socket, number>();
    const totals = new ClientTotals();
    for (const socket of this.#open) {
      const { data } = socket;
      const backlog = socket.getBufferedAmount();
      if (data.client !== null) totals.add(data.client.figures(), backlog);
      if (backlog > 0) backlogs.set(socket, backlog + (data.client?.waitingBytes ?? 0));
      if (backlog === 0 || backlog < data.backlog) data.stalledMs = 0;
      else if (data.stalledMs === 0) data.stalledMs = now;
      data.backlog = backlog;
      if (data.owner !== null && data.closingMs === 0 && !this.#options.stillAdmits(data.owner))
        this.#endOfKey(socket);
      if (data.closingMs !== 0 && now - data.closingMs > CLOSE_WAIT_MS) {
        socket.terminate();
      } else if (data.stalledMs !== 0 && now - data.stalledMs > STALL_MAX_MS) {
        this.#cutOff(socket, `has taken nothing for ${STALL_MAX_MS / 1000} s`);
      } else if (now - data.heardMs > SILENCE_MAX_MS) {
        this.#cutOff(socket, `has answered no ping for ${SILENCE_MAX_MS / 1000} s`);
      } else if (now - data.pingedMs > PING_MS) {
        data.pingedMs = now;
        socket.ping();
      }
    }
    this.#totals = totals;
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
    this.#options.log.warning(`${describe(socket)} ${why}; cutting it off`);
    socket.terminate();
  }
}

/** What one client may leave unread: the largest frame fits. */
export function unreadBytesMax(maxBodyBytes: number): number {
  return maxBodyBytes * FRAME_PER_BODY_MAX + SUBSCRIBER_BACKLOG_BYTES;
}

function describe({ data }: Socket): string {
  const door = data.path === "/ws" ? "WebSocket" : `WebSocket ${data.path}`;
  return `${door} for ${data.client?.shown ?? "nothing"} from ${data.address}`;
}
