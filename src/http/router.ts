/** From request to response: guards, routes, commands, errors to statuses. */
import type { Server } from "bun";
import type { Answer, CommandContext } from "../commands/context.ts";
import { sqlOverGet } from "../commands/execute-sql.ts";
import { COMMANDS } from "../commands/index.ts";
import { show } from "../commands/params.ts";
import type { MemoryWatch } from "../memory/memory-watch.ts";
import type { AccessLogger } from "../observe/access-log.ts";
import { type Counters, countAnswer } from "../observe/counters.ts";
import type { Logger } from "../observe/log.ts";
import { badRequest, RequestError } from "../protocol/errors.ts";
import { parseExactIntegers } from "../protocol/exact-integers.ts";
import { isObject, parseRequestJson } from "../protocol/json.ts";
import { messageOf } from "../protocol/message-of.ts";
import { readSaveId, SAVE_ID_HEADER } from "../protocol/save-id.ts";
import { VIA_HEADER } from "../protocol/via.ts";
import type { ReplaySocketData, ReplaySockets } from "../websocket/replay-sockets.ts";
import type { SocketData, Sockets } from "../websocket/sockets.ts";
import { Turns } from "../websocket/turns.ts";
import type { AnswerSpool } from "./answer-spool.ts";
import type { Bodies } from "./bodies.ts";
import { checkHealth, type HealthOptions } from "./health.ts";
import type { HostGuard } from "./host-guard.ts";
import { splitTarget } from "./path.ts";
import { readBody } from "./request-body.ts";
import { answer, bodyBytes, errorResponse, jsonResponse, measured } from "./responses.ts";
import { busStat, poolStat, readTimeout, type StatsOptions, TIMED_STATS, timedStat } from "./stats.ts";
import { LARGE_BYTES, type WholeAnswers } from "./whole-answers.ts";

const ENDPOINTS = [
  "/db_command (POST)",
  "/ws (WebSocket)",
  "/ws/replay (WebSocket)",
  "/health (GET)",
  "/stats/database (GET)",
  "/stats/tables (GET)",
  "/stats/performance (GET)",
  "/stats/pool (GET)",
  "/api/execute_sql (GET)",
];
/**
 * Characters of an unknown command that its error repeats; of a longer one it shows the beginning.
 */
const COMMAND_SHOWN_MAX = 100;
const SWITCHING_PROTOCOLS = 101;
const STATIC_ENDING = /\.(js|css|ico|png|jpg|jpeg|gif)$/;
const HEALTH_PATHS: Record<string, "health" | "ready" | "live"> = {
  "/": "health",
  "/health": "health",
  "/healthz": "health",
  "/ready": "ready",
  "/live": "live",
};
const SOCKET_PATHS = new Set(["/ws", "/stock_info/ws"]);
const REPLAY_PATH = "/ws/replay";
const SQL_PATHS = new Set(["/api/execute_sql", "/api/sql_query"]);
/** A body up to this is parsed however short memory is. */
const SMALL_BODY_BYTES = 1024 * 1024;
/** A double holds every integer of 15 digits: only a longer one may have lost some. */
const LONG_INTEGER = /\d{16}/;

export interface RouterOptions {
  context: CommandContext;
  guard: HostGuard;
  sockets: Sockets;
  replays: ReplaySockets;
  health: HealthOptions;
  stats: StatsOptions;
  counters: Counters;
  log: Logger;
  accessLog: AccessLogger;
  maxBodyBytes: number;
  spool: AnswerSpool;
  wholeAnswers: WholeAnswers;
  memory: Pick<MemoryWatch, "admit">;
  /** --sql-timeout is longer than Bun lets a connection be idle. */
  sqlOutlastsIdleLimit: boolean;
  isDraining(): boolean;
  descriptors: DescriptorState;
  bodies: Bodies;
}

/** See worker/descriptor-guard.ts. */
export interface DescriptorState {
  isShort(): boolean;
  hasNoneForSocket(): boolean;
}

