/**
 * Finds tickers and parts by jumping from one key to the next, however many rows each has. It skips
 * keys that aren't text, since no command reads their rows.
 */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import { type KindName, kindOf } from "../model/kinds.ts";

type Params = SQLQueryBindings[];

/** The table must be there. */
export function storedTickers(db: Database, kind: KindName, after: string | null, limit: number): string[] {
  const next = (after: string): string =>
    `SELECT min(ticker) FROM ${kindOf(kind).table} WHERE ticker > ${after} AND ticker < x''`;
  return distinct(db, next, [after ?? "", limit]);
}

/** The table must be there. Empty where the kind has no parts. */
export function storedParts(db: Database, kind: KindName, ticker: string): string[] {
  return nextParts(db, kind, ticker, null, -1);
}

/** @param after null: from the first on. @param limit those, or one more; -1 is none. */
export function nextParts(
  db: Database,
  kind: KindName,
  ticker: string,
  after: string | null,
  limit: number,
): string[] {
  const { table, part } = kindOf(kind);
  if (part === null) return [];
  const next = (after: string): string =>
    `SELECT min(${part}) FROM ${table} WHERE ticker = ?3 AND ${part} > ${after} AND ${part} < x''`;
  const named = distinct(db, next, [after ?? "", limit, ticker]);
  if (after !== null) return named;
  const unnamed = db.query(`SELECT 1 FROM ${table} WHERE ticker = ? AND ${part} = '' LIMIT 1`);
  return unnamed.get(ticker) === null ? named : ["", ...named];
}

function distinct(db: Database, next: (after: string) => string, params: Params): string[] {
  const statement = db.query<{ value: string }, Params>(
    `WITH RECURSIVE found(value) AS (${next("?1")} UNION ALL
       SELECT (${next("found.value")}) FROM found WHERE value IS NOT NULL)
     SELECT value FROM found WHERE value IS NOT NULL LIMIT ?2`,
  );
  return statement.all(...params).map((row) => row.value);
}
