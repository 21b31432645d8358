/** Questions by URL: see docs/http-api.md. */
import type { z } from "zod";
import { AS_OF_PARAMETERS, openAsOf } from "../../commands/questions/as-of.ts";
import { ALL_BARS_PARAMETERS, openAllBars } from "../../commands/questions/derived.ts";
import {
  LATEST_PARAMETERS,
  openLatest,
  openSnapshots,
  SNAPSHOT_PARAMETERS,
} from "../../commands/questions/newest.ts";
import { OPTIONS_PARAMETERS, openOptions } from "../../commands/questions/options.ts";
import {
  format as formatParameter,
  readParameters as readChecked,
} from "../../commands/questions/parameters.ts";
import { SQL_PARAMETERS, sqlAnswer } from "../../commands/questions/sql.ts";
import {
  ACTIONS_PARAMETERS,
  type OpenedQuestion,
  openActions,
  openTicks,
  type QuestionContext,
  TICKS_PARAMETERS,
} from "../../commands/questions/stored.ts";
import { TICKERS_PARAMETERS, tickersAnswer } from "../../commands/questions/tickers.ts";
import { stringifyExact } from "../../protocol/json.ts";
import type { Call } from "../call.ts";
import { respond } from "../respond.ts";
import type { Route } from "../route.ts";
import { answerTable } from "./v1-answer.ts";
import { readParameters } from "./v1-request.ts";

/** Any page can make a browser send a GET. */
const OF_ALL = { methods: ["GET", "HEAD", "POST"], shown: "GET", isReachableByPages: true };

const FORMAT = { format: formatParameter.optional() };

export const V1_ROUTES: readonly Route[] = [
  table("/v1/bars", ALL_BARS_PARAMETERS.extend(FORMAT), openAllBars),
  table("/v1/trades", TICKS_PARAMETERS.extend(FORMAT), (...of) => openTicks("trade", ...of)),
  table("/v1/asof", AS_OF_PARAMETERS.extend(FORMAT), openAsOf),
  table("/v1/corporate-actions", ACTIONS_PARAMETERS.extend(FORMAT), openActions),
  table("/v1/latest", LATEST_PARAMETERS.extend(FORMAT), openLatest),
  table("/v1/snapshots", SNAPSHOT_PARAMETERS.extend(FORMAT), openSnapshots),
  table("/v1/options", OPTIONS_PARAMETERS.extend(FORMAT), openOptions),
  table("/v1/quotes", TICKS_PARAMETERS.extend(FORMAT), (...of) => openTicks("quote", ...of)),
  {
    paths: ["/v1/tickers"],
    ...OF_ALL,
    async answer(call) {
      const asked = readChecked("/v1/tickers", TICKERS_PARAMETERS, await readParameters(call));
      return respond(stringifyExact(await tickersAnswer(asked, call.options.context)), call);
    },
  },
  { paths: ["/v1/sql"], ...OF_ALL, answer: sql },
];

/** A route whose answer is a table. */
function table<S extends z.ZodRawShape>(
  path: string,
  schema: z.ZodObject<S>,
  open: (asked: never, context: QuestionContext, signal: AbortSignal) => Promise<OpenedQuestion>,
): Route {
  return {
    paths: [path],
    ...OF_ALL,
    async answer(call: Call) {
      const { format, ...asked } = readChecked(path, schema, await readParameters(call)) as Record<
        string,
        unknown
      >;
      return answerTable(
        await open(asked as never, call.options.context, call.request.signal),
        format as never,
        call,
      );
    },
  };
}

/** Reads; a POST counts as POST /db_command does. */
async function sql(call: Call): Promise<Response> {
  const { request, options, address } = call;
  if (options.sqlOutlastsIdleLimit) call.liftLimit();
  const asked = readChecked("/v1/sql", SQL_PARAMETERS, await readParameters(call));
  const isPost = request.method === "POST";
  return respond(
    await sqlAnswer(asked, { isPost, signal: request.signal, client: address }, options.context),
    call,
  );
}
