/** What is copied as one: the rows of one ticker and kind, and of one part where it has parts. */
import type { Count, Save, TickRow, TransferReader } from "../../storage/contract.ts";
import {
  type KindName,
  kindOf,
  type SeriesRow,
  type SeriesValue,
  seriesLabel,
} from "../../storage/model/kinds.ts";

export interface Series {
  kind: KindName;
  ticker: string;
  /** Null for a kind without parts. */
  part: string | null;
}

const INT64_END = 2 ** 63;

/** @param from inclusive, in the stored form of the kind. */
export function readSeries(
  reader: TransferReader,
  series: Series,
  from: string | null,
): AsyncIterable<SeriesRow[]> {
  return reader.rows({ ...series, from, to: null });
}

/**
 * A tick keeps its `seq`, and takes the place of what is stored under its key: repeated, it changes
 * nothing.
 */
export function toSave({ kind, ticker, part }: Series, rows: SeriesRow[]): Save {
  return kind === "ticks"
    ? { kind, ticker, part: part!, rows: rows as TickRow[], onDuplicate: "replace" }
    : { kind, ticker, part, rows, onDuplicate: "replace" };
}

/** As messages and lists show it: `AAPL daily bars`, `IBM trade ticks`. */
export function nameOf({ kind, ticker, part }: Series): string {
  return `${ticker} ${seriesLabel(kind, part)}`;
}

/** By stamp, which sorts as text; then by `seq`, where the kind has one. */
export function compareKeys(kind: KindName, a: SeriesRow, b: SeriesRow): number {
  if (a[0] !== b[0]) return a[0] < b[0] ? -1 : 1;
  return kindOf(kind).hasSeq ? (a.at(-1) as number) - (b.at(-1) as number) : 0;
}

export function keyText(kind: KindName, row: SeriesRow): string {
  return kindOf(kind).hasSeq ? `${row[0]} seq ${row.at(-1)}` : row[0];
}

/**
 * Brings a row, in place, to the form that is the same whatever engine it came from: no negative
 * zero, which SQLite doesn't keep; null for what is not finite, as every answer of the server has
 * it; counts as numbers where a double holds them, else as digits.
 */
export function toCanonical(kind: KindName, row: SeriesRow): void {
  for (const [index, { type }] of kindOf(kind).values.entries()) {
    const value = row[index + 1]!;
    if (type === "double") row[index + 1] = canonicalReal(value as number | null);
    else if (type === "count") row[index + 1] = canonicalCount(value);
  }
}

function canonicalReal(value: number | null): number | null {
  if (value === null || !Number.isFinite(value)) return null;
  return value === 0 ? 0 : value;
}

function canonicalCount(value: SeriesValue): Count | null {
  if (typeof value === "string") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? canonicalReal(number) : BigInt(value).toString();
  }
  if (
    value !== null &&
    Number.isInteger(value) &&
    !Number.isSafeInteger(value) &&
    Math.abs(value) < INT64_END
  )
    return BigInt(value).toString();
  return canonicalReal(value);
}
