/** What is copied as one: the bars of a ticker in one interval, or its ticks of one type. */
import type { BarRow, Count, RowKind, Save, TickRow, TransferReader } from "../../storage/contract.ts";

export type Series =
  | { kind: "daily" | "hourly"; ticker: string }
  | { kind: "ticks"; ticker: string; type: string };

export type StoredRow = BarRow | TickRow;

export const ROW_KINDS: readonly RowKind[] = ["daily", "hourly", "ticks"];

const INT64_END = 2 ** 63;

/** @param from inclusive, in the stored form of the kind. */
export function readSeries(
  reader: TransferReader,
  series: Series,
  from: string | null,
): AsyncIterable<StoredRow[]> {
  const { kind, ticker } = series;
  return kind === "ticks"
    ? reader.ticks({ ticker, type: series.type, from, to: null })
    : reader.bars({ ticker, interval: kind, from, to: null });
}

/**
 * A tick keeps its `seq`, and takes the place of what is stored under its key: repeated, it changes
 * nothing.
 */
export function toSave(series: Series, rows: StoredRow[]): Save {
  const { kind, ticker } = series;
  return kind === "ticks"
    ? { kind, ticker, type: series.type, rows: rows as TickRow[], onDuplicate: "replace" }
    : { kind: "bars", interval: kind, ticker, rows: rows as BarRow[], onDuplicate: "replace" };
}

/** As messages and lists show it: `AAPL daily bars`, `IBM trades`. */
export function nameOf(series: Series): string {
  return series.kind === "ticks"
    ? `${series.ticker} ${series.type} ticks`
    : `${series.ticker} ${series.kind} bars`;
}

/** By stamp, which sorts as text; ticks then by `seq`. */
export function compareKeys(kind: RowKind, a: StoredRow, b: StoredRow): number {
  if (a[0] !== b[0]) return a[0] < b[0] ? -1 : 1;
  return kind === "ticks" ? (a[5] as number) - (b[5] as number) : 0;
}

export function keyText(kind: RowKind, row: StoredRow): string {
  return kind === "ticks" ? `${row[0]} seq ${row[5]}` : row[0];
}

/**
 * Brings a row, in place, to the form that is the same whatever engine it came from: no negative
 * zero, which SQLite doesn't keep; null for what is not finite, as every answer of the server has
 * it; counts as numbers where a double holds them, else as digits.
 */
export function toCanonical(kind: RowKind, row: StoredRow): void {
  if (kind === "ticks") {
    const tick = row as TickRow;
    tick[1] = canonicalReal(tick[1]);
    tick[2] = canonicalCount(tick[2]);
    tick[3] = canonicalReal(tick[3]);
    tick[4] = canonicalCount(tick[4]);
    return;
  }
  const bar = row as BarRow;
  for (const column of [1, 2, 3, 4] as const) bar[column] = canonicalReal(bar[column]);
  bar[5] = canonicalCount(bar[5]);
}

function canonicalReal(value: number | null): number | null {
  if (value === null || !Number.isFinite(value)) return null;
  return value === 0 ? 0 : value;
}

function canonicalCount(value: Count | null): Count | null {
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
