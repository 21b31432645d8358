/** Alpaca's market data API: see docs/alpaca.md. */
import { restError } from "../alpaca/rest-error.ts";
import { REST_PREFIXES } from "../alpaca/rest-paths.ts";
import type { Call } from "./call.ts";
import { inAscii } from "./in-ascii.ts";
import { respond } from "./respond.ts";
import type { Route } from "./route.ts";

export const ALPACA_ROUTE: Route = {
  paths: [],
  prefixes: REST_PREFIXES,
  methods: ["GET", "HEAD"],
  scope: "read",
  isReachableByPages: true,
  errorForm: restError,
  door: "alpaca",
  answer,
};

async function answer(call: Call): Promise<Response> {
  const { request, path, query, context } = call;
  // Most workers are never asked.
  const { answerRest } = await import("../alpaca/rest.ts");
  const asked = {
    path,
    query: new URLSearchParams(query),
    signal: request.signal,
  };
  const { text, warnings } = await answerRest(asked, context);
  return await respond(text, call, warnings.length === 0 ? {} : { Warnings: inAscii(warnings) });
}
