import { type KindName, kindOf, type RowKind } from "../model/kinds.ts";
import { storable } from "./lines.ts";
import type { Param } from "./session.ts";

type Rows = (sql: string, params: Param[]) => Promise<unknown[][]>;

/** The columns that name a series, quoted: `interval` is a word of SQL. */
export function seriesSql({ part }: RowKind): string[] {
  return part === null ? ["ticker"] : ["ticker", `"${part}"`];
}

/** The table must exist. */
export async function storedTickers(
  rows: Rows,
  kind: KindName,
  after: string | null,
  limit: number,
): Promise<string[]> {
  const [beyond, params] = after === null ? ["IS NOT NULL", []] : ["> $1", [storable(after)]];
  const found = await rows(
    `SELECT DISTINCT ticker FROM ${kindOf(kind).table} WHERE ticker ${beyond} ORDER BY ticker LIMIT ${limit}`,
    params,
  );
  return found.map(([ticker]) => String(ticker));
}

/** The table must exist. A kind without parts has none. */
export async function storedParts(rows: Rows, kind: KindName, ticker: string): Promise<string[]> {
  const { table, part } = kindOf(kind);
  if (part === null) return [];
  const found = await rows(
    `SELECT DISTINCT "${part}" FROM ${table} WHERE ticker = $1 AND "${part}" IS NOT NULL ORDER BY "${part}"`,
    [storable(ticker)],
  );
  return found.map(([name]) => String(name));
}
