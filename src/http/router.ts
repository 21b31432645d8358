/** From request to response: guards, routes, errors to statuses, the access log. */

import type { Server } from "bun";
import type { CommandContext } from "../commands/context.ts";
import { show } from "../commands/params.ts";
import type { MemoryWatch } from "../memory/memory-watch.ts";
import type { AccessLogger } from "../observe/access-log.ts";
import { type Counters, countAnswer } from "../observe/counters.ts";
import type { Logger } from "../observe/log.ts";
import { STATUS } from "../protocol/codes.ts";
import { RequestError } from "../protocol/errors.ts";
import type { ReplaySocketData, ReplaySockets } from "../websocket/replay-sockets.ts";
import type { SocketData, Sockets } from "../websocket/sockets.ts";
import { Turns } from "../websocket/turns.ts";
import type { AnswerSpool } from "./answer-spool.ts";
import type { Bodies } from "./bodies.ts";
import { Call } from "./call.ts";
import type { HealthOptions } from "./health.ts";
import type { HostGuard } from "./host-guard.ts";
import { bodyBytes, errorResponse, jsonResponse } from "./responses.ts";
import { ROUTES, type Route } from "./routes.ts";
import type { StatsOptions } from "./stats.ts";
import type { WholeAnswers } from "./whole-answers.ts";

/** Looking at each round of the event loop would take 4 % of the time. */
const REQUESTS_UNLOOKED = 64;
/** Of a round that has had so many. */
const REQUESTS_MS = 10;

const SWITCHING_PROTOCOLS = 101;
const STATIC_ENDING = /\.(js|css|ico|png|jpg|jpeg|gif)$/;
/** Of a path that is none: a wrong method is told before that. */
const USUAL_METHODS = ["GET", "HEAD", "POST"];

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

export type AnySocketData = SocketData | ReplaySocketData;
type Handler = (request: Request, server: Server<AnySocketData>) => Promise<Response | undefined>;

const BY_PATH = new Map(ROUTES.flatMap((route) => route.paths.map((path) => [path, route] as const)));
const ENDPOINTS = ROUTES.filter(({ shown }) => shown !== undefined).map(
  ({ paths, shown }) => `${paths[0]} (${shown})`,
);

export function createRouter(options: RouterOptions): Handler {
  const { accessLog, counters, guard, log } = options;
  // All requests that a connection has sent without waiting for answers come in one round of the
  // event loop. Bun ends a connection that has another when its last one waits.
  const turns = new Turns({ unlooked: REQUESTS_UNLOOKED, turnMs: REQUESTS_MS });

  return async (request, server) => {
    const started = performance.now();
    const call = new Call(request, server, options);
    let response: Response | undefined;
    try {
      const turn = turns.take(started);
      if (turn !== null) await turn;
      response = await routed(call, guard);
    } catch (error) {
      if (!(error instanceof RequestError)) {
        log.error(`${request.method} ${request.url}: ${withCauses(error)}`);
      }
      response = errorResponse(error);
    }
    countAnswer(counters, response?.status ?? SWITCHING_PROTOCOLS);
    if (response === undefined) return undefined; // it became a WebSocket
    if (ends(call)) response.headers.set("Connection", "close");
    if (accessLog.wants(response.status, "/db_command"))
      record(accessLog, call, response, performance.now() - started);
    return response;
  };
}

function ends({ request, options, isUnlimited, announcedBytes }: Call): boolean {
  if (options.isDraining() || options.descriptors.isShort() || isUnlimited) return true;
  // Only what is sent in chunks has trailers.
  return announcedBytes === null && request.headers.has("trailer");
}

function record(accessLog: AccessLogger, call: Call, response: Response, durationMs: number): void {
  const { request, path, query, address } = call;
  accessLog.write({
    clientAddress: address,
    method: request.method,
    path,
    target: query === "" ? path : `${path}?${query}`,
    status: response.status,
    bytes: bodyBytes(response),
    durationMs,
    userAgent: request.headers.get("user-agent"),
  });
}

/** @throws RequestError 403 from where it must not come; what the route throws. */
function routed(call: Call, guard: HostGuard): Response | Promise<Response | undefined> {
  const { request, path } = call;
  const { method, headers } = request;
  if (!guard.acceptsHost(headers.get("host"))) {
    throw new RequestError(
      STATUS.forbidden,
      `Host: got ${show(headers.get("host"))}, expected an address, localhost or a name given with --allow-host`,
    );
  }
  const route: Pick<Route, "methods"> & Partial<Route> = BY_PATH.get(path) ?? { methods: USUAL_METHODS };
  // A command's JSON needs a preflight, which is never granted; a page can have these asked with an
  // image.
  if (route.isReachableByPages && (method === "GET" || method === "HEAD")) refuseForeignSite(request, guard);
  if (!route.methods.includes(method)) return otherMethod(method, route.methods.join(", "));
  return route.answer === undefined ? notFound(path) : route.answer(call);
}

/** What is our own mistake, for the log. */
function withCauses(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}; caused by ${withCauses(error.cause)}`;
}

/** @throws RequestError 403 a page of another site has made a browser send it. */
function refuseForeignSite({ headers }: Request, guard: HostGuard): void {
  const header = guard.foreignHeader(headers);
  if (header === null) return;
  throw new RequestError(
    STATUS.forbidden,
    `${header}: got ${show(headers.get(header))}, which is a page of another site; expected the server's own or one given with --allow-host`,
  );
}

function otherMethod(method: string, allow: string): Response {
  const headers = { Allow: `${allow}, OPTIONS` };
  if (method === "OPTIONS") return new Response(null, { status: 204, headers });
  return jsonResponse(
    { error: `Method ${method} is not allowed here: expected ${allow}` },
    STATUS.methodNotAllowed,
    headers,
  );
}

function notFound(path: string): Response {
  const message = STATIC_ENDING.test(path)
    ? `Static resource '${path}' not found. This is a database API server.`
    : `Endpoint '${path}' not found`;
  return jsonResponse({ error: "Not Found", message, available_endpoints: ENDPOINTS }, STATUS.notFound);
}
