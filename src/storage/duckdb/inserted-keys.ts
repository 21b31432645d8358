/** Does for users' rows what an index and a default would: no key twice, and a write timestamp. */
import { badRequest } from "../../protocol/errors.ts";
import { KIND_NAMES, kindOf, type RowKind } from "../model/kinds.ts";
import { seriesSql } from "./distinct-values.ts";
import type { Session } from "./session.ts";

/** DuckDB numbers the uncommitted rows of a transaction from here. */
const FIRST_UNCOMMITTED_ROWID = 36_028_797_018_960_000n;

/** Columns of the keys, by table; quoted where needed. */
const KEYS = new Map(KIND_NAMES.map((name) => [kindOf(name).table, keySql(kindOf(name))]));
export const KEYED_TABLES: readonly string[] = [...KEYS.keys()];

function keySql(kind: RowKind): string[] {
  return [...seriesSql(kind), kind.stamp.name, ...(kind.hasSeq ? ["seq"] : [])];
}

/** Fills `write_timestamp` in rows of users, as the column has no default: see schema.ts. */
export async function stampInserted(session: Session, table: string): Promise<void> {
  await session.run(
    `UPDATE ${table} SET write_timestamp = now()::TIMESTAMP WHERE rowid >= ${FIRST_UNCOMMITTED_ROWID} AND write_timestamp IS NULL`,
  );
}

/**
 * Checks the rows that the session's transaction has added.
 *
 * @throws RequestError 400 names the first key that is there twice.
 */
export async function refuseTakenKeys(session: Session, table: string): Promise<void> {
  const key = KEYS.get(table)!;
  const same = key.map((column) => `mine.${column} = other.${column}`).join(" AND ");
  const taken = await session.rows(
    `SELECT ${key.map((column) => `mine.${column}::VARCHAR`).join(", ")} FROM ${table} mine
     JOIN ${table} other ON ${same} AND mine.rowid <> other.rowid
     WHERE mine.rowid >= ${FIRST_UNCOMMITTED_ROWID} LIMIT 1`,
  );
  if (taken[0] !== undefined) throw takenKey(table, taken[0]);
}

/** Changes only with the keys. Takes about 0.3 s for ten million. */
export function keyDigest(session: Session, table: string): Promise<string> {
  return digestOf(session, table, KEYS.get(table)!.join(", "));
}

/** @param columns to hash; `t`: all of them. */
export async function digestOf(session: Session, table: string, columns: string): Promise<string> {
  const hash = `hash(${columns})`;
  const rows = await session.rows(`SELECT count(*), bit_xor(${hash}), sum(${hash}::HUGEINT) FROM ${table} t`);
  return String(rows[0]);
}

/**
 * Checks all keys of a table, 2 to 5 s for ten million.
 *
 * @param openSession sees the keys from before the transaction, which isn't to blame for doubled
 *   ones.
 * @throws RequestError 400 more rows share a key than before.
 */
export async function refuseDoubledKeys(
  session: Session,
  table: string,
  openSession: () => Promise<Session>,
): Promise<void> {
  const key = KEYS.get(table)!.join(", ");
  const doubled = `SELECT ${KEYS.get(table)!
    .map((column) => `${column}::VARCHAR`)
    .join(", ")}, count(*)::INTEGER - 1 AS more
    FROM ${table} GROUP BY ${key} HAVING count(*) > 1`;
  const now = await session.rows(doubled);
  if (now.length === 0) return;
  const other = await openSession();
  const before = new Map<string, number>();
  try {
    for (const row of await other.rows(doubled)) before.set(keyText(row), Number(row.at(-1)));
  } finally {
    other.close();
  }
  const fresh = now.find((row) => Number(row.at(-1)) > (before.get(keyText(row)) ?? 0));
  if (fresh !== undefined) throw takenKey(table, fresh);
}

function keyText(row: unknown[]): string {
  return JSON.stringify(row.slice(0, -1));
}

function takenKey(table: string, values: unknown[]): Error {
  return badRequest(
    `execute_sql: a row of ${table} has a key that is stored already; nothing changed`,
    KEYS.get(table)!
      .map((column, i) => `${column} ${values[i]}`)
      .join(", "),
  );
}
