/** Tickers and types, from one to the next by the key, however many rows each has. */

import { type KindName, kindOf } from "../model/kinds.ts";
import { columnSql } from "./sql-text.ts";

type Run = <T>(sql: string, params: string[]) => Promise<T[]>;

/** The next tickers of a table that is there. */
export function storedTickers(
  run: Run,
  kind: KindName,
  after: string | null,
  limit: number,
): Promise<string[]> {
  const { table } = kindOf(kind);
  return distinct(run, { table, column: "ticker", where: "true", params: [], after, limit });
}

/** The parts of a ticker in a table that is there; none where the kind has no parts. */
export async function storedParts(run: Run, kind: KindName, ticker: string): Promise<string[]> {
  const { table, part } = kindOf(kind);
  if (part === null) return [];
  const where = "t.ticker = $1";
  return distinct(run, {
    table,
    column: columnSql(part),
    where,
    params: [ticker],
    after: null,
    limit: null,
  });
}

interface Distinct {
  table: string;
  column: string;
  where: string;
  params: string[];
  after: string | null;
  limit: number | null;
}

async function distinct(
  run: Run,
  { table, column, where, params, after, limit }: Distinct,
): Promise<string[]> {
  const next = (beyond: string): string =>
    `SELECT t.${column} FROM ${table} t WHERE ${where}${beyond} ORDER BY t.${column} LIMIT 1`;
  const beyondAfter = after === null ? "" : ` AND t.${column} > $${params.length + 1}`;
  const rows = await run<{ value: string }>(
    `WITH RECURSIVE found(value) AS (
       (${next(beyondAfter)})
       UNION ALL
       SELECT (${next(` AND t.${column} > found.value`)}) FROM found WHERE found.value IS NOT NULL)
     SELECT value FROM found WHERE value IS NOT NULL${limit === null ? "" : ` LIMIT ${limit}`}`,
    after === null ? params : [...params, after],
  );
  return rows.map((row) => row.value);
}
