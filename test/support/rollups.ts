/** Roll-ups over a database without a server, and what they must be. */
import { expect } from "bun:test";
import { BarBuilder } from "../../src/analysis/bar-builder.ts";
import { openGrid } from "../../src/calendar/open-grid.ts";
import { parseTimeframe } from "../../src/calendar/timeframe.ts";
import { microsOfStamp, stampOfMicros } from "../../src/market/stamp-micros.ts";
import { seriesOf } from "../../src/rollups/rules.ts";
import type { StockReader } from "../../src/storage/contract.ts";
import { type Row, rowsOf } from "./answered.ts";

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);

/** The bars of a ticker, made at once of its stored trades. */
async function expectedBars(reader: StockReader, ticker: string, interval: string): Promise<unknown[]> {
  const range = { kind: "ticks", ticker, part: "trade", from: null, to: null } as const;
  const trades = await rowsOf(reader.rows(range));
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

/** Of each ticker and length: the stored bars that a roll-up made, and those that it should have. */
export async function expectRollups(
  reader: StockReader,
  tickers: readonly string[],
  intervals: readonly string[],
): Promise<void> {
  for (const ticker of tickers) {
    for (const interval of intervals) {
      const stored = await storedBars(reader, ticker, interval);
      const expected = await expectedBars(reader, ticker, interval);
      expect({ ticker, interval, bars: stored.map((row) => shown(row, interval)) }).toEqual({
        ticker,
        interval,
        bars: expected as unknown[][],
      });
    }
  }
}
