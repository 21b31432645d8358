/** Snapshots: the parts of a flat row, each as a row of its table. */
import type { Bar, Quote, Trade } from "./generated/api.ts";

type Part<Row> = Omit<Row, "symbol"> | null;

export interface Snapshot {
  symbol: string;
  latestTrade: Part<Trade>;
  latestQuote: Part<Quote>;
  minuteBar: Part<Bar>;
  dailyBar: Part<Bar>;
  prevDailyBar: Part<Bar>;
}

const PARTS = {
  latestTrade: "latest_trade_",
  latestQuote: "latest_quote_",
  minuteBar: "minute_bar_",
  dailyBar: "daily_bar_",
  prevDailyBar: "prev_daily_bar_",
};

export function shapeSnapshot(row: Record<string, unknown>): Snapshot {
  const parts = Object.entries(PARTS).map(([part, prefix]) => {
    if (row[`${prefix}timestamp`] === null) return [part, null];
    const own = Object.entries(row).filter(([name]) => name.startsWith(prefix));
    return [part, Object.fromEntries(own.map(([name, value]) => [name.slice(prefix.length), value]))];
  });
  return { symbol: row.symbol, ...Object.fromEntries(parts) };
}