/** Of one round of the event loop; beyond them for 4 ms, see Turns. */
const REQUESTS_AT_ONCE = 32;

type AnySocketData = SocketData | ReplaySocketData;
type Handler = (request: Request, server: Server<AnySocketData>) => Promise<Response | undefined>;

export function createRouter(options: RouterOptions): Handler {
  const { accessLog, counters, guard, log } = options;

  /**
   * Requests without Bun's idle time limit. Lifting it sticks to the connection, so that is not
   * used again.
   */
  const unlimited = new WeakSet<Request>();
  const liftLimit = (request: Request, server: Server<AnySocketData>): void => {
    server.timeout(request, 0);
    unlimited.add(request);
  };

  const logs = (status: number): boolean => accessLog.wants(status, "/db_command");

  function record(
    request: Request,
    server: Server<AnySocketData>,
    response: Response,
    durationMs: number,
  ): void {
    const { path, query } = splitTarget(request.url);
    accessLog.write({
      clientAddress: clientAddress(request, server),
      method: request.method,
      path,
      target: query === "" ? path : `${path}?${query}`,
      status: response.status,
      bytes: bodyBytes(response),
      durationMs,
      userAgent: request.headers.get("user-agent"),
    });
  }

  async function route(request: Request, server: Server<AnySocketData>): Promise<Response | undefined> {
    const { path, query } = splitTarget(request.url);
    const { method } = request;
    if (!guard.acceptsHost(request.headers.get("host"))) {
      throw new RequestError(
        403,
        `Host: got ${show(request.headers.get("host"))}, expected an address, localhost or a name given with --allow-host`,
      );
    }
    if (path === "/db_command") {
      if (method !== "POST") return otherMethod(method, "POST");
      const addressOf = (): string => clientAddress(request, server);
      const body = await runCommand(request, options, {
        addressOf,
        beforeSql() {
          if (options.sqlOutlastsIdleLimit) liftLimit(request, server);
        },
      });
      const response = respond(body, addressOf, options);
      return logs(200) ? measured(response, body) : response;
    }
    if (SOCKET_PATHS.has(path) || path === REPLAY_PATH) {
      if (method !== "GET") return otherMethod(method, "GET");
      const sockets = path === REPLAY_PATH ? options.replays : options.sockets;
      return upgrade(request, server, query, { ...options, path, sockets });
    }
    const isRead = method === "GET" || method === "HEAD";
    const healthKind = HEALTH_PATHS[path];
    if (healthKind !== undefined) {
      if (!isRead && method !== "POST") return otherMethod(method, "GET, HEAD, POST");
      const { status, body } = await checkHealth(options.health, healthKind, request.headers.get(VIA_HEADER));
      return jsonResponse(body, status, status === 503 ? { "Retry-After": "1" } : {});
    }
    if (path.startsWith("/stats/") || SQL_PATHS.has(path)) {
      // A command's JSON needs a preflight, which is never granted; a page can have these asked
      // with an image.
      if (isRead) refuseForeignSite(request, guard);
      const lift = (): void => liftLimit(request, server);
      const client = clientAddress(request, server);
      const found = await readOnlyRoute({ path, query, request, isRead, lift, client }, options);
      if (found !== null) return found;
    }
    if (!isRead && method !== "POST") return otherMethod(method, "GET, HEAD, POST");
    return notFound(path);
  }

  // All requests that a connection has sent without waiting for answers come in one round of the
  // event loop. Bun ends a connection that has another when its last one waits.
  const turns = new Turns({ atLeast: REQUESTS_AT_ONCE });

  return async (request, server) => {
    const started = performance.now();
    let response: Response | undefined;
    try {
      const turn = turns.take();
      if (turn !== null) await turn;
      response = await route(request, server);
    } catch (error) {
      if (!(error instanceof RequestError)) {
        log.error(`${request.method} ${request.url}: ${withCauses(error)}`);
      }
      response = errorResponse(error);
    }
    countAnswer(counters, response?.status ?? SWITCHING_PROTOCOLS);
    if (response === undefined) return undefined; // it became a WebSocket
    const ends =
      options.isDraining() ||
      options.descriptors.isShort() ||
      unlimited.has(request) ||
      request.headers.has("trailer");
    if (ends) response.headers.set("Connection", "close");
    if (logs(response.status)) record(request, server, response, performance.now() - started);
    return response;
  };
}

