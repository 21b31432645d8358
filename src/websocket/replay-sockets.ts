/**
 * WebSockets that play history: the frames of a live subscription, from stored rows, at their
 * rhythm. Each replay waits for a slow client instead of dropping frames, and ends with a close.
 */
import type { Server, ServerWebSocket } from "bun";
import type { KeyRates } from "../access/key-rates.ts";
import type { Caller, StillAdmits } from "../access/key-ring.ts";
import { countedColumns } from "../commands/counted-rows.ts";
import { tickerCheck } from "../commands/seen-tickers.ts";
import type { Arrival, ConnectionSource, OpenConnection } from "../connections/connection.ts";
import { bytesIn, type Meter, type Traffic } from "../metrics/traffic.ts";
import type { LogLines } from "../observe/log.ts";
import {
  CLOSE_ENDED,
  CLOSE_FAILED,
  CLOSE_GOING_AWAY,
  CLOSE_KEY,
  CLOSE_NORMAL,
  CLOSE_POLICY,
  CLOSE_REASON_BYTES_MAX,
  CLOSE_TRY_LATER,
  KEY_GONE,
} from "../protocol/codes.ts";
import { RequestError, tooMany } from "../protocol/errors.ts";
import { errorFrame, heartbeatFrame } from "../protocol/frames.ts";
import { isObject } from "../protocol/json.ts";
import { type HistoryFrame, historyFrames } from "../replay/history-frames.ts";
import { Pacer } from "../replay/pacer.ts";
import { type ReplayQuery, readReplayQuery } from "../replay/replay-query.ts";
import type { StockReader } from "../storage/contract.ts";
import { MessageError, readJson } from "./live-request.ts";
import { messageCost, messageRate, tooManyMessages } from "./message-rate.ts";
import { normalizedReplayBeat, normalizedReplayEnd, normalizedRow } from "./normalized-form.ts";
import type { SocketPlaces } from "./socket-places.ts";
import type { TokenBucket } from "./token-bucket.ts";
import { Turns } from "./turns.ts";

/** Limit for one worker. */
export const REPLAYS_MAX = 32;
const RETRY_AFTER_S = 5;
/** With more than this unread in Bun's buffer, the replay waits. */
const BACKLOG_BYTES_MAX = 256 * 1024;
/** Frames sent before a replay checks its turn; all replays of a worker share turns. */
const FRAMES_PER_LOOK = 20;
/** Limit for unread answers beside that; then the client is closed. */
const ANSWERS_BYTES_MAX = 256 * 1024;
/** Time from the close frame to the forced end of the connection. */
const CLOSE_WAIT_MS = 5_000;
const PING_MS = 30_000;
/** Of a list of connections. */
const TICKERS_SHOWN = 5;
const KEY_LOOK_MS = 1_000;
/** Long, as a program that works on what it has got may answer no ping meanwhile. */
const SILENCE_MAX_MS = 300_000;
const ONLY_LEAVE = 'a replay plays what its URL names; expected "unsubscribe" without symbols';

export interface ReplaySocketData {
  kind: "replay";
  query: ReplayQuery;
  /** Kept here, since Bun has forgotten it when the socket closes. */
  address: string;
  owner: Caller;
  arrival: Arrival;
  meter: Meter;
  stop: AbortController;
  heardMs: number;
  rate: TokenBucket;
  /** Set while the loop waits for the client to read. */
  drained: (() => void) | null;
}

export type ReplaySocket = ServerWebSocket<ReplaySocketData>;

export interface ReplaySocketsOptions {
  reader: Pick<StockReader, "columns" | "parts">;
  places: SocketPlaces;
  stillAdmits: StillAdmits;
  rates: KeyRates;
  traffic: Traffic;
  heartbeatIntervalMs: number;
  symbolsMax: number;
  log: LogLines;
}

