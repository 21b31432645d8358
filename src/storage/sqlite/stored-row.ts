/** Rows as they are stored, and what in them no save could have stored. */
import { parseCalendarDate, parseTimestamp, TimestampError, toHourly } from "../../market/timestamp.ts";
import { type Count, TransferRowError } from "../contract.ts";
import {
  type KindColumn,
  type KindName,
  kindOf,
  type RowKind,
  type SeriesRow,
  type SeriesValue,
} from "../model/kinds.ts";

const SECONDS_LENGTH = "2024-01-02 10:00:00".length;

/** Digits as text where a double can't hold them: the connection reads integers as doubles. */
export const exactDigits = (column: string): string =>
  `CASE WHEN typeof(${column}) = 'integer'
     AND ${column} NOT BETWEEN ${Number.MIN_SAFE_INTEGER} AND ${Number.MAX_SAFE_INTEGER}
   THEN CAST(${column} AS TEXT) ELSE ${column} END`;

/** The columns of a `Row`, for `storedRow`. */
export function rowColumns({ stamp, values, hasSeq }: RowKind): string[] {
  const exact = ({ name, type }: KindColumn): string => (type === "count" ? exactDigits(name) : name);
  return [stamp.name, ...values.map(exact), ...(hasSeq ? ["seq"] : [])];
}

/** @param values of `rowColumns`. @throws TransferRowError */
export function storedRow(values: unknown[], name: KindName, series: string): SeriesRow {
  const kind = kindOf(name);
  const where = `${series} ${values[0]}`;
  const row: SeriesRow = [stampOf(values[0], kind, where)];
  for (const [index, column] of kind.values.entries())
    row.push(storedValue(values[index + 1], column, where));
  if (kind.hasSeq) row.push(wholeNumber(values.at(-1), where));
  return row;
}

/** In canonical text. @throws TransferRowError */
export function stampOf(stored: unknown, { stamp, label }: RowKind, where: string): string {
  if (stamp.type === "date") return canonical(stored, where, parseCalendarDate);
  const text = canonical(stored, where, parseTimestamp);
  if (stamp.type === "instant") return text;
  if (!/^\.0+$/.test(text.slice(SECONDS_LENGTH)))
    throw new TransferRowError(`${where}: ${label} have no fraction of a second`);
  return toHourly(text);
}

/** @throws TransferRowError */
export function storedValue(value: unknown, { name, type }: KindColumn, where: string): SeriesValue {
  if (type === "double") return real(value, name, where);
  if (type === "count") return count(value, name, where);
  if (type === "date" && value !== null) return canonical(value, `${where}: ${name}`, parseCalendarDate);
  if (type === "instant" && value !== null) return canonical(value, `${where}: ${name}`, parseTimestamp);
  if (value === null || typeof value === "string") return value;
  throw new TransferRowError(`${where}: ${name} is no text`);
}

function canonical(stored: unknown, where: string, parse: (value: unknown) => string | null): string {
  try {
    const stamp = typeof stored === "string" ? parse(stored) : null;
    if (stamp !== null) return stamp;
  } catch (error) {
    if (!(error instanceof TimestampError)) throw error;
  }
  throw new TransferRowError(`${where}: its stamp can't be read`);
}

function real(value: unknown, column: string, where: string): number | null {
  if (value === null || typeof value === "number") return value;
  throw unfit(value, column, where);
}

function count(value: unknown, column: string, where: string): Count | null {
  if (value === null || typeof value === "number") return value;
  if (typeof value === "string" && /^-?\d{16,19}$/.test(value)) return value;
  throw unfit(value, column, where);
}

/** @throws TransferRowError */
export function wholeNumber(value: unknown, where: string): number {
  if (Number.isSafeInteger(value)) return value as number;
  throw unfit(value, "seq", where);
}

function unfit(value: unknown, column: string, where: string): TransferRowError {
  const shown = typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : "something else";
  return new TransferRowError(`${where}: ${column} is ${shown}, expected a number`);
}