/** What is our own mistake, for the log. */
function withCauses(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}; caused by ${withCauses(error.cause)}`;
}

function clientAddress(request: Request, server: Server<AnySocketData>): string {
  return server.requestIP(request)?.address ?? "-";
}

/** A large answer goes through the spool, so that a slow client keeps nobody else waiting. */
function respond(body: Answer, addressOf: () => string, options: RouterOptions): Response {
  const { spool, wholeAnswers, isDraining } = options;
  const isLarge = !(body instanceof ReadableStream) && body.length > LARGE_BYTES;
  const stream = isLarge ? wholeAnswers.inPieces(body) : body;
  return answer(stream instanceof ReadableStream ? spool.through(stream, addressOf()) : stream, isDraining());
}

/**
 * @throws RequestError 503 while memory is short: parsing a body takes thirty times its size for a
 *   moment.
 */
function admitBody(request: Request, { memory }: RouterOptions): void {
  const length = request.headers.get("content-length");
  if (length === null || Number(length) > SMALL_BODY_BYTES) memory.admit("a large request");
}

interface CommandCaller {
  addressOf(): string;
  /** Called before a statement of the user's own is run, which may take its time. */
  beforeSql(): void;
}

async function runCommand(
  request: Request,
  options: RouterOptions,
  { addressOf, beforeSql }: CommandCaller,
): Promise<Answer> {
  const { bodies, maxBodyBytes } = options;
  admitBody(request, options);
  // What it holds is held until the command is done: one may wait for its turn or the hub.
  using share = bodies.share(addressOf);
  bodies.waiting++;
  const text = await readBody(request, maxBodyBytes, share).finally(() => bodies.waiting--);
  let payload: unknown;
  try {
    payload = LONG_INTEGER.test(text) ? parseRequestJson(text, parseExactIntegers) : parseRequestJson(text);
  } catch (error) {
    throw badRequest("Invalid JSON payload", messageOf(error));
  }
  if (!isObject(payload)) {
    throw badRequest(
      "Error processing request payload",
      `got ${show(payload)}, expected an object with a 'command'`,
    );
  }
  const { command: name, params = {} } = payload;
  if (name === undefined || name === null || name === "" || name === false || name === 0) {
    throw badRequest("Missing 'command' in payload");
  }
  if (!isObject(params)) throw badRequest(`params: got ${show(params)}, expected an object`);
  const command = typeof name === "string" ? COMMANDS.get(name) : undefined;
  if (command === undefined)
    throw badRequest(
      `Unknown command: ${typeof name === "string" && name.length <= COMMAND_SHOWN_MAX ? name : show(name)}`,
    );
  if (name === "execute_sql") beforeSql();
  const saveId = readSaveId(request.headers.get(SAVE_ID_HEADER));
  const call = {
    params,
    text,
    saveId,
    signal: request.signal,
    get client() {
      return addressOf();
    },
  };
  const body = await command.run(call, options.context);
  if (body instanceof ReadableStream && name !== "execute_sql")
    await admitLargeRead(command.name, body, options);
  return body;
}

/** @throws RequestError 403 a page of another site has made a browser send it. */
function refuseForeignSite({ headers }: Request, guard: HostGuard): void {
  const header = guard.foreignHeader(headers);
  if (header === null) return;
  throw new RequestError(
    403,
    `${header}: got ${show(headers.get(header))}, which is a page of another site; expected the server's own or one given with --allow-host`,
  );
}

