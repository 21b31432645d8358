/** The columns of an answer: how they are selected, and what JSON shows of them. */
import { toWire } from "../../market/timestamp.ts";
import { rawNumber } from "../../protocol/json.ts";
import type { AnswerColumn, RowKind } from "../model/kinds.ts";
import { columnSql, utcText } from "./sql-text.ts";

/** Whole numbers that may be too long for a double. */
const LONG_WHOLE = /^-?\d{16,19}$/;

/** Of the table `p`. */
export function answerSql({ name, column, type }: AnswerColumn): string {
  const cell = `p.${columnSql(column)}`;
  const as = ` AS ${columnSql(name)}`;
  switch (type) {
    case "date":
      return `${cell}::text${as}`;
    case "second":
    case "instant":
    case "written":
      return `${utcText(cell)}${as}`;
    default:
      return `${cell}${as}`;
  }
}

/** What changes a row, in place, to the form of answers. */
export function rowToWire(
  { writtenForm }: RowKind,
  columns: AnswerColumn[],
): (row: Record<string, unknown>) => void {
  const namesOf = (...types: AnswerColumn["type"][]): string[] =>
    columns.filter(({ type }) => types.includes(type)).map(({ name }) => name);
  const counts = namesOf("count", "seq");
  const stamps = namesOf("date", "second", "instant");
  const hasWritten = namesOf("written").length > 0;
  return (row) => {
    for (const name of stamps) if (row[name] !== null) row[name] = toWire(row[name] as string);
    for (const name of counts) if (name in row) row[name] = exactCount(row[name]);
    if (!hasWritten || row.write_timestamp === null) return;
    const written = row.write_timestamp as string;
    row.write_timestamp = writtenForm === "wire" ? toWire(written) : `${toStored(written)}+00:00`;
  };
}

/** `YYYY-MM-DD HH:MM:SS.ffffff`; PostgreSQL leaves out zeros at the end. */
function toStored(text: string): string {
  return text.length === 19 ? `${text}.000000` : text.padEnd(26, "0");
}

/** A number that JSON.stringify writes with all its digits. */
function exactCount(value: unknown): unknown {
  if (typeof value !== "string") return value;
  return LONG_WHOLE.test(value) ? rawNumber(value) : Number(value);
}
