/** What is newest of a ticker in one row: last trade and quote, bars of the minute and the day. */
import type { FormatColumn } from "../formats/format-columns.ts";
import type { JsonForm } from "../formats/json.ts";
import type { ColumnData } from "../storage/model/columns.ts";
import type { AnswerTable } from "./contract.ts";
import { memberOf } from "./json-forms.ts";
import { type NewestSeries, newestRows, tableOfRows } from "./newest-rows.ts";
import type { MarketSource } from "./questions.ts";

interface SnapshotPart extends NewestSeries {
  /** In JSON, as Alpaca's market data API has it. */
  key: string;
  /** Before the names of its columns. */
  prefix: string;
}

const DAILY = { table: "bars", kind: "daily", part: null } as const;

const PARTS: readonly SnapshotPart[] = [
  {
    ...{ key: "latestTrade", prefix: "latest_trade_", table: "trades", kind: "ticks" },
    ...{ part: "trade", back: 0 },
  },
  {
    ...{ key: "latestQuote", prefix: "latest_quote_", table: "quotes", kind: "ticks" },
    ...{ part: "quote", back: 0 },
  },
  {
    ...{ key: "minuteBar", prefix: "minute_bar_", table: "bars", kind: "interval" },
    ...{ part: "1min", back: 0 },
  },
  { key: "dailyBar", prefix: "daily_bar_", ...DAILY, back: 0 },
  { key: "prevDailyBar", prefix: "prev_daily_bar_", ...DAILY, back: 1 },
];

/** A row for each ticker that has any of it. Each part is read by itself. */
export async function snapshots(
  tickers: readonly string[],
  zone: string,
  source: MarketSource,
): Promise<{ answer: AnswerTable; missing: ReadonlySet<string> }> {
  const columns: FormatColumn[] = [{ name: "symbol", type: "name" }];
  const data = new Map<string, ColumnData>();
  const isFound = tickers.map(() => false);
  for (const part of PARTS) {
    const found = await newestRows(part, tickers, zone, source);
    for (const [row, isThere] of found.isFound.entries()) isFound[row] ||= isThere;
    data.set("symbol", found.batch.columns.get("symbol")!);
    for (const column of found.columns) {
      if (column.name === "symbol") continue;
      const name = part.prefix + column.name;
      columns.push({ ...column, name });
      data.set(name, found.batch.columns.get(column.name)!);
    }
  }
  return {
    answer: tableOfRows(columns, { rows: tickers.length, columns: data }, (row) => isFound[row]!),
    missing: new Set(tickers.filter((_, row) => !isFound[row])),
  };
}

export function snapshotJson(columns: readonly FormatColumn[], end: () => Record<string, unknown>): JsonForm {
  const members = PARTS.map(({ key, prefix, table }) => ({
    key,
    present: [`${prefix}timestamp`],
    members: columns
      .filter(({ name }) => name.startsWith(prefix))
      .map((column) => memberOf(table, column, column.name.slice(prefix.length))),
  }));
  return { member: "snapshots", group: "symbol", members, end, isSingle: true };
}
