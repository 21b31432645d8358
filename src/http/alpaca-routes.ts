/** Alpaca's market data API: see docs/alpaca.md. */
import { REST_PREFIXES } from "../alpaca/rest-paths.ts";
import { RequestError } from "../protocol/errors.ts";
import type { Call } from "./call.ts";
import { inAscii } from "./in-ascii.ts";
import { respond } from "./respond.ts";
import { headersOf, jsonResponse } from "./responses.ts";
import type { Route } from "./route.ts";

export const ALPACA_ROUTE: Route = {
  paths: [],
  prefixes: REST_PREFIXES,
  methods: ["GET", "HEAD"],
  scope: "read",
  isReachableByPages: true,
  answer,
};

async function answer(call: Call): Promise<Response> {
  const { request, path, query, context } = call;
  // Most workers are never asked.
  const { answerRest, restError } = await import("../alpaca/rest.ts");
  try {
    const asked = {
      path,
      query: new URLSearchParams(query),
      signal: request.signal,
    };
    const { text, warnings } = await answerRest(asked, context);
    return await respond(text, call, warnings.length === 0 ? {} : { Warnings: inAscii(warnings) });
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    return jsonResponse(restError(error), error.status, headersOf(error));
  }
}
