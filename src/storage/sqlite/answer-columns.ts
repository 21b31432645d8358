/** The columns of an answer: how they are selected, and what JSON shows of them. */
import { toWire } from "../../market/timestamp.ts";
import { rawNumber } from "../../protocol/json.ts";
import type { AnswerColumn } from "../model/kinds.ts";

const DIGITS_MARK = "integer:";

/**
 * Bigints in every row would cost more than all the rest. So counts come as doubles, or as marked
 * digits where a double can't hold them.
 */
const exact = (column: string): string =>
  `CASE WHEN typeof(${column}) = 'integer'
     AND ${column} NOT BETWEEN ${Number.MIN_SAFE_INTEGER} AND ${Number.MAX_SAFE_INTEGER}
   THEN '${DIGITS_MARK}' || ${column} ELSE ${column} END`;

/** SQL. */
export function answerSql({ name, column, type }: AnswerColumn): string {
  return `${type === "count" ? exact(column) : column} AS ${name}`;
}

/** What changes a row itself. @param isWire how `write_timestamp` is shown. */
export function rowToWire(columns: AnswerColumn[], isWire: boolean): (row: Record<string, unknown>) => void {
  const namesOf = (...types: AnswerColumn["type"][]): string[] =>
    columns.filter(({ type }) => types.includes(type)).map(({ name }) => name);
  const counts = namesOf("count");
  const stamps = namesOf("date", "second", "instant", ...(isWire ? (["written"] as const) : []));
  return (row) => {
    for (const name of stamps) if (row[name] !== null) row[name] = toWire(row[name] as string);
    for (const name of counts) row[name] = exactCount(row[name]);
  };
}

function exactCount(value: unknown): unknown {
  if (typeof value !== "string" || !value.startsWith(DIGITS_MARK)) return value;
  return rawNumber(value.slice(DIGITS_MARK.length));
}
