/** What the walks of `columns` read: a million trades, closes of 500 tickers, quotes of 100. */
import { describeDatabase } from "../src/storage/engines.ts";
import type { ColumnQuery } from "../src/storage/model/columns.ts";
import type { BareWalks } from "./floors/bare-walks.ts";

export interface WalkedTable {
  what: string;
  rows: number;
  table: string;
  /** A row's `series` and `n` in it give its values, and the way in which rows are stored. */
  series: number;
  query: ColumnQuery;
  /** Of the rows of the query. */
  where: string;
}

const everything = { tickers: null, from: null, to: null };

export const WALKED: WalkedTable[] = [
  {
    what: "1,000,000 trades of 10 tickers",
    ...{ rows: 1_000_000, series: 10, table: "realtime_data", where: "type = 'trade'" },
    query: {
      ...{ kind: "ticks", ...everything, parts: ["trade"] },
      columns: ["ticker", "timestamp", "price", "size"],
    },
  },
  {
    what: "2,500,000 daily closes of 500 tickers",
    ...{ rows: 2_500_000, series: 500, table: "daily_prices", where: "true" },
    query: { kind: "daily", ...everything, parts: null, columns: ["ticker", "date", "close"] },
  },
  {
    what: "2,300,000 quotes of 100 tickers",
    ...{ rows: 2_300_000, series: 100, table: "realtime_data", where: "type = 'quote'" },
    query: {
      ...{ kind: "ticks", ...everything, parts: ["quote"] },
      columns: ["ticker", "timestamp", "price", "size", "ask_price", "ask_size"],
    },
  },
];

/** Makes the server's tables, and fills them by the engine's own SQL. */
export async function fillTables(location: string, bare: BareWalks): Promise<void> {
  const database = await describeDatabase(location).engine.open!({ dbFile: location, durability: "normal" });
  await database.close();
  await bare.fill(location, WALKED);
}
