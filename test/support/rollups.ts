/** What roll-ups must be: that of the stored trades. */
import { expect } from "bun:test";
import { BarBuilder } from "../../src/analysis/bar-builder.ts";
import { openGrid } from "../../src/calendar/open-grid.ts";
import { parseTimeframe } from "../../src/calendar/timeframe.ts";
import { microsOfStamp, stampOfMicros } from "../../src/market/stamp-micros.ts";
import { seriesOf } from "../../src/rollups/rules.ts";
import type { StockReader } from "../../src/storage/contract.ts";
import { type Row, rowsOf } from "./answered.ts";
import type { RunningServer } from "./server.ts";

const WAIT_MAX_MS = 60_000;
const POLL_MS = 100;

/** Where stored rows are read. */
export interface StoredRows {
  trades(ticker: string): Promise<Row[]>;
  bars(ticker: string, interval: string): Promise<Row[]>;
}

export function rowsOfReader(reader: StockReader): StoredRows {
  const all = { from: null, to: null };
  return {
    trades: (ticker) => rowsOf(reader.rows({ kind: "ticks", ticker, part: "trade", ...all })),
    bars: (ticker, interval) => storedBars(reader, ticker, interval),
  };
}

export function rowsOfServer(server: Pick<RunningServer, "command">): StoredRows {
  const ask = async (command: string, params: Record<string, unknown>): Promise<Row[]> => {
    const { status, body } = await server.command<{ data: Row[] }>(command, params);
    if (status === 404) return [];
    expect({ command, status, body: status === 200 ? null : body }).toEqual({
      command,
      status: 200,
      body: null,
    });
    return body.data;
  };
  return {
    trades: (ticker) => ask("get_realtime_data", { ticker, data_type: "trade" }),
    bars: (ticker, interval) => ask("get_stock_data", { ticker, interval }),
  };
}

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);

/** The bars of a ticker, made at once of its stored trades. */
function barsOf(trades: Row[], interval: string): unknown[] {
  const builder = new BarBuilder(openGrid({ timeframe: parseTimeframe(interval) }));
  for (const { timestamp, price, size } of trades)
    builder.addTrade(
      microsOfStamp(String(timestamp)),
      (price ?? Number.NaN) as number,
      (size ?? Number.NaN) as number,
    );
  builder.close();
  const bars = builder.take();
  return Array.from({ length: bars.rows }, (_, row) => {
    const bar = bars.at(row);
    const prices = [bar.open, bar.high, bar.low, bar.close, bar.volume].map(finite);
    const more = interval === "1hour" ? [] : [finite(bar.vwap), bar.count];
    return [stampOfMicros(bar.start).slice(0, 19), ...prices, ...more];
  });
}

function shown(row: Row, interval: string): unknown[] {
  const names = [
    "open",
    "high",
    "low",
    "close",
    "volume",
    ...(interval === "1hour" ? [] : ["vwap", "trade_count"]),
  ];
  const stamp = String(row.datetime).replace("T", " ").slice(0, 19);
  return [stamp, ...names.map((name) => row[name] ?? null)];
}

/** Bars of a length that are stored, whoever made them. */
export async function storedBars(reader: StockReader, ticker: string, interval: string): Promise<Row[]> {
  const { kind, part } = seriesOf(interval);
  return rowsOf(reader.rows({ kind, part, ticker, from: null, to: null, withExtra: true }));
}

/**
 * Of each ticker and length: the stored bars are those of its trades, or become so. Nobody saves
 * trades any more.
 */
export async function becomeRight(
  rows: StoredRows,
  tickers: readonly string[],
  intervals: readonly string[],
): Promise<void> {
  const deadline = performance.now() + WAIT_MAX_MS;
  const expected: ExpectedBars[] = [];
  for (const ticker of tickers) {
    const trades = await rows.trades(ticker);
    for (const interval of intervals) expected.push({ ticker, interval, bars: barsOf(trades, interval) });
  }
  for (;;) {
    const wrong = await firstWrong(rows, expected);
    if (wrong === null) return;
    // What differs takes long to work out, so only who has waited in vain is told.
    if (performance.now() > deadline) expect(wrong.found).toEqual(wrong.expected);
    await Bun.sleep(POLL_MS);
  }
}

interface ExpectedBars {
  ticker: string;
  interval: string;
  bars: unknown[];
}

async function firstWrong(
  rows: StoredRows,
  series: readonly ExpectedBars[],
): Promise<{ found: ExpectedBars; expected: ExpectedBars } | null> {
  for (const expected of series) {
    const { ticker, interval } = expected;
    const stored = await rows.bars(ticker, interval);
    const found = { ticker, interval, bars: stored.map((row) => shown(row, interval)) };
    if (!Bun.deepEquals(found, expected)) return { found, expected };
  }
  return null;
}
