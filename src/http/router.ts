/** From request to response: guards, routes, the status of errors, the access log. */
import type { Server } from "bun";
import { keyOf } from "../access/credentials.ts";
import type { Caller } from "../access/key-ring.ts";
import type { RateState } from "../access/rate-board.ts";
import type { Scope } from "../access/scopes.ts";
import { show } from "../commands/params.ts";
import type { AccessLogger } from "../observe/access-log.ts";
import type { AuditLog } from "../observe/audit-log.ts";
import { countAnswer } from "../observe/counters.ts";
import { STATUS } from "../protocol/codes.ts";
import { forbidden, RequestError } from "../protocol/errors.ts";
import { Turns } from "../websocket/turns.ts";
import { Call } from "./call.ts";
import type { HostGuard } from "./host-guard.ts";
import { bodyBytes, errorResponse, jsonResponse } from "./responses.ts";
import type { Route } from "./route.ts";
import type { AnySocketData, RouterOptions } from "./router-options.ts";
import { ROUTES } from "./routes.ts";
import { isHandshake } from "./upgrade.ts";

/** A look at every round of the event loop would take 4 % of the time. */
const REQUESTS_PER_LOOK = 64;
/** Milliseconds that requests get in a round, after the first `REQUESTS_PER_LOOK`. */
const REQUESTS_MS = 10;

const SWITCHING_PROTOCOLS = 101;
const STATIC_ENDING = /\.(js|css|ico|png|jpg|jpeg|gif)$/;
/** For an unknown path: an unusual method gets 405 before the path gets 404. */
const USUAL_METHODS = ["GET", "HEAD", "POST"];

type Handler = (request: Request, server: Server<AnySocketData>) => Promise<Response | undefined>;

/** With the name that metrics have for each. */
const LABELLED = ROUTES.map((route) => ({ ...route, label: route.paths[0] ?? route.prefixes![0]! }));
const BY_PATH = new Map(LABELLED.flatMap((route) => route.paths.map((path) => [path, route] as const)));
const BY_PREFIX = LABELLED.flatMap((route) => (route.prefixes ?? []).map((prefix) => ({ prefix, route })));
const ENDPOINTS = ROUTES.filter(({ shown }) => shown !== undefined).map(
  ({ paths, shown }) => `${paths[0]} (${shown})`,
);

export function createRouter(options: RouterOptions): Handler {
  const { accessLog, counters, guard, log, slowRequestMs, traces } = options;
  // All pipelined requests of a connection arrive in one round of the event loop. Bun ends a
  // connection whose next request arrives while one waits.
  const turns = new Turns({ unlooked: REQUESTS_PER_LOOK, turnMs: REQUESTS_MS });

  return async (request, server) => {
    const started = performance.now();
    const call = new Call(request, server, options);
    if (traces !== null) call.trace = traces.begin(request.headers);
    let response: Response | undefined;
    try {
      const turn = turns.take(started);
      if (turn !== null) await turn;
      response = await dispatch(call, guard);
    } catch (thrown) {
      const error = call.held === null ? thrown : call.held.errorFor(thrown);
      if (!(error instanceof RequestError)) {
        log.error(`${request.method} ${call.target}${idOf(call)}: ${withCauses(error)}`);
      }
      response = errorResponse(error, call.errorForm, call.requestId);
      if (options.audit !== null) noteRefusal(options.audit, call, error);
    }
    call.held?.answered();
    const status = response?.status ?? SWITCHING_PROTOCOLS;
    countAnswer(counters, status);
    call.trace?.answered(call, status);
    const { hash, name } = call.caller;
    const ms = performance.now() - started;
    options.metrics.requests.note(call.what, { status, ms, key: hash === null ? null : name });
    if (slowRequestMs > 0 && ms > slowRequestMs)
      log.warning(`Slow: ${request.method} ${call.what} took ${Math.round(ms)} ms${idOf(call)}`);
    if (response === undefined) return undefined; // it became a WebSocket
    noteBytes(call, response);
    options.origins.mark(request, response);
    if (call.rate !== null) tellRate(response, call.rate);
    if (closesConnection(call)) response.headers.set("Connection", "close");
    if (accessLog.wants(response.status, call.path)) logAccess(accessLog, call, response, ms);
    return response;
  };
}

/** Of a stream nothing is known yet: see respond.ts. */
function noteBytes(call: Call, response: Response): void {
  const { meter, receivedBytes, sentBytes } = call;
  if (receivedBytes > 0) meter.received(receivedBytes);
  const sent = sentBytes ?? bodyBytes(response);
  if (sent > 0 && call.request.method !== "HEAD") meter.sent(sent);
}

function idOf({ requestId, traceId }: Call): string {
  const told = [requestId && `id ${requestId}`, traceId && `trace ${traceId}`].filter(
    (each) => each !== null,
  );
  return told.length === 0 ? "" : ` (${told.join(", ")})`;
}

