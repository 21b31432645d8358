/**
 * Partial bars of ticks, made by DuckDB: to hand over millions of ticks takes many times as long as
 * to make their bars.
 */
import { DuckDBBigIntVector, type DuckDBDataChunk } from "@duckdb/node-api";
import { Dictionary } from "../column-values.ts";
import { FINE_BEFORE_MICROS, PART_DOUBLES, type PartDouble } from "../model/bar-parts.ts";
import type { BarParts, ColumnBatch, ColumnData } from "../model/columns.ts";
import type { StoredColumns } from "./stored-columns.ts";
import { memoryOf, validBits } from "./vectors.ts";

/** Rows that share a stamp are told apart by a `seq` up to here; beyond, DuckDB makes no parts. */
const PART_SEQ_MAX = 2 ** 33 - 1;

/** The ticks that parts are made of. */
export interface PartSource {
  /** SQL of the rows, each with a `seq`, and of their stamp. */
  source: string;
  at: string;
  columns: StoredColumns;
}

/** What a look at the ticks has found. */
export interface PartLook {
  ticks: number;
  /** Some have no price. */
  hasUnpriced: boolean;
  /** Some are from before parts are long. */
  hasEarly: boolean;
  /** Some may share a stamp. */
  hasSeqs: boolean;
}

/** Whether sums of the sizes are exact, or as good as in order. */
export function canSum(columns: StoredColumns): boolean {
  const size = columns.get("size");
  return size === undefined || /^(BIGINT|INTEGER|SMALLINT|TINYINT|DOUBLE|FLOAT)$/.test(size);
}

/** One row, for `readLook`. */
export function lookSql({ price }: BarParts, of: PartSource): string {
  return `SELECT count(*), min(seq), max(seq), epoch_us(min(stamp)), count(*) FILTER (${PRICED[price]})
    FROM (${ticksSql(of)})`;
}

/** @returns null: DuckDB makes no parts of such ticks. */
export function readLook(row: readonly unknown[]): PartLook | null {
  const [ticks, least, greatest, first, priced] = row as (bigint | null)[];
  if (least == null || greatest == null || least < 0n || greatest > PART_SEQ_MAX) return null;
  return {
    ticks: Number(ticks),
    hasUnpriced: priced !== ticks,
    hasEarly: Number(first) < FINE_BEFORE_MICROS,
    hasSeqs: greatest > 0n,
  };
}

/** NaN is greater than any number here, and no mid is finite of it. */
const PRICED: Record<BarParts["price"], string> = {
  trade: "isfinite(bid)",
  bid: "bid > 0 AND isfinite(bid)",
  ask: "ask > 0 AND isfinite(ask)",
  mid: "bid > 0 AND bid <= ask AND isfinite(bid + ask)",
};
const PRICE = { trade: "bid", bid: "bid", ask: "ask", mid: "(bid + ask) / 2" } as const;
/** Infinite sides are there, and give no price. */
const isThere = (side: string): string => `(${side} > 0 AND NOT isnan(${side}))`;
const BOTH_THERE = `(${isThere("bid")} AND ${isThere("ask")})`;
const THERE = { trade: "true", bid: isThere("bid"), ask: isThere("ask"), mid: BOTH_THERE } as const;
const NAN = "'NaN'::DOUBLE";

/**
 * One row for each part: the ticker, the number of all parts, `PART_DOUBLES` and, of trades, the
 * volume, which is null where a size is missing. Ticks without a price are parts of their own, so
 * that the others need fewer sums.
 */
