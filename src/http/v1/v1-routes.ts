/** Questions by URL: see docs/http-api.md. */
import type { z } from "zod";
import {
  format as formatParameter,
  readParameters as readChecked,
} from "../../commands/questions/parameters.ts";
import {
  BARS_PARAMETERS,
  type OpenedQuestion,
  openBars,
  openTicks,
  type QuestionContext,
  TICKS_PARAMETERS,
} from "../../commands/questions/stored.ts";
import type { Call } from "../call.ts";
import type { Route } from "../route.ts";
import { answerTable } from "./v1-answer.ts";
import { readParameters } from "./v1-request.ts";
import { answerPosted } from "./v1-write.ts";

const METHODS = ["GET", "HEAD", "POST"];

const FORMAT = { format: formatParameter.optional() };

export const V1_ROUTES: readonly Route[] = [
  table("/v1/bars", BARS_PARAMETERS.extend(FORMAT), openBars),
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
      const ask = async (parameters: Record<string, unknown>): Promise<Response> => {
        const { format, ...asked } = readChecked(path, schema, parameters) as Record<string, unknown>;
        return answerTable(
          await open(asked as never, call.options.context, call.request.signal),
          format as never,
          call,
        );
      };
      if (call.request.method === "POST") return answerPosted(call, path.slice(4) as never, ask);
      return ask(await readParameters(call));
    },
  };
}
