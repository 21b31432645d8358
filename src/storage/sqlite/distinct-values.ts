/**
 * Tickers and types, from one to the next by the key, however many rows each has. Text only: no
 * command reads a row of another key.
 */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import type { RowKind } from "../contract.ts";
import { ROW_TABLES } from "../tables.ts";

type Params = SQLQueryBindings[];

/** The next tickers of a table that is there. */
export function storedTickers(db: Database, kind: RowKind, after: string | null, limit: number): string[] {
  const next = (after: string): string =>
    `SELECT min(ticker) FROM ${ROW_TABLES[kind].name} WHERE ticker > ${after} AND ticker < x''`;
  return distinct(db, next, [after ?? "", limit]);
}

/** Of the table of ticks, which is there. */
export function storedTickTypes(db: Database, ticker: string): string[] {
  const next = (after: string): string =>
    `SELECT min(type) FROM realtime_data WHERE ticker = ?3 AND type > ${after} AND type < x''`;
  const typed = distinct(db, next, ["", -1, ticker]);
  const untyped = db.query("SELECT 1 FROM realtime_data WHERE ticker = ? AND type = '' LIMIT 1");
  return untyped.get(ticker) === null ? typed : ["", ...typed];
}

function distinct(db: Database, next: (after: string) => string, params: Params): string[] {
  const statement = db.query<{ value: string }, Params>(
    `WITH RECURSIVE found(value) AS (${next("?1")} UNION ALL
       SELECT (${next("found.value")}) FROM found WHERE value IS NOT NULL)
     SELECT value FROM found WHERE value IS NOT NULL LIMIT ?2`,
  );
  return statement.all(...params).map((row) => row.value);
}
