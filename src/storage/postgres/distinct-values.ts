/** Finds tickers and types. It steps from value to value by the key, however many rows each has. */

import { type KindName, kindOf } from "../model/kinds.ts";
import { columnSql } from "./sql-text.ts";

type Run = <T>(sql: string, params: string[]) => Promise<T[]>;

const FOUND = "SELECT value FROM found WHERE value IS NOT NULL";

export async function storedTickers(
  run: Run,
  kind: KindName,
  after: string | null,
  limit: number,
): Promise<string[]> {
  const values = distinctSql(kindOf(kind).table, "ticker", "true", after === null ? "true" : "t.ticker > $1");
  const sql = `${values} ${FOUND} LIMIT ${limit}`;
  const rows = await run<{ value: string }>(sql, after === null ? [] : [after]);
  return rows.map(({ value }) => value);
}

export async function storedParts(run: Run, kind: KindName, ticker: string): Promise<string[]> {
  const { table, part } = kindOf(kind);
  if (part === null) return [];
  const sql = `${distinctSql(table, columnSql(part), "t.ticker = $1")} ${FOUND}`;
  return (await run<{ value: string }>(sql, [ticker])).map(({ value }) => value);
}

/**
 * Writes a WITH that finds each value of a column as `found.value`; the last one is null.
 * @param where a condition on the table `t`. @param first a condition on the first value.
 */
export function distinctSql(table: string, column: string, where: string, first = "true"): string {
  const next = (which: string): string =>
    `SELECT t.${column} FROM ${table} t WHERE ${where} AND ${which} ORDER BY t.${column} LIMIT 1`;
  return `WITH RECURSIVE found(value) AS ((${next(first)}) UNION ALL
    SELECT (${next(`t.${column} > found.value`)}) FROM found WHERE found.value IS NOT NULL)`;
}
