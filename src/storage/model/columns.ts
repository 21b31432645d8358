/**
 * Rows as columns: how drivers give many rows, and take them, without an object for each.
 *
 * A batch holds some thousand rows of one series or of several, in order of ticker, part, stamp and
 * seq. Its arrays are the reader's own: whoever takes a batch may keep it.
 */
import { type KindName, kindOf, type SeriesRow, type SeriesValue } from "./kinds.ts";
import { dayText, Int64Reader, StampTexts } from "./stamp-text.ts";

/** 1 where the row has no value. Null: every row has one. */
type Nulls = Uint8Array | null;

export type ColumnArray = Float64Array | BigInt64Array | Int32Array;

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

export type TextColumn = ColumnData & { type: "text" };

export interface ColumnBatch {
  rows: number;
  /**
   * By name, in the order asked for. A count is `int64` where every value of the batch is a whole
   * number of 64 bits, else `double` where every value is one exactly, else `text` with its digits.
   */
  columns: Map<string, ColumnData>;
}

/** Names a row, so that a walk can go on behind it. */
export interface RowKey {
  ticker: string;
  /** Null where the kind has no parts. */
  part: string | null;
  /** In the stored form of the kind's stamp. */
  stamp: string;
  /** Null where the kind has none. */
  seq: number | null;
}

/**
 * The positions of tickers in the snapshot of a walk: its rows have what the updates up to there
 * have stored, and nothing of later ones. Another server gives no snapshot of many series: there
 * the rows are at least so new, and may have something of later updates.
 */
export interface WalkPositions {
  epoch: string;
  /** Of the tickers asked for; those without updates are left out. */
  positions: Map<string, number>;
}

/** Partial bars: see bar-parts.ts. */
export interface BarParts {
  /** The length of a part, in µs. */
  micros: number;
  /** Which price of a tick counts: that of a trade, or of a quote as quote-prices.ts defines it. */
  price: "trade" | "mid" | "bid" | "ask";
}

export type WalkLine = "page" | "server";

export interface ColumnQuery {
  kind: KindName;
  /** Null: all. */
  tickers: readonly string[] | null;
  /** Null: all parts, or a kind without parts. */
  parts: readonly string[] | null;
  /** Inclusive, in the stored form of the kind's stamp; null is unbounded. */
  from: string | null;
  to: string | null;
  /**
   * Of stamp and `seq` within each series; series ascend anyway. Absent: ascending.
   */
  order?: "ascending" | "descending" | undefined;
  /** So many rows over all series, the first ones. Absent or null: all. */
  limit?: number | null | undefined;
  /** Only rows behind this one, in the order of the walk; it need not be stored any more. */
  after?: RowKey | null | undefined;
  /**
   * Names of columns of the kind: `ticker`, its part, its stamp, its values, `seq` where it has
   * one.
   */
  columns: readonly string[];
  /**
   * Of ticks of one type that are read for bars alone, in ascending order and without a limit: a
   * reader may give partial bars in their place, and then does so in every batch.
   */
  bars?: BarParts | undefined;
  /**
   * In which line a walk waits where many are under way. "page": its rows have a bound; "server":
   * it is the server's own; absent: an answer may take it as far as the table goes.
   */
  line?: WalkLine | undefined;
  /**
   * The rows are compared with positions that were read before: they must have nothing that no
   * reader of positions could see.
   */
  isCompared?: boolean | undefined;
  /** Called once, before the first batch or the end. */
  onPositions?: ((found: WalkPositions) => void) | undefined;
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
export function rowsOfBatch(name: KindName, batch: ColumnBatch): SeriesRow[] {
  const cells = cellReaders(name, batch);
  return Array.from({ length: batch.rows }, (_, row) => cells.map((cell) => cell(row)) as SeriesRow);
}

/** What gives the cells of a row, for each of `rowColumnNames`; null where there is no column. */
export function cellReaders(name: KindName, { columns }: ColumnBatch): ((row: number) => SeriesValue)[] {
  const { stamp, values } = kindOf(name);
  const counts = new Set(values.flatMap((value) => (value.type === "count" ? [value.name] : [])));
  return rowColumnNames(name).map((column) => {
    const data = columns.get(column);
    if (data === undefined) return () => null;
    const read = readerOf(data, column !== stamp.name || stamp.type === "instant");
    const exact = counts.has(column) && data.type !== "int64" ? (row: number) => countOf(read(row)!) : read;
    const { nulls } = data;
    return nulls === null ? exact : (row) => (nulls[row] === 1 ? null : exact(row));
  });
}

/** @param inMicros of a stamp: with its fraction. */
function readerOf(data: ColumnData, inMicros: boolean): (row: number) => SeriesValue {
  switch (data.type) {
    case "double":
      return (row) => data.values[row]!;
    case "text":
      return (row) => data.dictionary[data.codes[row]!]!;
    case "date":
      return (row) => dayText(data.values[row]!);
    case "instant": {
      const texts = new StampTexts(data.values, inMicros);
      return (row) => texts.at(row);
    }
    case "int64": {
      const reader = new Int64Reader(data.values);
      return (row) => {
        const value = reader.at(row);
        return typeof value === "bigint" ? digitsOf(value) : value;
      };
    }
  }
}

/** As an integer of 64 bits that a double doesn't hold is written: by its digits. */
function digitsOf(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

/** A count has one form, whatever the others of its batch are. */
function countOf(value: number | string): number | string {
  const number = Number(value);
  if (!Number.isInteger(number) || Number.isSafeInteger(number)) return number;
  const whole = BigInt(value);
  return BigInt.asIntN(64, whole) === whole ? String(whole) : number;
}