export class ReplaySockets implements ConnectionSource {
  readonly #options: ReplaySocketsOptions;
  readonly #open = new Set<ReplaySocket>();
  readonly #turns = new Turns();

  constructor(options: ReplaySocketsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#open.size;
  }

  /**
   * @returns false when the handshake is incomplete.
   * @throws RequestError 400 naming the parameter at fault; 429 beyond REPLAYS_MAX, or too many of
   *   the address.
   */
  async upgrade(
    request: Request,
    server: Server<ReplaySocketData>,
    parameters: URLSearchParams,
    by: { address: string; caller: Caller; arrival: Arrival },
  ): Promise<boolean> {
    return this.#options.places.upgrade(request, server, await this.prepare(parameters, by));
  }

  /** What a replay begins with. Its place has been entered. @throws RequestError as `upgrade`. */
  async prepare(
    parameters: URLSearchParams,
    { address, caller: owner, arrival }: { address: string; caller: Caller; arrival: Arrival },
  ): Promise<ReplaySocketData> {
    const { places, traffic, rates } = this.#options;
    const query = readReplayQuery(parameters);
    tickerCheck(owner)?.(query.symbols);
    await places.enter({ address, owner }, "/ws/replay");
    if (this.#open.size >= REPLAYS_MAX) {
      places.leave({ address, owner });
      throw tooMany(`replay: ${REPLAYS_MAX} replays are running in this worker, expected fewer`, {
        retryAfterS: RETRY_AFTER_S,
      });
    }
    return {
      kind: "replay",
      query,
      address,
      owner,
      arrival,
      meter: traffic.meter("replay", rates.noteBytes(owner)),
      stop: new AbortController(),
      heardMs: performance.now(),
      rate: messageRate(this.#options.symbolsMax),
      drained: null,
    };
  }

  *connections(): Iterable<OpenConnection> {
    for (const socket of this.#open) {
      const { arrival, address, owner, query } = socket.data;
      yield {
        ...{ arrival, kind: "replay", path: "/ws/replay", key: owner.name, address },
        // It waits for its client, which can't be behind what is due.
        rank: () => ({ lagS: 0, queueBytes: socket.getBufferedAmount() }),
        details: () => ({
          subscriptions: query.symbols.length,
          tickers: query.symbols.slice(0, TICKERS_SHOWN),
        }),
        end: (reason) => this.#refuse(socket, { code: CLOSE_ENDED, errorCode: "ended_by_operator", reason }),
      };
    }
  }

  open(socket: ReplaySocket): void {
    this.#open.add(socket);
    const endSoon = (closed: ReplaySocket): void => this.#endSoon(closed);
    void new Replay(socket, { ...this.#options, endSoon }, this.#turns).run();
  }

  /** A bot may send what it sends to a live socket; the answer says what a replay can't do. */
  message(socket: ReplaySocket, message: string | Buffer): void {
    socket.data.meter.received(bytesIn(message));
    if (!this.heard(socket, message)) return;
    if (socket.getBufferedAmount() > BACKLOG_BYTES_MAX + ANSWERS_BYTES_MAX) {
      this.#refuse(socket, tooManySent("too many answers to messages are not read"));
      return;
    }
    try {
      if (isLeave(readJson(typeof message === "string" ? message : null))) socket.close(CLOSE_NORMAL);
      else send(socket, errorFrame("unknown_action", ONLY_LEAVE));
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      send(socket, errorFrame(error.code, error.message));
    }
  }

  drain(socket: ReplaySocket): void {
    if (socket.getBufferedAmount() <= BACKLOG_BYTES_MAX) socket.data.drained?.();
  }

  /** @returns false when the client sends too much, and is to be ignored. */
  heard(socket: ReplaySocket, message: string | Buffer | null = null): boolean {
    const { data } = socket;
    data.heardMs = performance.now();
    if (data.stop.signal.aborted) return false;
    if (data.rate.take(messageCost(message))) return true;
    this.#refuse(socket, tooManySent(tooManyMessages(this.#options.symbolsMax)));
    return false;
  }

  close(socket: ReplaySocket): void {
    this.#open.delete(socket);
    this.#options.places.leave(socket.data);
    socket.data.stop.abort();
    socket.data.drained?.();
  }

  #refuse(socket: ReplaySocket, { code, errorCode, reason }: ReplayRefusal): void {
    const { data } = socket;
    this.#options.log.warning(
      `Replay of ${data.query.symbols.join(",")} from ${data.address}: closing it, ${reason}`,
    );
    data.stop.abort();
    data.drained?.();
    send(socket, errorFrame(errorCode, reason));
    socket.close(code, reason.slice(0, CLOSE_REASON_BYTES_MAX));
    this.#endSoon(socket);
  }

  /** Some clients don't even read the close frame. */
  #endSoon(socket: ReplaySocket): void {
    setTimeout(() => {
      if (this.#open.has(socket)) socket.terminate();
    }, CLOSE_WAIT_MS);
  }

  closeAll(): void {
    for (const socket of this.#open) socket.close(CLOSE_GOING_AWAY, "server is stopping");
  }
}

interface ReplayRefusal {
  code: number;
  errorCode: string;
  reason: string;
}

function tooManySent(reason: string): ReplayRefusal {
  return { code: CLOSE_POLICY, errorCode: "too_many_messages", reason };
}

interface OneReplayOptions extends ReplaySocketsOptions {
  /** Ends the connection, if the client doesn't after the close frame. */
  endSoon(socket: ReplaySocket): void;
}

/** One replay, from its first frame to its close. */
class Replay {
  readonly #socket: ReplaySocket;
  readonly #query: ReplayQuery;
  readonly #signal: AbortSignal;
  readonly #options: OneReplayOptions;
  readonly #turns: Turns;
  readonly #pacer: Pacer;
  readonly #sent = new Map<string, number>();
  /** Time of the last frame sent. */
  #lastMicros = Number.NEGATIVE_INFINITY;

  constructor(socket: ReplaySocket, options: OneReplayOptions, turns: Turns) {
    const { query, stop } = socket.data;
    this.#socket = socket;
    this.#query = query;
    this.#signal = stop.signal;
    this.#options = options;
    this.#turns = turns;
    this.#pacer = new Pacer(query);
  }

  /** Never rejects. */
  async run(): Promise<void> {
    this.#beat();
    const beats = setInterval(() => this.#beat(), this.#options.heartbeatIntervalMs);
    const watch = setInterval(() => this.#watchClient(), PING_MS);
    const keys = setInterval(() => this.#lookAtKey(), KEY_LOOK_MS);
    try {
      const frames = historyFrames({
        ...this.#query,
        reader: this.#countedReader(),
        turn: () => this.#turns.take(),
        signal: this.#signal,
      });
      await this.#play(frames);
      if (!this.#signal.aborted) await this.#end();
    } catch (error) {
      this.#fail(error);
    } finally {
      clearInterval(beats);
      clearInterval(watch);
      clearInterval(keys);
    }
  }

  #countedReader(): ReplaySocketsOptions["reader"] {
    const { reader, rates } = this.#options;
    const note = rates.noteRows(this.#socket.data.owner);
    if (note === null) return reader;
    return {
      parts: (kind, ticker) => reader.parts(kind, ticker),
      columns: (query) => countedColumns(reader, query, note),
    };
  }

  async #play(frames: AsyncIterable<HistoryFrame>): Promise<void> {
    let sinceLook = 0;
    for await (const frame of frames) {
      const dueMs = this.#pacer.schedule(frame.atMicros);
      if (this.#pacer.behindMs(dueMs) === 0) {
        sinceLook = 0;
        await this.#pacer.until(dueMs, this.#signal);
      }
      if (this.#signal.aborted) return;
      const { symbol, text } = frame;
      send(this.#socket, this.#query.isNormalized ? normalizedRow(symbol, text) : text);
      this.#socket.data.meter.sentRows(1);
      this.#lastMicros = Math.max(this.#lastMicros, frame.atMicros);
      this.#sent.set(frame.symbol, (this.#sent.get(frame.symbol) ?? 0) + 1);
      if (this.#isBehind()) await this.#untilRead();
      if (++sinceLook >= FRAMES_PER_LOOK) {
        sinceLook = 0;
        await this.#turns.take();
      }
    }
  }

  async #end(): Promise<void> {
    const timestamp = isoOf(this.#query.toMicros);
    for (const symbol of this.#query.symbols) {
      const updates = this.#sent.get(symbol) ?? 0;
      send(
        this.#socket,
        this.#query.isNormalized
          ? normalizedReplayEnd(symbol, timestamp, updates)
          : JSON.stringify({ symbol, data: { type: "replay_end", timestamp, updates } }),
      );
    }
    if (this.#isBehind()) await this.#untilRead();
    this.#socket.close(CLOSE_NORMAL, "the replay is over");
  }

  #fail(error: unknown): void {
    if (this.#signal.aborted) return;
    const { symbols } = this.#query;
    if (error instanceof RequestError) {
      this.#options.log.warning(`Replay of ${symbols.join(",")}: ${error.message}`);
      const isClients = error.status < 500;
      send(this.#socket, errorFrame(isClients ? "bad_request" : "unavailable", error.message));
      if (isClients) this.#socket.close(CLOSE_POLICY, "the replay can't be played");
      else this.#socket.close(CLOSE_TRY_LATER, "the database doesn't answer");
      return;
    }
    this.#options.log.warning(
      `Replay of ${symbols.join(",")} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
    this.#socket.close(CLOSE_FAILED, "an internal server error occurred");
  }

  /**
   * Tells the replay's time, which a bot takes for now: never later than the query's end, nor
   * earlier than what was sent.
   */
  #beat(): void {
    if (this.#signal.aborted || this.#isBehind()) return;
    const position = this.#pacer.positionMicros() ?? this.#query.startMicros;
    if (position === null) return;
    const micros = Math.max(this.#lastMicros, Math.min(position, this.#query.toMicros));
    const now = new Date(micros / 1_000);
    if (this.#query.isNormalized) send(this.#socket, normalizedReplayBeat(now));
    else for (const symbol of this.#query.symbols) send(this.#socket, heartbeatFrame(symbol, now, null));
  }

  #lookAtKey(): void {
    const { owner, stop } = this.#socket.data;
    if (this.#signal.aborted || this.#options.stillAdmits(owner)) return;
    stop.abort();
    this.#socket.data.drained?.();
    send(this.#socket, errorFrame("key_not_valid", KEY_GONE));
    this.#socket.close(CLOSE_KEY, KEY_GONE);
    this.#options.endSoon(this.#socket);
  }

  #watchClient(): void {
    const silentMs = performance.now() - this.#socket.data.heardMs;
    if (silentMs > SILENCE_MAX_MS) this.#socket.terminate();
    else this.#socket.ping();
  }

  #isBehind(): boolean {
    return this.#socket.getBufferedAmount() > BACKLOG_BYTES_MAX;
  }

  async #untilRead(): Promise<void> {
    while (this.#isBehind() && !this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#socket.data.drained = resolve;
      });
      this.#socket.data.drained = null;
    }
  }
}

function send(socket: ReplaySocket, text: string): void {
  socket.data.meter.sent(bytesIn(text));
  socket.send(text);
}

function isLeave(request: unknown): boolean {
  if (!isObject(request) || request.action !== "unsubscribe") return false;
  return request.symbols === undefined && request.types === undefined;
}

function isoOf(micros: number): string {
  return new Date(micros / 1_000).toISOString();
}
