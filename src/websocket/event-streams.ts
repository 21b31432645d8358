/**
 * The streams of GET /v1/stream in this worker: live updates for clients that can't have a
 * WebSocket. Each is a client like those of /ws, with normalized frames as events.
 */
import type { KeyRates } from "../access/key-rates.ts";
import type { Caller, StillAdmits } from "../access/key-ring.ts";
import { tickerCheck } from "../commands/seen-tickers.ts";
import { suggest } from "../config/nearest.ts";
import type { Arrival, ConnectionSource, OpenConnection } from "../connections/connection.ts";
import type { LiveBars } from "../live-bars/live-bars.ts";
import { bytesIn, type Meter, type Traffic } from "../metrics/traffic.ts";
import type { Counters } from "../observe/counters.ts";
import type { LogLines } from "../observe/log.ts";
import { CLOSE_ENDED, CLOSE_GOING_AWAY, CLOSE_KEY, KEY_GONE } from "../protocol/codes.ts";
import { badRequest, RequestError } from "../protocol/errors.ts";
import { errorFrame } from "../protocol/frames.ts";
import { ALL_TICKERS } from "../stream/subscriber.ts";
import type { Subscriptions } from "../stream/subscriptions.ts";
import { ClientTotals } from "./client-totals.ts";
import { EventIds } from "./event-id.ts";
import { EventStream } from "./event-stream.ts";
import { LiveClient } from "./live-client.ts";
import { type Handshake, LIVE_PARAMETERS, readHandshake, type Wish } from "./live-request.ts";
import { NORMALIZED } from "./normalized-form.ts";
import { QueuedBytes } from "./request-queue.ts";
import { shownClient } from "./shown-client.ts";
import type { SocketPlaces } from "./socket-places.ts";
import type { SubscriptionQuota } from "./subscription-quota.ts";
import { Turns } from "./turns.ts";

/** Their positions are in the id of an event, which a header must hold beside all others. */
const STREAM_SYMBOLS_MAX = 250;
/** Clients that lose their stream come back after this and up to so much later, not all at once. */
const RETRY_MS = 1_000;
const RETRY_SPREAD_MS = 2_000;
/** The same for those that can't be served now. */
const BUSY_RETRY_MS = 5_000;
const SWEEP_MS = 1_000;
/** A client that has taken nothing for this long, while data waits, is cut off. */
const STALL_MAX_MS = 15_000;
/** Limit for unread data of all streams of a worker; beyond it those with most are cut off. */
const BACKLOG_TOTAL_BYTES_MAX = 256 * 1024 * 1024;
const DRAIN_POLL_MS = 10;
const DRAIN_STALL_MS = 1_000;

const STREAM_PARAMETERS = [...LIVE_PARAMETERS, "last_event_id"];

const HEADERS = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-store",
  // A proxy would keep events back until it has many.
  "X-Accel-Buffering": "no",
};

export interface EventStreamsOptions {
  subscriptions: Subscriptions;
  liveBars: LiveBars;
  symbolsMax: number;
  queueBytesMax: number;
  /** What one client may leave unread: room for the largest frame. */
  bytesMax: number;
  places: SocketPlaces;
  stillAdmits: StillAdmits;
  quota: SubscriptionQuota;
  rates: KeyRates;
  traffic: Traffic;
  counters: Counters;
  log: LogLines;
}

/** Whose it is. */
interface StreamOwner {
  address: string;
  owner: Caller;
  arrival: Arrival;
}

interface OpenEventStream extends StreamOwner {
  stream: EventStream;
  client: LiveClient;
  /** Bytes that waited at the last sweep, and since when they have not become fewer. */
  backlog: number;
  stalledMs: number;
}

export class EventStreams implements ConnectionSource {
  readonly #options: EventStreamsOptions;
  readonly #open = new Set<OpenEventStream>();
  readonly #queuedBytes = new QueuedBytes();
  readonly #turns = new Turns();
  readonly #sweep: Timer;
  #totals = new ClientTotals();

  constructor(options: EventStreamsOptions) {
    this.#options = options;
    this.#sweep = setInterval(() => this.#look(), SWEEP_MS);
  }

  get size(): number {
    return this.#open.size;
  }

  /** As of the last look, which is up to a second ago. */
  get totals(): ClientTotals {
    return this.#totals;
  }

