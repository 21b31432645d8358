/** Questions of two tables joined by time: parameters, and what answers them. */
import type { z } from "zod";
import { DIRECTIONS } from "../../analysis/as-of.ts";
import { CalendarError } from "../../calendar/contract.ts";
import { parseTimeframe } from "../../calendar/timeframe.ts";
import { columnNamed, columnsOf, usualColumns } from "../../market-data/answer-columns.ts";
import {
  type AsOfQuestion,
  type JoinedTable,
  RIGHT_PREFIX,
  storedOf,
} from "../../market-data/as-of-questions.ts";
import { asOfRows } from "../../market-data/as-of-rows.ts";
import { ownLength } from "../../market-data/find-sources.ts";
import { UnknownSymbols } from "../../market-data/unknown-symbols.ts";
import { badRequest } from "../../protocol/errors.ts";
import * as p from "./parameters.ts";
import { type OpenedQuestion, type QuestionContext, readRange, TICKS_PARAMETERS } from "./stored.ts";

const SIDE_EXPECTED = '"trades", "quotes", or the length of stored bars such as "1Min"';
const TOLERANCE_EXPECTED = 'a time such as "500ms", "1s", "5min", "1hour" or "1day", or "any"';
const FORM = /^(\d{1,9}) ?(us|ms|s|sec|min|hour|h|day|d)$/i;
const MICROS: Record<string, number> = {
  ...{ us: 1, ms: 1e3, s: 1e6, sec: 1e6, min: 6e7, hour: 3.6e9, h: 3.6e9, day: 8.64e10, d: 8.64e10 },
};

export const AS_OF_PARAMETERS = TICKS_PARAMETERS.omit({ sort: true, with_position: true }).extend({
  left: p.text({
    description: "The rows of the answer: trades, quotes, or stored bars of a length.",
    expected: SIDE_EXPECTED,
    example: "trades",
  }),
  right: p.text({
    description: "What is looked up for each of them. A bar counts from its end on, when it is known.",
    expected: SIDE_EXPECTED,
    example: "quotes",
  }),
  right_columns: p
    .text({
      description: "Columns of the right, with commas between them. Default: timestamp and its numbers.",
      expected: "names of columns with commas between them",
      example: "timestamp,bid_price,ask_price",
    })
    .optional(),
  direction: p
    .choice(
      DIRECTIONS,
      "Which row of the right counts: the newest by then, the next, or the nearer one. Default: backward.",
    )
    .optional(),
  tolerance: p
    .text({
      description: "How far away a row of the right may be. Default: any; with a bound less is read.",
      expected: TOLERANCE_EXPECTED,
      example: "1min",
    })
    .optional(),
  allow_exact: p.flag("Whether a row of the same stamp counts. Default: true.").optional(),
});

type AsOfParameters = z.output<typeof AS_OF_PARAMETERS>;

/** @throws RequestError 400, 503 */
export async function openAsOf(
  asked: AsOfParameters,
  { reader: source }: QuestionContext,
  signal: AbortSignal,
): Promise<OpenedQuestion> {
  const { left: leftName, right_columns: names, direction = "backward", tolerance } = asked;
  const allowExact = asked.allow_exact ?? true;
  if (direction === "nearest" && !allowExact)
    throw badRequest("allow_exact: got false with direction=nearest, expected it with backward or forward");
  const left = readSide("left", leftName);
  const right = readSide("right", asked.right);
  const { table, kind } = storedOf(left);
  const { question, named } = await readRange(asked, { table, kind }, source);
  const joined: AsOfQuestion = {
    ...question,
    ...{ left, right, signal },
    rightColumns: readRightColumns(storedOf(right).table, names),
    options: { direction, tolerance: readTolerance(tolerance), allowExact },
  };
  const clash = joined.rightColumns.find((name) =>
    joined.columns.includes(`${RIGHT_PREFIX[storedOf(right).table]}${name}`),
  );
  if (clash !== undefined)
    throw badRequest(`right_columns: got ${clash}, which the left has by the same name`);
  const part = left.of === "bars" ? left.series.part : left.of === "trades" ? "trade" : "quote";
  const unknown = new UnknownSymbols(named, { kind, part, label: leftName }, source);
  const answer = unknown.watching(await asOfRows(joined, source));
  return { table, answer, isPage: question.limit !== null, unknown };
}

/** @throws RequestError 400 */
function readSide(name: "left" | "right", text: string): JoinedTable {
  if (text === "trades" || text === "quotes") return { of: text };
  try {
    return ownLength(parseTimeframe(text));
  } catch (error) {
    if (!(error instanceof CalendarError)) throw error;
    throw badRequest(`${name}: got ${JSON.stringify(text.slice(0, 100))}, expected ${SIDE_EXPECTED}`);
  }
}

/** @throws RequestError 400 */
function readRightColumns(table: keyof typeof RIGHT_PREFIX, names: string | undefined): string[] {
  const known = columnsOf(table)
    .filter(({ name, type }) => name === "timestamp" || type === "double" || type === "int64")
    .map(({ name }) => name);
  if (names === undefined) return known.filter((name) => usualColumns(table).includes(name));
  const asked = names.split(",").map((name) => name.trim());
  return [...new Set(asked.filter((name) => name !== ""))].map((name) => {
    const column = columnNamed(table, name)?.name;
    if (column !== undefined && known.includes(column)) return column;
    throw badRequest(
      `right_columns: got ${JSON.stringify(name.slice(0, 100))}, expected some of ${known.join(", ")}`,
    );
  });
}

/** In µs. @throws RequestError 400 */
function readTolerance(text: string | undefined): number {
  if (text === undefined || text === "any") return Number.POSITIVE_INFINITY;
  const [, digits, unit] = FORM.exec(text.trim()) ?? [];
  if (digits === undefined || unit === undefined)
    throw badRequest(`tolerance: got ${JSON.stringify(text.slice(0, 100))}, expected ${TOLERANCE_EXPECTED}`);
  return Number(digits) * MICROS[unit.toLowerCase()]!;
}
