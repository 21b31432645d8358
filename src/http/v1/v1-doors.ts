/** The questions that /v1 answers: path, parameters, and what answers them. */
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
import type { WrittenTable } from "../../commands/writes/sent-names.ts";
import type { TableFormat } from "../../market-data/encode-table.ts";
import { stringifyExact } from "../../protocol/json.ts";
import type { Call } from "../call.ts";
import { respond } from "../respond.ts";
import { answerTable } from "./v1-answer.ts";

export interface Door {
  path: string;
  /** One line. */
  summary: string;
  parameters: z.ZodObject;
  /** The answer has a `format`; others are JSON alone. */
  isTable: boolean;
  /** A POST of rows stores them. */
  writes?: WrittenTable;
  /** @param asked what `parameters` has read. */
  answer(call: Call, asked: never): Promise<Response>;
}

export const DOORS: readonly Door[] = [
  {
    ...table("/v1/bars", "Bars of one length of many tickers", ALL_BARS_PARAMETERS, openAllBars),
    writes: "bars",
  },
  {
    ...table("/v1/trades", "Trades of many tickers", TICKS_PARAMETERS, (...of) => openTicks("trade", ...of)),
    writes: "trades",
  },
  {
    ...table("/v1/quotes", "Quotes of many tickers", TICKS_PARAMETERS, (...of) => openTicks("quote", ...of)),
    writes: "quotes",
  },
  table("/v1/asof", "Rows of one table, each with the newest of another by then", AS_OF_PARAMETERS, openAsOf),
  table("/v1/latest", "The newest trade, quote or bar of each ticker", LATEST_PARAMETERS, openLatest),
  table(
    "/v1/snapshots",
    "Newest trade and quote, minute bar, daily bar and the one before it, of each ticker",
    SNAPSHOT_PARAMETERS,
    openSnapshots,
  ),
  table("/v1/options", "The newest snapshot of each contract of a chain", OPTIONS_PARAMETERS, openOptions),
  table(
    "/v1/corporate-actions",
    "Splits, dividends, spin-offs and changes of the symbol",
    ACTIONS_PARAMETERS,
    openActions,
  ),
  {
    path: "/v1/tickers",
    summary: "Which tickers have rows, and of which kinds",
    parameters: TICKERS_PARAMETERS,
    isTable: false,
    answer: async (call, asked) =>
      respond(stringifyExact(await tickersAnswer(asked, call.options.context)), call),
  },
  {
    path: "/v1/sql",
    summary: "The rows of one SQL statement that reads",
    parameters: SQL_PARAMETERS,
    isTable: false,
    async answer(call, asked) {
      const { request, options, address } = call;
      if (options.sqlOutlastsIdleLimit) call.liftLimit();
      const by = { isPost: request.method === "POST", signal: request.signal, client: address };
      return respond(await sqlAnswer(asked, by, options.context), call);
    },
  },
];

function table(
  path: string,
  summary: string,
  parameters: z.ZodObject,
  open: (asked: never, context: QuestionContext, signal: AbortSignal) => Promise<OpenedQuestion>,
): Door {
  return {
    ...{ path, summary, isTable: true },
    parameters: parameters.extend({ format: formatParameter.optional() }),
    async answer(call, asked: { format?: TableFormat }) {
      const { format, ...question } = asked;
      const { request, options } = call;
      return answerTable(await open(question as never, options.context, request.signal), format, call);
    },
  };
}
