/** Questions by URL: see docs/http-api.md. */
import type { z } from "zod";
import { ALL_BARS_PARAMETERS, openAllBars } from "../../commands/questions/derived.ts";
import {
  format as formatParameter,
  readParameters as readChecked,
} from "../../commands/questions/parameters.ts";
import {
  type OpenedQuestion,
  openTicks,
  type QuestionContext,
  TICKS_PARAMETERS,
} from "../../commands/questions/stored.ts";
import type { Call } from "../call.ts";
import type { Route } from "../route.ts";
import { answerTable } from "./v1-answer.ts";
import { readParameters } from "./v1-request.ts";

const METHODS = ["GET", "HEAD", "POST"];

const FORMAT = { format: formatParameter.optional() };

export const V1_ROUTES: readonly Route[] = [
  table("/v1/bars", ALL_BARS_PARAMETERS.extend(FORMAT), openAllBars),
  table("/v1/trades", TICKS_PARAMETERS.extend(FORMAT), (...of) => openTicks("trade", ...of)),
  table("/v1/quotes", TICKS_PARAMETERS.extend(FORMAT), (...of) => openTicks("quote", ...of)),
];

/** A route whose answer is a table. */
function table<S extends z.ZodRawShape>(
  path: string,
  schema: z.ZodObject<S>,
  open: (asked: never, context: QuestionContext, signal: AbortSignal) => Promise<OpenedQuestion>,
): Route {
  return {
    paths: [path],
    methods: METHODS,
    shown: "GET",
    isReachableByPages: true,
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
