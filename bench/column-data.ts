/** The ticks of the scenario `columns`: ten tickers, in batches, as the columns of a save. */
import type { ColumnBatch, ColumnData } from "../src/storage/model/columns.ts";
import { StampTexts } from "../src/storage/model/stamp-text.ts";

export const TICKS = 1_000_000;
const BATCH_ROWS = 20_000;
const TICKERS = 10;
const FIRST_US = BigInt(Date.UTC(2024, 0, 2, 10)) * 1_000n;
const STEP_US = 1_037n;
/** A quarter, and the last stamp of them. */
export const TICKS_ANSWERED = TICKS / 4;
const LAST_US = FIRST_US + BigInt(TICKS_ANSWERED / TICKERS - 1) * STEP_US;
export const TICK_ANSWER_END = String(LAST_US);

export interface TickBatch {
  ticker: string;
  batch: ColumnBatch;
  /** The same, for drivers that take them. */
  stamps: BigInt64Array;
  stampTexts: string[];
  prices: Float64Array;
  sizes: BigInt64Array;
  sizeNulls: Uint8Array;
}

export function tickBatches(): TickBatch[] {
  return Array.from({ length: TICKS / BATCH_ROWS }, (_, n) => tickBatch(n));
}

function tickBatch(n: number): TickBatch {
  const first = Math.floor(n / TICKERS) * BATCH_ROWS;
  const rows = Array.from({ length: BATCH_ROWS }, (_, i) => first + i);
  const stamps = BigInt64Array.from(rows, (row) => FIRST_US + BigInt(row) * STEP_US);
  const prices = Float64Array.from(rows, (row) => 100 + (row % 997) / 8);
  const sizes = BigInt64Array.from(rows, (row) => BigInt(row % 900));
  const sizeNulls = Uint8Array.from(rows, (row) => (row % 10 === 0 ? 1 : 0));
  const none = new Uint8Array(BATCH_ROWS).fill(1);
  const texts = new StampTexts(stamps, true);
  const columns: [string, ColumnData][] = [
    ["timestamp", { type: "instant", values: stamps, nulls: null }],
    ["price", { type: "double", values: prices, nulls: null }],
    ["size", { type: "int64", values: sizes, nulls: sizeNulls }],
    ["ask_price", { type: "double", values: new Float64Array(BATCH_ROWS), nulls: none }],
    ["ask_size", { type: "int64", values: new BigInt64Array(BATCH_ROWS), nulls: none }],
    ["seq", { type: "int64", values: new BigInt64Array(BATCH_ROWS), nulls: null }],
  ];
  return {
    ticker: `T${n % TICKERS}`,
    batch: { rows: BATCH_ROWS, columns: new Map(columns) },
    stamps,
    stampTexts: rows.map((_, i) => texts.at(i)),
    prices,
    sizes,
    sizeNulls,
  };
}
