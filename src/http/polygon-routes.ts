/** Polygon's market data API: see docs/polygon.md. */
import { POLYGON_PREFIXES } from "../polygon/paths.ts";
import { restError } from "../polygon/rest-error.ts";
import type { Call } from "./call.ts";
import { inAscii } from "./in-ascii.ts";
import { respond } from "./respond.ts";
import type { Route } from "./route.ts";

/** One for each prefix, by which metrics and the log name it. */
export const POLYGON_ROUTES: readonly Route[] = POLYGON_PREFIXES.map((prefix) => ({
  paths: [],
  prefixes: [prefix],
  methods: ["GET", "HEAD"],
  scope: "read",
  isReachableByPages: true,
  takesQueryKey: true,
  errorForm: restError,
  answer,
}));

async function answer(call: Call): Promise<Response> {
  const { request, path, query, context, host, requestId } = call;
  // Most workers are never asked.
  const { answerPolygon } = await import("../polygon/rest.ts");
  const scheme = request.url.startsWith("https:") ? "https" : "http";
  const asked = {
    ...{ path, query: new URLSearchParams(query), requestId, signal: request.signal },
    origin: host === null ? "" : `${scheme}://${host}`,
  };
  const { text, warnings } = await answerPolygon(asked, context);
  return await respond(text, call, warnings.length === 0 ? {} : { Warnings: inAscii(warnings) });
}
