/** Tickers and types that are stored. */
import type { RowKind } from "../contract.ts";
import { storable } from "./lines.ts";
import type { Param } from "./session.ts";

type Rows = (sql: string, params: Param[]) => Promise<unknown[][]>;

const TABLES: Record<RowKind, string> = {
  daily: "daily_prices",
  hourly: "hourly_prices",
  ticks: "realtime_data",
};

/** The next tickers of a table that is there. */
export async function storedTickers(
  rows: Rows,
  kind: RowKind,
  after: string | null,
  limit: number,
): Promise<string[]> {
  const [beyond, params] = after === null ? ["IS NOT NULL", []] : ["> $1", [storable(after)]];
  const found = await rows(
    `SELECT DISTINCT ticker FROM ${TABLES[kind]} WHERE ticker ${beyond} ORDER BY ticker LIMIT ${limit}`,
    params,
  );
  return found.map(([ticker]) => String(ticker));
}

/** Of the table of ticks, which is there. */
export async function storedTickTypes(rows: Rows, ticker: string): Promise<string[]> {
  const found = await rows(
    "SELECT DISTINCT type FROM realtime_data WHERE ticker = $1 AND type IS NOT NULL ORDER BY type",
    [storable(ticker)],
  );
  return found.map(([type]) => String(type));
}
