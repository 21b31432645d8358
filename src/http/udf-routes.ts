/** TradingView's data feed: see docs/tradingview.md. */
import { UDF_PREFIX } from "../udf/paths.ts";
import { udfError } from "../udf/udf-error.ts";
import type { Call } from "./call.ts";
import { respond } from "./respond.ts";
import type { Route } from "./route.ts";

export const UDF_ROUTE: Route = {
  paths: [],
  prefixes: [UDF_PREFIX],
  methods: ["GET", "HEAD"],
  scope: "read",
  isReachableByPages: true,
  errorForm: udfError,
  answer,
};

async function answer(call: Call): Promise<Response> {
  const { request, path, query, context } = call;
  // Most workers are never asked.
  const { answerUdf } = await import("../udf/udf.ts");
  const asked = { path, query: new URLSearchParams(query), signal: request.signal };
  const answered = await answerUdf(asked, context);
  return await respond(typeof answered === "string" ? answered : JSON.stringify(answered), call, {});
}
