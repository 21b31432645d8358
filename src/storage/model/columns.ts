/**
 * Rows as columns: how drivers give many rows, and take them, without an object for each.
 *
 * A batch holds some thousand rows of one series or of several, in order of ticker, part, stamp and
 * seq. Its arrays are the reader's own: whoever takes a batch may keep it.
 */
import { type KindName, kindOf, type SeriesRow, type SeriesValue } from "./kinds.ts";

/** 1 where the row has no value. Null: every row has one. */
type Nulls = Uint8Array | null;

/** The values of a column, one for each row of the batch. What stands at a null means nothing. */
export type ColumnData =
  | { type: "double"; values: Float64Array; nulls: Nulls }
  /** A count or a `seq`. */
  | { type: "int64"; values: BigInt64Array; nulls: Nulls }
  /** Microseconds since 1970, of a stamp of the types `second` and `instant`. */
  | { type: "instant"; values: BigInt64Array; nulls: Nulls }
  /** Days since 1970, of a stamp of the type `date`. */
  | { type: "date"; values: Int32Array; nulls: Nulls }
  /** Places in the dictionary. */
  | { type: "text"; codes: Int32Array; dictionary: string[]; nulls: Nulls };

export interface ColumnBatch {
  rows: number;
  /**
   * By name, in the order asked for. A count is `int64` where every value of the batch is a whole
   * number of 64 bits, else `double` where every value is one exactly, else `text` with its digits.
   */
  columns: Map<string, ColumnData>;
}

export interface ColumnQuery {
  kind: KindName;
  /** Null: all. */
  tickers: readonly string[] | null;
  /** Null: all parts, or a kind without parts. */
  part: string | null;
  /** Inclusive, in the stored form of the kind's stamp; null is unbounded. */
  from: string | null;
  to: string | null;
  /**
   * Names of columns of the kind: `ticker`, its part, its stamp, its values, `seq` where it has
   * one.
   */
  columns: readonly string[];
  /** Ends the walk; what it then throws nobody reads. */
  signal?: AbortSignal | undefined;
}

/**
 * The columns of a row of the kind, in its order: the stamp, the values and, where there is one,
 * seq.
 */
export function rowColumnNames(name: KindName): string[] {
  const { stamp, values, hasSeq } = kindOf(name);
  return [stamp.name, ...values.map((value) => value.name), ...(hasSeq ? ["seq"] : [])];
}

/** Rows of the kind out of a batch of `rowColumnNames`. */
export function rowsOfBatch(name: KindName, { rows, columns }: ColumnBatch): SeriesRow[] {
  const { stamp } = kindOf(name);
  const cells = rowColumnNames(name).map((column) => cellsOf(columns.get(column)!, stamp.type === "instant"));
  return Array.from({ length: rows }, (_, row) => cells.map((cell) => cell(row)) as SeriesRow);
}

/** @param inMicros of a stamp: with its fraction. */
function cellsOf(data: ColumnData, inMicros: boolean): (row: number) => SeriesValue {
  const read = readerOf(data, inMicros);
  const { nulls } = data;
  return nulls === null ? read : (row) => (nulls[row] === 1 ? null : read(row));
}

function readerOf(data: ColumnData, inMicros: boolean): (row: number) => SeriesValue {
  switch (data.type) {
    case "double":
      return (row) => data.values[row]!;
    case "text":
      return (row) => data.dictionary[data.codes[row]!]!;
    case "date":
      return (row) => new Date(data.values[row]! * DAY_MS).toISOString().slice(0, DAY_LENGTH);
    case "instant":
      return (row) => stampOfMicros64(data.values[row]!, inMicros);
    case "int64":
      return (row) => {
        const value = data.values[row]!;
        const number = Number(value);
        return Number.isSafeInteger(number) ? number : String(value);
      };
  }
}

const DAY_MS = 86_400_000;
const DAY_LENGTH = "2024-01-02".length;
const MICROS_PER_SECOND = 1_000_000n;

/** `YYYY-MM-DD HH:MM:SS.ffffff`, or without the fraction. */
function stampOfMicros64(micros: bigint, inMicros: boolean): string {
  const fraction = ((micros % MICROS_PER_SECOND) + MICROS_PER_SECOND) % MICROS_PER_SECOND;
  const iso = new Date(Number((micros - fraction) / 1_000n)).toISOString();
  const second = `${iso.slice(0, DAY_LENGTH)} ${iso.slice(11, 19)}`;
  return inMicros ? `${second}.${String(fraction).padStart(6, "0")}` : second;
}
