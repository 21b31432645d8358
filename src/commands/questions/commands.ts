/**
 * get_bars, get_trades and others: the questions of /v1 as commands. The schemas of their
 * parameters, and what answers them, are loaded with the first question.
 */
import type { Command } from "../context.ts";
import type { QuestionName } from "./get-rows.ts";

const RANGE = ["symbols", "symbol", "start", "end", "limit", "page_token"];
const TICKS = [...RANGE, "sort", "tz", "columns", "with_position", "format"];

export const QUESTION_COMMANDS: readonly Command[] = [
  question("get_bars", "Bars of one length of many tickers, as GET /v1/bars gives them.", [
    ...["timeframe", ...RANGE, "sort", "tz", "columns", "with_position", "adjustment", "adjust_to"],
    ...["source", "price", "calendar", "session", "align", "fill", "indicators", "sale_conditions"],
    ...["layout", "format"],
  ]),
  question("get_trades", "Trades of many tickers, as GET /v1/trades gives them.", TICKS),
  question("get_quotes", "Quotes of many tickers, as GET /v1/quotes gives them.", TICKS),
  question(
    "get_asof",
    "Rows of one table, each with the row of another that was the newest by then, as GET /v1/asof.",
    [
      ...[...RANGE, "tz", "columns", "left", "right", "right_columns", "direction", "tolerance"],
      ...["allow_exact", "format"],
    ],
  ),
];

function question(name: QuestionName, about: string, params: readonly string[]): Command {
  return {
    ...{ name, about, params },
    scope: "read",
    async run(call, context) {
      const { answerQuestion } = await import("./get-rows.ts");
      return answerQuestion(name, call, context);
    },
  };
}