/**
 * How large a read is, is known when it has begun; it is given up then.
 *
 * @throws RequestError 503 while memory is short.
 */
async function admitLargeRead(
  name: string,
  body: ReadableStream<Uint8Array>,
  { memory }: RouterOptions,
): Promise<void> {
  try {
    memory.admit(name);
  } catch (error) {
    await body.cancel(error);
    throw error;
  }
}

interface UpgradeOptions extends Pick<RouterOptions, "guard" | "isDraining" | "descriptors" | "memory"> {
  path: string;
  sockets: Sockets | ReplaySockets;
}

async function upgrade(
  request: Request,
  server: Server<AnySocketData>,
  query: string,
  { guard, isDraining, descriptors, memory, path, sockets }: UpgradeOptions,
): Promise<Response | undefined> {
  const { headers } = request;
  if (headers.get("upgrade")?.toLowerCase() !== "websocket") {
    const response = jsonResponse(
      { error: `${path}: expected a WebSocket handshake (Upgrade: websocket)` },
      426,
    );
    response.headers.set("Upgrade", "websocket");
    return response;
  }
  if (!guard.acceptsOrigin(headers.get("origin"), headers.get("host"))) {
    throw new RequestError(
      403,
      `Origin: got ${show(headers.get("origin"))}, expected the server's own or one given with --allow-host`,
    );
  }
  if (isDraining()) throw new RequestError(503, "the worker is draining; connect again", { retryAfterS: 1 });
  if (descriptors.hasNoneForSocket())
    throw new RequestError(503, "the worker has no descriptor left for a WebSocket; connect again later", {
      retryAfterS: 1,
    });
  memory.admit(path);
  if (await sockets.upgrade(request, server, new URLSearchParams(query))) return undefined;
  throw badRequest(
    `${path}: the WebSocket handshake is incomplete: expected Sec-WebSocket-Key and Sec-WebSocket-Version 13`,
  );
}

interface ReadOnlyRequest {
  path: string;
  query: string;
  request: Request;
  /** GET or HEAD. */
  isRead: boolean;
  /** Takes Bun's idle time limit off the request. */
  lift(): void;
  /** Address. */
  client: string;
}

/** @returns null when there is no such route. */
async function readOnlyRoute(
  { path, query, request, isRead, lift, client }: ReadOnlyRequest,
  options: RouterOptions,
): Promise<Response | null> {
  const parameters = new URLSearchParams(query);
  const timed = TIMED_STATS[path];
  const known =
    timed !== undefined || path === "/stats/pool" || path === "/stats/redis" || SQL_PATHS.has(path);
  if (!known) return null;
  if (!isRead) return otherMethod(request.method, "GET, HEAD");
  if (path === "/stats/pool") return jsonResponse(await poolStat(options.stats), 200);
  if (path === "/stats/redis") return jsonResponse(await busStat(options.stats), 200);
  if (timed !== undefined) {
    const timeoutS = readTimeout(parameters.get("timeout"), timed);
    lift();
    return jsonResponse(await timedStat(timed, timeoutS, options.stats), 200);
  }
  if (options.sqlOutlastsIdleLimit) lift();
  const body = await sqlOverGet(parameters, { signal: request.signal, client }, options.context);
  return respond(body, () => client, options);
}

function otherMethod(method: string, allow: string): Response {
  const headers = { Allow: `${allow}, OPTIONS` };
  if (method === "OPTIONS") return new Response(null, { status: 204, headers });
  return jsonResponse({ error: `Method ${method} is not allowed here: expected ${allow}` }, 405, headers);
}

function notFound(path: string): Response {
  const message = STATIC_ENDING.test(path)
    ? `Static resource '${path}' not found. This is a database API server.`
    : `Endpoint '${path}' not found`;
  return jsonResponse({ error: "Not Found", message, available_endpoints: ENDPOINTS }, 404);
}
