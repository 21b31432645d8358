/** The questions that /v1 answers: parameters, and what answers them. */
import type { z } from "zod";
import { AS_OF_PARAMETERS, openAsOf } from "../../commands/questions/as-of.ts";
import { ALL_BARS_PARAMETERS, openAllBars } from "../../commands/questions/derived.ts";
import { FEEDS_PARAMETERS, feedsAnswer } from "../../commands/questions/feeds.ts";
import {
  LATEST_PARAMETERS,
  openLatest,
  openSnapshots,
  SNAPSHOT_PARAMETERS,
} from "../../commands/questions/newest.ts";
import { OPTIONS_PARAMETERS, openOptions } from "../../commands/questions/options.ts";
import { format as formatParameter } from "../../commands/questions/parameters.ts";
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
import type { TableFormat } from "../../market-data/encode-table.ts";
import { sourceOf } from "../../market-data/page-source.ts";
import { stringifyExact } from "../../protocol/json.ts";
import type { Call } from "../call.ts";
import { respond } from "../respond.ts";
import { answerTable } from "./v1-answer.ts";
import type { V1Path } from "./v1-paths.ts";

export interface Door {
  /** One line. */
  summary: string;
  parameters: z.ZodObject;
  /** The answer has a `format`; others are JSON alone. */
  isTable: boolean;
  /** @param asked what `parameters` has read. */
  answer(call: Call, asked: never): Promise<Response>;
}

export const DOORS: Readonly<Record<V1Path, Door>> = {
  "/v1/bars": table("Bars of one length of many tickers", ALL_BARS_PARAMETERS, openAllBars),
  "/v1/trades": table("Trades of many tickers", TICKS_PARAMETERS, (...of) => openTicks("trade", ...of)),
  "/v1/quotes": table("Quotes of many tickers", TICKS_PARAMETERS, (...of) => openTicks("quote", ...of)),
  "/v1/asof": table("Rows of one table, each with the newest of another by then", AS_OF_PARAMETERS, openAsOf),
  "/v1/latest": table("The newest trade, quote or bar of each ticker", LATEST_PARAMETERS, openLatest),
  "/v1/snapshots": table(
    "Newest trade and quote, minute bar, daily bar and the one before it, of each ticker",
    SNAPSHOT_PARAMETERS,
    openSnapshots,
  ),
  "/v1/options": table("The newest snapshot of each contract of a chain", OPTIONS_PARAMETERS, openOptions),
  "/v1/corporate-actions": table(
    "Splits, dividends, spin-offs and changes of the symbol",
    ACTIONS_PARAMETERS,
    openActions,
  ),
  "/v1/tickers": {
    summary: "Which tickers have rows, and of which kinds",
    parameters: TICKERS_PARAMETERS,
    isTable: false,
    answer: async (call, asked) => respond(stringifyExact(await tickersAnswer(asked, call.context)), call),
  },
  "/v1/feeds": {
    summary: "What comes in of each ticker and type, and from whom: rate, newest stamp, age",
    parameters: FEEDS_PARAMETERS,
    isTable: false,
    answer(call, asked) {
      const { caller, options, context } = call;
      const by = { caller, check: context.checkTickers };
      return respond(JSON.stringify(feedsAnswer(asked, options.feeds, by)), call);
    },
  },
  "/v1/sql": {
    summary: "The rows of one SQL statement that reads",
    parameters: SQL_PARAMETERS,
    isTable: false,
    async answer(call, asked) {
      const { request, options, client } = call;
      if (options.sqlOutlastsIdleLimit) call.liftLimit();
      const { signal } = call.hold((asked as { sql: string }).sql);
      const by = { isPost: request.method === "POST", signal, client };
      return respond(await sqlAnswer(asked, by, call.context), call);
    },
  },
};

function table(
  summary: string,
  parameters: z.ZodObject,
  open: (asked: never, context: QuestionContext, signal: AbortSignal) => Promise<OpenedQuestion>,
): Door {
  return {
    ...{ summary, isTable: true },
    parameters: parameters.extend({ format: formatParameter.optional() }),
    async answer(call, asked: { format?: TableFormat }) {
      const { format, ...question } = asked;
      // The first rows of many may take long.
      const { signal } = call.hold();
      const { reader, marketTimezone } = call.context;
      const context = { reader: sourceOf(reader, (question as { limit?: number }).limit), marketTimezone };
      return answerTable(await open(question as never, context, signal), format, call);
    },
  };
}
