/** Tickers and types that are stored. */
import type { RowKind } from "../contract.ts";
import { ROW_TABLES } from "../tables.ts";
import { storable } from "./lines.ts";
import type { Param } from "./session.ts";

type Rows = (sql: string, params: Param[]) => Promise<unknown[][]>;

/** The next tickers of a table that is there. */
export async function storedTickers(
  rows: Rows,
  kind: RowKind,
  after: string | null,
  limit: number,
): Promise<string[]> {
  const [beyond, params] = after === null ? ["IS NOT NULL", []] : ["> $1", [storable(after)]];
  const found = await rows(
    `SELECT DISTINCT ticker FROM ${ROW_TABLES[kind].name} WHERE ticker ${beyond} ORDER BY ticker LIMIT ${limit}`,
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