export function partsSql({ micros, price }: BarParts, of: PartSource, look: PartLook): string {
  const start = look.hasEarly
    ? `CASE WHEN us < ${FINE_BEFORE_MICROS} THEN us ELSE us - us % ${micros} END`
    : `us // ${micros}`;
  const within = `us - CASE WHEN us < ${FINE_BEFORE_MICROS} THEN us ELSE us - us % ${micros} END`;
  const place = look.hasSeqs ? `(${within}) * ${PART_SEQ_MAX + 1} + seq` : "us";
  const priced = partSql(price, of.columns, {
    ...{ at: "min(us)", ticks: "count(*)", oneSided: "0", crossed: "0", priced: "count(*)" },
    ...{ first: "min(us)", last: "max(us)", high: "max(p)", low: "min(p)" },
    ...{ open: `arg_min(p, ${place})`, close: `arg_max(p, ${place})` },
  });
  const unpriced = partSql(null, of.columns, {
    ...{ at: "min(us)", ticks: "count(*)", priced: "0", first: NAN, last: NAN },
    oneSided: `count(*) FILTER (${THERE[price]} IS NOT TRUE)`,
    crossed: price === "mid" ? `count(*) FILTER (${BOTH_THERE} AND bid > ask)` : "0",
    ...{ open: NAN, high: NAN, low: NAN, close: NAN },
  });
  const all = `SELECT *, epoch_us(stamp) AS us, ${PRICE[price]} AS p FROM (${ticksSql(of)})`;
  const parts = [
    `SELECT ${priced} FROM (${all}) WHERE ${PRICED[price]} GROUP BY ticker, ${start}`,
    ...(look.hasUnpriced
      ? [`SELECT ${unpriced} FROM (${all}) WHERE (${PRICED[price]}) IS NOT TRUE GROUP BY ticker, ${start}`]
      : []),
  ];
  const columns = [...PART_DOUBLES.map((name) => `"${name}"`), ...(price === "trade" ? ["volume"] : [])];
  return `SELECT ticker::VARCHAR, (count(*) OVER ())::DOUBLE, ${columns.join(", ")}
    FROM (${parts.join(" UNION ALL ")}) ORDER BY ticker, "at"`;
}

/** @param price null: its ticks have none. */
function partSql(
  price: BarParts["price"] | null,
  columns: StoredColumns,
  values: Omit<Record<PartDouble, string>, "notional">,
): string {
  const isWhole = /INT/.test(columns.get("size") ?? "BIGINT");
  const isComplete = "count(size) = count(*)";
  const sum = isWhole ? "sum(size)" : "fsum(size)";
  const notional = price === "trade" ? `CASE WHEN ${isComplete} THEN fsum(p * size) ELSE ${NAN} END` : NAN;
  const doubles = { ...values, notional };
  const volume = price === "trade" ? `CASE WHEN ${isComplete} THEN ${sum} END` : "NULL";
  return [
    "ticker",
    ...PART_DOUBLES.map((name) => `(${doubles[name]})::DOUBLE AS "${name}"`),
    `(${volume})::${isWhole ? "BIGINT" : "DOUBLE"} AS volume`,
  ].join(", ");
}

function ticksSql({ source, at, columns }: PartSource): string {
  const double = (name: string): string => (columns.has(name) ? `${name}::DOUBLE` : "NULL::DOUBLE");
  const size = columns.has("size") ? "size" : "NULL::BIGINT";
  return `SELECT ticker, ${at}::TIMESTAMP AS stamp, seq, ${double("price")} AS bid,
    ${double("ask_price")} AS ask, ${size} AS size FROM ${source}`;
}

/** So many parts there are, as a chunk of them tells. */
export function partsIn(chunk: DuckDBDataChunk): number {
  return memoryOf<Float64Array>(chunk.getColumnVector(1)).items[0]!;
}

export function batchOfParts(chunk: DuckDBDataChunk): ColumnBatch {
  const rows = chunk.rowCount;
  const tickers = new Dictionary(rows);
  const names = chunk.getColumnVector(0);
  for (let row = 0; row < rows; row++) tickers.set(row, String(names.getItem(row)));
  const data = new Map<string, ColumnData>([["ticker", { ...tickers.data, nulls: null }]]);
  for (const [index, name] of PART_DOUBLES.entries()) {
    const { items } = memoryOf<Float64Array>(chunk.getColumnVector(index + 2));
    data.set(name, { type: "double", values: items.slice(0, rows), nulls: null });
  }
  const at = PART_DOUBLES.length + 2;
  if (chunk.columnCount > at) data.set("volume", volumeOf(chunk, at));
  return { rows, columns: data };
}

function volumeOf(chunk: DuckDBDataChunk, at: number): ColumnData {
  const rows = chunk.rowCount;
  const vector = chunk.getColumnVector(at);
  const bits = validBits(vector);
  const nulls =
    bits === null
      ? null
      : Uint8Array.from({ length: rows }, (_, i) => ((bits[i >>> 5]! >>> (i & 31)) & 1 ? 0 : 1));
  return vector instanceof DuckDBBigIntVector
    ? { type: "int64", values: memoryOf<BigInt64Array>(vector).items.slice(0, rows), nulls }
    : { type: "double", values: memoryOf<Float64Array>(vector).items.slice(0, rows), nulls };
}
