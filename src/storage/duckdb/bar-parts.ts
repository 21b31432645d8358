/**
 * Partial bars of ticks, made by DuckDB: to hand over millions of ticks takes many times as long as
 * to make their bars.
 */
import { DuckDBBigIntVector, type DuckDBDataChunk } from "@duckdb/node-api";
import { Dictionary } from "../column-values.ts";
import { type BarParts, FINE_BEFORE_MICROS, PART_DOUBLES, type PartDouble } from "../model/bar-parts.ts";
import type { ColumnBatch, ColumnData } from "../model/columns.ts";
import type { StoredColumns } from "./stored-columns.ts";
import { memoryOf, validBits } from "./vectors.ts";

/** Rows that share a stamp are told apart by a `seq` up to here; beyond, DuckDB makes no parts. */
export const PART_SEQ_MAX = 2 ** 33 - 1;

/** Whether sums of the sizes are exact, or as good as in order. */
export function canSum(columns: StoredColumns): boolean {
  const size = columns.get("size");
  return size === undefined || /^(BIGINT|INTEGER|SMALLINT|TINYINT|DOUBLE|FLOAT)$/.test(size);
}

const isWhole = (columns: StoredColumns): boolean => /INT/.test(columns.get("size") ?? "BIGINT");

/**
 * One row for each part: the ticker, the number of all parts, `PART_DOUBLES` and, of trades, the
 * volume, which is null where a size is missing.
 *
 * @param source the ticks, each with a `seq`. @param at their stamp.
 */
export function partsSql(
  { micros, price }: BarParts,
  { source, at, columns }: { source: string; at: string; columns: StoredColumns },
): string {
  const double = (name: string): string => (columns.has(name) ? `${name}::DOUBLE` : "NULL::DOUBLE");
  // Of two NaN and a number, DuckDB takes NaN for the greatest.
  const side = (name: string): string => `CASE WHEN isfinite(${name}) AND ${name} > 0 THEN ${name} END`;
  const size = columns.has("size") ? "size" : "NULL::BIGINT";
  const ticks = `SELECT ticker, epoch_us(${at}::TIMESTAMP) AS us, seq, ${double("price")} AS bid,
    ${double("ask_price")} AS ask, ${size} AS size FROM ${source}`;
  const isTrade = price === "trade";
  const priced = {
    trade: "CASE WHEN isfinite(bid) THEN bid END",
    bid: side("bid"),
    ask: side("ask"),
    mid: `CASE WHEN ${side("bid")} <= ${side("ask")} THEN (bid + ask) / 2 END`,
  }[price];
  // Infinite sides are there, and give no price.
  const isThere = (name: string): string => `(${name} > 0 AND NOT isnan(${name}))`;
  const bothThere = `(${isThere("bid")} AND ${isThere("ask")})`;
  const lacking = { trade: "false", bid: isThere("bid"), ask: isThere("ask"), mid: bothThere }[price];
  const oneSided = isTrade ? "0" : `count(*) FILTER ((${lacking}) IS NOT TRUE)`;
  const crossed = price === "mid" ? `count(*) FILTER (${bothThere} AND bid > ask)` : "0";
  const counted = "FILTER (p IS NOT NULL)";
  const sum = isWhole(columns) ? "sum(size)" : "fsum(size)";
  const isComplete = `count(size) ${counted} = count(p)`;
  const values: Record<PartDouble, string> = {
    at: "min(us)",
    ticks: "count(*)",
    ...{ oneSided, crossed },
    priced: "count(p)",
    first: `min(us) ${counted}`,
    last: `max(us) ${counted}`,
    open: "arg_min(p, place)",
    high: "max(p)",
    low: "min(p)",
    close: "arg_max(p, place)",
    notional: isTrade
      ? `CASE WHEN ${isComplete} THEN fsum(p * size) ELSE 'NaN'::DOUBLE END`
      : "'NaN'::DOUBLE",
  };
  const volume = isTrade
    ? [`(CASE WHEN ${isComplete} THEN ${sum} ${counted} END)::${isWhole(columns) ? "BIGINT" : "DOUBLE"}`]
    : [];
  const selected = [...PART_DOUBLES.map((name) => `(${values[name]})::DOUBLE`), ...volume];
  const start = `CASE WHEN us < ${FINE_BEFORE_MICROS} THEN us ELSE us - us % ${micros} END`;
  return `SELECT ticker::VARCHAR, (count(*) OVER ())::DOUBLE, ${selected.join(", ")}
    FROM (SELECT *, ${priced} AS p, ${start} AS start,
      (us - ${start}) * ${PART_SEQ_MAX + 1} + seq AS place FROM (${ticks}))
    GROUP BY ticker, start ORDER BY ticker, min(us)`;
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
