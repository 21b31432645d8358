/** All routes. Answers to wrong methods and unknown paths follow from this table. */
import { STREAM_PATHS } from "../alpaca/stream-door.ts";
import { sqlOverGet } from "../commands/execute-sql.ts";
import { STATUS } from "../protocol/codes.ts";
import { VIA_HEADER } from "../protocol/via.ts";
import { ALPACA_ROUTE } from "./alpaca-routes.ts";
import type { Call } from "./call.ts";
import { runCommand } from "./command-request.ts";
import { CONSOLE_ROUTES, toConsole } from "./console/console-routes.ts";
import { eventStream } from "./event-stream.ts";
import { checkHealth } from "./health.ts";
import { POLYGON_ROUTES } from "./polygon-routes.ts";
import { respond } from "./respond.ts";
import { jsonResponse, measured } from "./responses.ts";
import type { Route } from "./route.ts";
import { busStat, poolStat, readTimeout, type StatsOptions, TIMED_STATS, timedStat } from "./stats.ts";
import { UDF_ROUTE } from "./udf-routes.ts";
import { upgrade } from "./upgrade.ts";
import { V1_ROUTES } from "./v1/v1-routes.ts";

const READ = ["GET", "HEAD"];
const PROBE = ["GET", "HEAD", "POST"];

const health = probe("health");

export const ROUTES: readonly Route[] = [
  { paths: ["/db_command"], methods: ["POST"], scope: "own", shown: "POST", answer: command },
  {
    paths: ["/ws", "/stock_info/ws"],
    methods: ["GET"],
    scope: "stream",
    takesFirstMessage: true,
    shown: "WebSocket",
    answer: socket("sockets"),
  },
  {
    paths: ["/ws/replay"],
    methods: ["GET"],
    scope: "stream",
    takesFirstMessage: true,
    shown: "WebSocket",
    answer: socket("replays"),
  },
  {
    paths: ["/v1/stream"],
    methods: ["GET"],
    scope: "stream",
    shown: "GET, server-sent events",
    isReachableByPages: true,
    answer: eventStream,
  },
  // Its clients say who they are by a message.
  {
    paths: STREAM_PATHS,
    methods: ["GET"],
    scope: "none",
    shown: "WebSocket",
    answer: socket("alpacaStreams"),
  },
  {
    paths: ["/health", "/healthz"],
    methods: PROBE,
    scope: "none",
    shown: "GET",
    answer: health,
  },
  { paths: ["/"], methods: PROBE, scope: "none", answer: async (call) => toConsole(call) ?? health(call) },
  { paths: ["/ready"], methods: PROBE, scope: "none", answer: probe("ready") },
  { paths: ["/live"], methods: PROBE, scope: "none", answer: probe("live") },
  ...["/stats/database", "/stats/tables", "/stats/performance"].map(timed),
  {
    paths: ["/metrics"],
    methods: READ,
    scope: "metrics",
    shown: "GET",
    isReachableByPages: true,
    async answer({ options, caller }) {
      const text = await options.metrics.text(caller.sees);
      const headers = { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" };
      return measured(new Response(text, { headers }), text);
    },
  },
  stat("/stats/pool", poolStat, "GET"),
  stat("/stats/redis", busStat),
  {
    paths: ["/api/execute_sql", "/api/sql_query"],
    methods: READ,
    scope: "sql",
    shown: "GET",
    isReachableByPages: true,
    answer: sql,
  },
  ...V1_ROUTES,
  ...CONSOLE_ROUTES,
  ALPACA_ROUTE,
  ...POLYGON_ROUTES,
  UDF_ROUTE,
];

async function command(call: Call): Promise<Response> {
  return respond(await runCommand(call), call);
}

function socket(kind: "sockets" | "replays" | "alpacaStreams"): Route["answer"] {
  return (call) => upgrade(call, call.options[kind]);
}

function probe(kind: "health" | "ready" | "live"): Route["answer"] {
  return async ({ request, options }) => {
    const { status, body } = await checkHealth(options.health, kind, request.headers.get(VIA_HEADER));
    return jsonResponse(body, status, status === STATUS.unavailable ? { "Retry-After": "1" } : {});
  };
}

function stat(
  path: string,
  read: (options: StatsOptions) => Promise<Record<string, unknown>>,
  shown?: string,
): Route {
  return {
    paths: [path],
    methods: READ,
    scope: "metrics",
    shown,
    isReachableByPages: true,
    answer: async ({ options }) => jsonResponse(await read(options.stats), 200),
  };
}

function timed(path: string): Route {
  const figures = TIMED_STATS[path]!;
  return {
    paths: [path],
    methods: READ,
    scope: "metrics",
    shown: "GET",
    isReachableByPages: true,
    async answer(call) {
      const timeoutS = readTimeout(new URLSearchParams(call.query).get("timeout"), figures);
      call.liftLimit();
      return jsonResponse(await timedStat(figures, timeoutS, call.options.stats), 200);
    },
  };
}

async function sql(call: Call): Promise<Response> {
  const { query, options } = call;
  if (options.sqlOutlastsIdleLimit) call.liftLimit();
  const parameters = new URLSearchParams(query);
  const { signal } = call.hold(parameters.get("sql") || parameters.get("sql_query"));
  const asked = { signal, client: call.client };
  return respond(await sqlOverGet(parameters, asked, call.context), call);
}
