/**
 * The rows of the scenario `questions`, as saves of columns and as the SQL that makes the same ones
 * in DuckDB. Prices are whole numbers of 64ths, so that sums are exact in any order.
 */
import type { ColumnSave } from "../src/storage/contract.ts";
import type { ColumnBatch, ColumnData } from "../src/storage/model/columns.ts";

/** Trades and quotes of the first ten tickers are as many, so that they can be joined. */
const TICKS_EACH = 25_000;
const QUOTES_OF_OTHERS = 22_778;
const JOINED_TICKERS = 10;
const TRADE_TICKERS = 40;
const QUOTE_TICKERS = 100;
const BAR_TICKERS = 500;
const FIRST_US = Date.UTC(2024, 0, 2, 14, 30) * 1_000;
/** So that the ticks of a ticker fill a session of 6.5 hours. */
const STEP_US = 936_000;
const TRADES_BEHIND_US = 500_000;
const FIRST_DAY = Date.UTC(2000, 0, 3) / 86_400_000;

export const TRADES = TRADE_TICKERS * TICKS_EACH;
export const QUOTES = JOINED_TICKERS * TICKS_EACH + (QUOTE_TICKERS - JOINED_TICKERS) * QUOTES_OF_OTHERS;
export const JOINED_TRADES = JOINED_TICKERS * TICKS_EACH;
export const TRADED = Array.from({ length: TRADE_TICKERS }, (_, k) => tickerName(k));
export const JOINED = TRADED.slice(0, JOINED_TICKERS);

/** How many closes a ticker has. */
export type BarDays = 5_000 | 1_000;

export function barRows(days: BarDays): number {
  return BAR_TICKERS * days;
}

/** Of the trades of `JOINED`. */
export function joinedPrices(): number {
  let sum = 0;
  for (let k = 0; k < JOINED_TICKERS; k++) for (let i = 0; i < TICKS_EACH; i++) sum += tradePrice(k, i);
  return sum;
}

/** By kind, in the order of tickers, a save for each. */
export function* questionSaves(days: BarDays): Generator<ColumnSave> {
  for (let k = 0; k < TRADE_TICKERS; k++)
    yield { kind: "ticks", ticker: tickerName(k), part: "trade", onDuplicate: "append", batch: trades(k) };
  for (let k = 0; k < QUOTE_TICKERS; k++)
    yield { kind: "ticks", ticker: tickerName(k), part: "quote", onDuplicate: "append", batch: quotes(k) };
  for (let k = 0; k < BAR_TICKERS; k++)
    yield { kind: "daily", ticker: barName(k), part: null, onDuplicate: "replace", batch: bars(k, days) };
}

/** The same rows, by DuckDB's functions. */
export const TRADES_SQL = `
  select 'T' || lpad(k::varchar, 3, '0') as ticker,
    make_timestamp(${FIRST_US + TRADES_BEHIND_US} + k + i * ${STEP_US}) as timestamp,
    100 + ((i + 31 * k) % 997) / 8.0::double as price,
    case when i % 10 = 0 then null else i % 900 end as size
  from range(${TRADE_TICKERS}) a(k), range(${TICKS_EACH}) b(i)`;
export const QUOTES_SQL = `
  select 'T' || lpad(k::varchar, 3, '0') as ticker,
    make_timestamp(${FIRST_US} + k + i * ${STEP_US}) as timestamp,
    100 + ((7 * i + 31 * k) % 997) / 8.0::double as bid_price, i % 900 as bid_size,
    100.125 + ((7 * i + 31 * k) % 997) / 8.0::double as ask_price, i % 77 as ask_size
  from range(${QUOTE_TICKERS}) a(k), range(${TICKS_EACH}) b(i)
  where k < ${JOINED_TICKERS} or i < ${QUOTES_OF_OTHERS}`;
export const JOINED_SQL = `ticker < '${tickerName(JOINED_TICKERS)}'`;

export function barsSql(days: BarDays): string {
  const open = "50 + ((13 * i + 7 * k) % 4001) / 64.0::double";
  return `
  select 'B' || lpad(k::varchar, 3, '0') as ticker, date '1970-01-01' + (${FIRST_DAY} + i)::int as date,
    ${open} as open, ${open} + 1 as high, ${open} - 1 as low, ${open} + 0.25 as close, 1000 + i as volume
  from range(${BAR_TICKERS}) a(k), range(${days}) b(i)`;
}

function tickerName(k: number): string {
  return `T${String(k).padStart(3, "0")}`;
}

function barName(k: number): string {
  return `B${String(k).padStart(3, "0")}`;
}

function tradePrice(k: number, i: number): number {
  return 100 + ((i + 31 * k) % 997) / 8;
}

function trades(k: number): ColumnBatch {
  const rows = TICKS_EACH;
  const nulls = Uint8Array.from({ length: rows }, (_, i) => (i % 10 === 0 ? 1 : 0));
  return batchOf(rows, [
    ["timestamp", stamps(rows, FIRST_US + TRADES_BEHIND_US + k)],
    ["price", doubles(rows, (i) => tradePrice(k, i))],
    ["size", { ...counts(rows, (i) => i % 900), nulls }],
    ["ask_price", { ...doubles(rows, () => 0), nulls: new Uint8Array(rows).fill(1) }],
    ["ask_size", { ...counts(rows, () => 0), nulls: new Uint8Array(rows).fill(1) }],
    ["seq", counts(rows, () => 0)],
  ]);
}

function quotes(k: number): ColumnBatch {
  const rows = k < JOINED_TICKERS ? TICKS_EACH : QUOTES_OF_OTHERS;
  const bid = (i: number): number => 100 + ((7 * i + 31 * k) % 997) / 8;
  return batchOf(rows, [
    ["timestamp", stamps(rows, FIRST_US + k)],
    ["price", doubles(rows, bid)],
    ["size", counts(rows, (i) => i % 900)],
    ["ask_price", doubles(rows, (i) => bid(i) + 0.125)],
    ["ask_size", counts(rows, (i) => i % 77)],
    ["seq", counts(rows, () => 0)],
  ]);
}

function bars(k: number, days: BarDays): ColumnBatch {
  const open = (i: number): number => 50 + ((13 * i + 7 * k) % 4_001) / 64;
  const dates = Int32Array.from({ length: days }, (_, i) => FIRST_DAY + i);
  return batchOf(days, [
    ["date", { type: "date", values: dates, nulls: null }],
    ["open", doubles(days, open)],
    ["high", doubles(days, (i) => open(i) + 1)],
    ["low", doubles(days, (i) => open(i) - 1)],
    ["close", doubles(days, (i) => open(i) + 0.25)],
    ["volume", counts(days, (i) => 1_000 + i)],
  ]);
}

function batchOf(rows: number, columns: [string, ColumnData][]): ColumnBatch {
  return { rows, columns: new Map(columns) };
}

function stamps(rows: number, first: number): ColumnData {
  const values = BigInt64Array.from({ length: rows }, (_, i) => BigInt(first + i * STEP_US));
  return { type: "instant", values, nulls: null };
}

function doubles(rows: number, value: (i: number) => number): ColumnData & { type: "double" } {
  return { type: "double", values: Float64Array.from({ length: rows }, (_, i) => value(i)), nulls: null };
}

function counts(rows: number, value: (i: number) => number): ColumnData & { type: "int64" } {
  const values = BigInt64Array.from({ length: rows }, (_, i) => BigInt(value(i)));
  return { type: "int64", values, nulls: null };
}