  *connections(): Iterable<OpenConnection> {
    for (const { stream, client, address, owner, arrival, stalledMs } of this.#open)
      yield shownClient(client, {
        ...{ arrival, path: "/v1/stream", kind: "stream", address, key: owner.name, stalledMs },
        bufferedBytes: stream.getBufferedAmount(),
        end(reason) {
          // A client that reads nothing would not even see the error, and hold the connection.
          if (stalledMs !== 0) stream.terminate();
          else client.refuse(CLOSE_ENDED, "ended_by_operator", reason);
        },
      });
  }

  get waitingBytes(): number {
    let bytes = 0;
    for (const { stream, client } of this.#open) bytes += stream.getBufferedAmount() + client.waitingBytes;
    return bytes;
  }

  /**
   * @throws RequestError 400 a parameter is invalid; 429 the key has too many. What else may be
   *   better later is a stream that ends at once: on another status a browser would never come
   *   back.
   */
  async answer(request: Request, by: StreamOwner, query: URLSearchParams): Promise<Response> {
    const handshake = this.#read(request, query);
    const { address, owner } = by;
    tickerCheck(owner)?.(handshake.wish.tickers);
    const { places, quota } = this.#options;
    // Not told in a stream that ends: who comes back by itself would do so for ever.
    await places.enterKey(owner, "/v1/stream");
    try {
      quota.check(address, handshake.wish.tickers);
      await places.enter({ address, owner: null }, "/v1/stream");
    } catch (error) {
      places.leaveKey(owner);
      if (error instanceof RequestError) return this.busy(error, owner);
      throw error;
    }
    if (request.signal.aborted) {
      places.leave({ address, owner });
      return new Response(null);
    }
    const { stream } = this.#begin(by, handshake);
    request.signal.addEventListener("abort", () => stream.close(), { once: true });
    return new Response(stream.body, { headers: HEADERS });
  }

  /** For a client that may come again: it says why, and ends. */
  busy(error: RequestError, owner: Caller): Response {
    const text = `retry: ${BUSY_RETRY_MS}\n\ndata: ${errorFrame("unavailable", error.message)}\n\n`;
    this.#meterOf(owner).sent(bytesIn(text));
    return new Response(text, { headers: HEADERS });
  }

  /** Ends each stream once the client has what waits for it; the client connects again. */
  async drain(timeoutMs: number): Promise<void> {
    clearInterval(this.#sweep);
    const deadline = performance.now() + timeoutMs;
    const startMs = performance.now();
    while (this.#open.size > 0) {
      const now = performance.now();
      for (const open of [...this.#open]) {
        open.client.pace();
        const bytes = open.stream.getBufferedAmount() + open.client.waitingBytes;
        const isStuck = now - startMs > DRAIN_STALL_MS && bytes >= open.backlog;
        open.backlog = bytes;
        if (bytes === 0 || isStuck || now > deadline)
          open.client.close(CLOSE_GOING_AWAY, "server is stopping");
      }
      if (this.#open.size > 0) await Bun.sleep(DRAIN_POLL_MS);
    }
  }

  #begin(by: StreamOwner, handshake: Handshake & { wish: Wish }): OpenEventStream {
    const { address } = by;
    const meter = this.#meterOf(by.owner);
    const { subscriptions, liveBars, counters, log, symbolsMax, queueBytesMax, quota, bytesMax } =
      this.#options;
    const ids = new EventIds(handshake.wish.tickers);
    const stream: EventStream = new EventStream({
      retryMs: RETRY_MS + Math.floor(Math.random() * RETRY_SPREAD_MS),
      bytesMax,
      id: () => {
        const { knownEpoch } = subscriptions;
        const places = knownEpoch === "" ? null : client.places();
        return places === null ? null : ids.idOf(knownEpoch, (ticker) => places.get(ticker) ?? null);
      },
      onSent: (bytes) => meter.sent(bytes),
      onRoom: () => queueMicrotask(() => client.pace()),
      onEnd: () => this.#ended(open),
      onOverflow: (bytes) => cutOff(`${bytes} bytes wait for it`),
    });
    const cutOff = (reason: string, isAsked = false): void => {
      if (!isAsked) counters.subscribersCutOff++;
      log.warning(`Stream of ${client.shown} for ${address}: closing it, ${reason}`);
    };
    const client: LiveClient = new LiveClient(stream, handshake, {
      address,
      isStream: true,
      meter,
      subscriptions,
      liveBars,
      symbolsMax,
      queueBytesMax,
      quota,
      // It asks for nothing else.
      checkTickers: null,
      noteRows: this.#options.rates.noteRows(by.owner),
      counts: counters,
      queuedBytes: this.#queuedBytes,
      turns: this.#turns,
      onHeard: () => {
        counters.framesPublished++;
        // Later: whoever stopped listening now would be given this very update once more.
        if (stream.getBufferedAmount() > 0) queueMicrotask(() => client.pace());
      },
      onCutOff: cutOff,
      onFailed: (error) => {
        log.error(`Stream for ${address} failed: ${error instanceof Error ? error.stack : String(error)}`);
        stream.close();
      },
      warn: (message) => log.warning(message),
    });
    const open: OpenEventStream = { ...by, stream, client, backlog: 0, stalledMs: 0 };
    this.#open.add(open);
    counters.subscribers++;
    client.start();
    return open;
  }

  #meterOf(owner: Caller): Meter {
    const { traffic, rates } = this.#options;
    return traffic.meter("event_stream", rates.noteBytes(owner));
  }

  #ended(open: OpenEventStream): void {
    if (!this.#open.delete(open)) return;
    const { places, counters } = this.#options;
    places.leave(open);
    counters.subscribers--;
    open.client.closed();
  }

  #look(): void {
    const now = performance.now();
    let total = 0;
    const totals = new ClientTotals();
    for (const open of [...this.#open]) {
      const { stream, client } = open;
      stream.keepAlive();
      client.pace();
      const backlog = stream.getBufferedAmount();
      if (backlog === 0 || backlog < open.backlog) open.stalledMs = 0;
      else if (open.stalledMs === 0) open.stalledMs = now;
      open.backlog = backlog;
      totals.add(client.figures(), backlog);
      total += backlog + client.waitingBytes;
      if (!this.#options.stillAdmits(open.owner)) client.close(CLOSE_KEY, KEY_GONE);
      else if (open.stalledMs !== 0 && now - open.stalledMs > STALL_MAX_MS)
        this.#cutOff(open, `has taken nothing for ${STALL_MAX_MS / 1000} s`);
    }
    this.#totals = totals;
    const byBacklog = total > BACKLOG_TOTAL_BYTES_MAX ? [...this.#open] : [];
    for (const open of byBacklog.sort((a, b) => b.backlog - a.backlog)) {
      if (total <= BACKLOG_TOTAL_BYTES_MAX) return;
      total -= open.backlog + open.client.waitingBytes;
      this.#cutOff(open, `has ${open.backlog} bytes waiting, of too many for all clients`);
    }
  }

  #cutOff({ client, stream, address }: OpenEventStream, why: string): void {
    this.#options.counters.subscribersCutOff++;
    this.#options.log.warning(`Stream of ${client.shown} for ${address} ${why}; cutting it off`);
    stream.terminate();
  }

  #read(request: Request, query: URLSearchParams): Handshake & { wish: Wish } {
    const unknown = [...query.keys()].find((name) => !STREAM_PARAMETERS.includes(name));
    if (unknown !== undefined)
      throw badRequest(
        `${JSON.stringify(unknown.slice(0, 100))} is no parameter of /v1/stream${suggest(unknown.slice(0, 100), STREAM_PARAMETERS) || `, expected ${STREAM_PARAMETERS.join(", ")}`}`,
      );
    for (const [name, only] of [
      ["frames", "normalized"],
      ["heartbeat", "socket"],
    ] as const) {
      const value = query.get(name);
      if (value !== null && value !== only)
        throw badRequest(`${name}: got ${JSON.stringify(value)}, expected ${only}: a stream has no other`);
    }
    const handshake = readHandshake(query);
    const { wish } = handshake;
    if (wish === null || wish.tickers.length === 0)
      throw badRequest("symbols: got none, expected tickers separated by commas");
    if (wish.tickers[0] === ALL_TICKERS)
      throw badRequest('symbols: got "*", expected tickers: all of them can be watched through /ws');
    const max = Math.min(STREAM_SYMBOLS_MAX, this.#options.symbolsMax);
    if (wish.tickers.length > max)
      throw badRequest(`symbols: got ${wish.tickers.length}, expected at most ${max}; /ws takes more`);
    const id = request.headers.get("last-event-id") || query.get("last_event_id");
    const place = id ? new EventIds(wish.tickers).placeOf(id) : null;
    const since: Wish["since"] =
      place === null ? wish.since : { kind: "since", since: sinceOf(place.positions), epoch: place.epoch };
    // It isn't told of its subscription, as it has asked for nothing else.
    return { ...handshake, form: NORMALIZED, symbol: wish.tickers[0]!, wish: { ...wish, since } };
  }
}

function sinceOf(positions: Map<string, number>): Map<string, { position: number }> {
  return new Map([...positions].map(([ticker, position]) => [ticker, { position }]));
}
