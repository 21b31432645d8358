/**
 * Partial bars of ticks: what a reader may give in place of rows that are read for bars alone. An
 * engine that makes them by itself has far fewer rows to hand over.
 *
 * A part covers a stretch of time that begins at a whole multiple of its length since 1970. Before
 * `FINE_BEFORE_MICROS`, where zones had offsets of seconds, it covers one stamp.
 */
import type { ColumnBatch, ColumnData } from "./columns.ts";

export const FINE_BEFORE_MICROS = Date.UTC(1973, 0) * 1_000;

/** Doubles, beside `ticker` and, of trades, `volume`. */
export const PART_DOUBLES = [
  /** The first stamp of all ticks, in µs; with the ticker, the order of parts. */
  "at",
  "ticks",
  /** Ticks without a bid or an ask, and with a bid above the ask, as far as they lack a price. */
  "oneSided",
  "crossed",
  /** Ticks with a price. The columns below are of those; without any, they mean nothing. */
  "priced",
  "first",
  "last",
  "open",
  "high",
  "low",
  "close",
  /** The sum of price times size; NaN where a size is missing. */
  "notional",
] as const;

export type PartDouble = (typeof PART_DOUBLES)[number];

/** Whether the batch has parts, and no rows. */
export function hasParts({ columns }: ColumnBatch): boolean {
  return columns.has("ticks");
}

export function partDoubles({ columns }: ColumnBatch, name: PartDouble): Float64Array {
  return (columns.get(name) as ColumnData & { type: "double" }).values;
}