/** Of what a client may not do; what it can't do is no refusal. */
function noteRefusal(audit: AuditLog, { caller, address, request, path }: Call, error: unknown): void {
  if (!(error instanceof RequestError)) return;
  const { status, message } = error;
  if (status !== STATUS.unauthorized && status !== STATUS.forbidden && status !== STATUS.tooMany) return;
  const { method } = request;
  audit.refused({ who: caller.name, from: address, outcome: status, method, path, error: message });
}

function closesConnection({ request, server, options, isUnlimited, announcedBytes }: Call): boolean {
  if (options.isDraining() || options.descriptors.isShort() || isUnlimited) return true;
  if (options.isFormer(server)) return true;
  // Only a chunked body has trailers.
  return announcedBytes === null && request.headers.has("trailer");
}

function logAccess(accessLog: AccessLogger, call: Call, response: Response, durationMs: number): void {
  const { request, path, target, address } = call;
  accessLog.write({
    clientAddress: address,
    method: request.method,
    path,
    target,
    status: response.status,
    bytes: bodyBytes(response),
    durationMs,
    userAgent: request.headers.get("user-agent"),
    requestId: call.requestId,
    traceId: call.traceId,
  });
}

/** @throws RequestError 403 a foreign Host or page; the error of the route. */
function dispatch(call: Call, guard: HostGuard): Response | Promise<Response | undefined> {
  const { request, path } = call;
  const { method } = request;
  const { host } = call;
  requireHost(host, guard);
  const calledBy = call.options.proxies.hostOfPeer(request.headers);
  if (calledBy !== undefined && calledBy !== host) requireHost(calledBy, guard);
  const route: Pick<Route, "methods"> & Partial<Route & { label: string }> = routeOf(path) ?? {
    methods: USUAL_METHODS,
  };
  call.errorForm = route.errorForm ?? null;
  call.door = route.door ?? "http";
  // Pages can request these with an image; the JSON of a command needs a preflight, which fails.
  if (route.isReachableByPages && (method === "GET" || method === "HEAD" || method === "DELETE"))
    refuseForeignSite(request, host, guard);
  const preflight = call.options.origins.preflight(request, route.methods);
  if (preflight !== null) return preflight;
  if (!route.methods.includes(method)) return otherMethod(method, route.methods.join(", "));
  if (route.answer === undefined) return notFound(path);
  call.what = route.label!;
  const identified = route.scope === "none" ? null : identify(call, route);
  if (identified instanceof Promise) return answerLater(call, route as Route, identified);
  if (identified !== null) admit(call, identified, route.scope as Scope | "own");
  return route.answer(call);
}

/** @throws RequestError 403 a page of another site may have called the server so. */
function requireHost(host: string | null, guard: HostGuard): void {
  if (guard.acceptsHost(host)) return;
  throw forbidden(
    `Host: got ${show(host)}, expected an address, localhost or a name given with --allow-host`,
  );
}

/** Of a token that has to be verified. */
async function answerLater(
  call: Call,
  route: Route,
  identified: Promise<Caller>,
): Promise<Response | undefined> {
  admit(call, await identified, route.scope as Scope | "own");
  return route.answer(call);
}

/**
 * @returns null: nobody has to say who it is, or it is said later.
 * @throws RequestError 401, 429, 503
 */
function identify(
  call: Call,
  { takesFirstMessage, takesQueryKey }: Pick<Route, "takesFirstMessage" | "takesQueryKey">,
): Caller | Promise<Caller> | null {
  const { callers } = call.options;
  if (!callers.isEnforced) return null;
  const { headers } = call.request;
  const sent = keyOf(headers) ?? (takesQueryKey === true ? call.queryKey : null);
  if (sent === null && takesFirstMessage === true && isHandshake(headers)) {
    call.isUnnamed = true;
    return null;
  }
  return callers.identify(sent, call);
}

/** @throws RequestError 403, 429 */
function admit(call: Call, caller: Caller, scope: Scope | "own"): void {
  call.caller = caller;
  call.options.audit?.signedIn(call.caller.name, call.address);
  const { rates } = call.options;
  call.rate = rates.countRequest(call.caller);
  rates.check(call.caller, call.rate);
  if (scope !== "own") call.demand(scope);
}

/** What is left of the rate of the key. */
function tellRate({ headers }: Response, { rate, count, leftMs }: RateState): void {
  headers.set("RateLimit-Limit", String(rate.max));
  headers.set("RateLimit-Remaining", String(Math.max(0, rate.max - count)));
  headers.set("RateLimit-Reset", String(Math.ceil(leftMs / 1_000)));
}

function routeOf(path: string): (Route & { label: string }) | undefined {
  return BY_PATH.get(path) ?? BY_PREFIX.find(({ prefix }) => path.startsWith(prefix))?.route;
}

function withCauses(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}; caused by ${withCauses(error.cause)}`;
}

/** @throws RequestError 403 a page of another site made the browser send this. */
function refuseForeignSite({ headers }: Request, host: string | null, guard: HostGuard): void {
  const header = guard.foreignHeader(headers, host);
  if (header === null) return;
  throw forbidden(
    `${header}: got ${show(headers.get(header))}, which is a page of another site; expected the server's own, or one given with --allow-origin`,
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
