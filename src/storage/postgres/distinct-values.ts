/** Tickers and types, from one to the next by the key, however many rows each has. */
import type { RowKind } from "../contract.ts";
import { ROW_TABLES } from "../tables.ts";

type Run = <T>(sql: string, params: string[]) => Promise<T[]>;

/** The next tickers of a table that is there. */
export function storedTickers(
  run: Run,
  kind: RowKind,
  after: string | null,
  limit: number,
): Promise<string[]> {
  return distinct(run, {
    table: ROW_TABLES[kind].name,
    column: "ticker",
    where: "true",
    params: [],
    after,
    limit,
  });
}

/** Of the table of ticks, which is there. */
export function storedTickTypes(run: Run, ticker: string): Promise<string[]> {
  const where = "t.ticker = $1";
  return distinct(run, {
    table: ROW_TABLES.ticks.name,
    column: "type",
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
