/** A series is copied as a whole: one ticker, kind and part. */
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
  part: string | null;
}

const INT64_END = 2 ** 63;

/** @param from inclusive, in the kind's stored form. */
export function readSeries(
  reader: TransferReader,
  series: Series,
  from: string | null,
): AsyncIterable<SeriesRow[]> {
  return reader.rows({ ...series, from, to: null });
}

/** A tick keeps its `seq` and replaces the stored one: a repetition changes nothing. */
export function toSave({ kind, ticker, part }: Series, rows: SeriesRow[]): Save {
  return kind === "ticks"
    ? { kind, ticker, part: part!, rows: rows as TickRow[], onDuplicate: "replace" }
    : { kind, ticker, part, rows, onDuplicate: "replace" };
}

/** `AAPL daily bars`, `IBM trade ticks`. */
export function nameOf({ kind, ticker, part }: Series): string {
  return `${ticker} ${seriesLabel(kind, part)}`;
}

/** Stamps sort as text. */
export function compareKeys(kind: KindName, a: SeriesRow, b: SeriesRow): number {
  if (a[0] !== b[0]) return a[0] < b[0] ? -1 : 1;
  return kindOf(kind).hasSeq ? (a.at(-1) as number) - (b.at(-1) as number) : 0;
}

/**
 * Changes a row to the form that is the same for every engine. Zero is positive, as SQLite doesn't
 * keep negative zero. Numbers that aren't finite become null, as in every answer of the server.
 * Counts are numbers if a double holds them, else digits.
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
