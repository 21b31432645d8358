/** A request on its way through the router. Each request makes one, so it looks things up late. */
import type { Server, SocketAddress } from "bun";
import { type Caller, EVERYBODY } from "../access/key-ring.ts";
import { takeQueryKey } from "../access/query-key.ts";
import type { RateState } from "../access/rate-board.ts";
import type { Scope } from "../access/scopes.ts";
import type { CommandContext } from "../commands/context.ts";
import { UNIX_PEER } from "../config/setting-types.ts";
import type { Arrival } from "../connections/connection.ts";
import type { SaveSender } from "../feeds/writer-counts.ts";
import type { Meter, RequestDoor } from "../metrics/traffic.ts";
import { readTraceParent } from "../observe/traces/trace-parent.ts";
import { forbidden } from "../protocol/errors.ts";
import type { CallTrace } from "./call-traces.ts";
import type { HeldRequest } from "./requests-under-way.ts";
import type { ErrorForm } from "./responses.ts";
import type { AnySocketData, RouterOptions } from "./router-options.ts";

/** Alpaca's clients put another slash behind an address that ends with one. */
const SLASHES_OF_VERSION = /^\/{2,}(?=v\d)/;

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;

export class Call implements SaveSender {
  readonly request: Request;
  readonly server: Server<AnySocketData>;
  readonly options: RouterOptions;
  readonly path: string;
  /** Without the question mark, and without a key in it: this may be logged. */
  readonly query: string;
  /** A key that the query has held; null: none. */
  readonly queryKey: string | null;
  /** Bun's idle limit is off. That stays with the connection, so it must not be used again. */
  isUnlimited = false;
  /** Who sends it; set before its route answers, unless that needs no key. */
  caller: Caller = EVERYBODY;
  /** It has to say who it is by its first message. */
  isUnnamed = false;
  /** Null: the caller's key has no rate. */
  rate: RateState | null = null;
  /** What the metrics call it: the route, or the command. */
  what = "other";
  /** Of its route; null: the form of all doors. */
  errorForm: ErrorForm | null = null;
  /** What its bytes and rows count for: that of its route. */
  door: RequestDoor = "http";
  /** Of its body, as they came. */
  receivedBytes = 0;
  /** Of the body of its answer; null: the response tells it. A stream is counted as it is taken. */
  sentBytes: number | null = null;
  /** Null: it isn't told as a request under way. */
  held: HeldRequest | null = null;
  /** Null: it isn't traced. */
  trace: CallTrace | null = null;
  #arrival: Arrival | null = null;
  #peer: SocketAddress | null | undefined;
  #length: string | null | undefined;
  #address: string | null = null;

  constructor(request: Request, server: Server<AnySocketData>, options: RouterOptions) {
    this.request = request;
    this.server = server;
    this.options = options;
    const { path, query } = splitTarget(request.url);
    this.path = path;
    const taken = takeQueryKey(query);
    this.query = taken.query;
    this.queryKey = taken.key;
  }

  /** Path and query. */
  get target(): string {
    return this.query === "" ? this.path : `${this.path}?${this.query}`;
  }

  /** Of the client, also behind proxies that are trusted. */
  get address(): string {
    this.#address ??= this.options.proxies.addressOf(this.peer, this.request.headers);
    return this.#address;
  }

  /** The name of its key; "-" where none is needed. */
  get who(): string {
    return this.caller.name;
  }

  /**
   * Who shares a bound of statements: all behind a proxy have one address, and their keys tell them
   * apart.
   */
  get client(): string {
    const { hash, name } = this.caller;
    return hash === null ? this.address : `the key ${name}`;
  }

  /** The name by which the client has called this server; null: it has sent none. */
  get host(): string | null {
    return this.options.proxies.hostOf(this, this.request.headers);
  }

  /** Of the connection. */
  get peer(): string {
    if (this.options.isUnix(this.server)) return UNIX_PEER;
    return this.#socketAddress?.address ?? "-";
  }

  get #socketAddress(): SocketAddress | null {
    if (this.#peer === undefined) this.#peer = this.server.requestIP(this.request);
    return this.#peer;
  }

  /** Noted when it is first asked for: most requests are over before anybody could ask. */
  get arrival(): Arrival {
    this.#arrival ??= this.options.arrivals.note({
      port: this.#socketAddress?.port ?? null,
      userAgent: this.request.headers.get("user-agent"),
    });
    return this.#arrival;
  }

  /** Aborts when the client has gone, or an operator ends what is held. */
  get signal(): AbortSignal {
    return this.held?.signal ?? this.request.signal;
  }

  /**
   * That a client or a proxy has given it, by `X-Request-Id` or `traceparent`, else its own trace;
   * null: none.
   */
  get requestId(): string | null {
    const { headers } = this.request;
    const id = headers.get("x-request-id");
    if (id !== null) return REQUEST_ID.test(id) ? id : null;
    return readTraceParent(headers.get("traceparent"))?.traceId ?? this.trace?.id ?? null;
  }

  /** For the log. Null: it isn't traced, or `requestId` is it. */
  get traceId(): string | null {
    return this.trace === null || this.trace.id === this.requestId ? null : this.trace.id;
  }

  /** Announced bytes of the body; null if not announced. */
  get announcedBytes(): number | null {
    if (this.#length === undefined) this.#length = this.request.headers.get("content-length");
    return this.#length === null ? null : Number(this.#length);
  }

  /** What counts its bytes, also for the bound of its caller's key. */
  get meter(): Meter {
    const { traffic, rates } = this.options;
    return traffic.meter(this.door, rates.noteBytes(this.caller));
  }

  /** What its caller's key lets it do. */
  get context(): CommandContext {
    const context = this.options.contexts[this.door].of(this.caller, this);
    return this.trace === null ? context : this.trace.context(context);
  }

  /** @throws RequestError 403 */
  demand(scope: Scope): void {
    const { name, may } = this.caller;
    if (!may.has(scope)) throw forbidden(`${this.path}: the key ${name} lacks the scope ${scope}`);
  }

  /** From now on it is told as a request under way. @param sql the statement that it runs. */
  hold(sql: string | null = null): HeldRequest {
    this.held ??= this.options.requests.hold(this, sql);
    return this.held;
  }

  liftLimit(): void {
    this.server.timeout(this.request, 0);
    this.isUnlimited = true;
  }
}

/** @param url A request target. Bun leaves it relative for a missing or bad Host. */
function splitTarget(url: string): { path: string; query: string } {
  // The query of a relative target may hold a URL.
  const scheme = url.startsWith("/") ? -1 : url.indexOf("://");
  // Some clients wrongly send a fragment.
  const hash = url.indexOf("#");
  if (hash >= 0) url = url.slice(0, hash);
  const start = scheme < 0 ? 0 : url.indexOf("/", scheme + 3);
  if (start < 0) return { path: "/", query: "" };
  const mark = url.indexOf("?", start);
  let raw = mark < 0 ? url.slice(start) : url.slice(start, mark);
  if (SLASHES_OF_VERSION.test(raw)) raw = raw.replace(SLASHES_OF_VERSION, "/");
  return { path: raw.includes("%") ? decode(raw) : raw, query: mark < 0 ? "" : url.slice(mark + 1) };
}

function decode(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw; // not a route whatever it was meant to be
  }
}
