/**
 * Makes room for volumes and sizes with fractions, or beyond 64 bits. A database of an older server
 * has `bigint` columns, which would round them. The first such count makes them `numeric`.
 */
import { STATUS } from "../../protocol/codes.ts";
import type { Count, Save, SaveOutcome } from "../contract.ts";
import { countColumns, KIND_NAMES, kindOf, type SeriesRow, TABLE_NAMES } from "../model/kinds.ts";
import type { PostgresConnection } from "./connection.ts";
import { failureOf } from "./errors.ts";
import { LOCK_CLASS, SCHEMA_LOCK } from "./schema.ts";

/** A long read holds the lock of its table, and every later statement waits behind this one. */
const LOCK_WAIT_MS = 3_000;
/** PostgreSQL rewrites the table: some 10 s for ten million ticks. */
const REWRITE_MAX_MS = 10 * 60_000;
const INT64_LIMIT = 2 ** 63;

const COLUMNS = new Map(KIND_NAMES.map((name) => [kindOf(name).table, countColumns(kindOf(name))]));

const texts = (names: Iterable<string>): string => [...names].map((name) => `'${name}'`).join(", ");
const WHOLE_SQL = `SELECT c.relname AS "table", a.attname AS "column" FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  WHERE a.attname IN (${texts(new Set([...COLUMNS.values()].flat()))})
    AND format_type(a.atttypid, NULL) IN ('bigint', 'integer')
    AND c.oid IN (${TABLE_NAMES.map((table) => `to_regclass('${table}')`).join(", ")})`;

/** Returns `table.column` of those that hold only whole numbers. */
export async function wholeNumberColumns(connection: PostgresConnection): Promise<Set<string>> {
  const rows = await connection.run<{ table: string; column: string }>(WHOLE_SQL);
  return new Set(rows.map(({ table, column }) => `${table}.${column}`));
}

/** Returns the table if it can't hold the counts of the save. */
export function tooNarrow(save: Save, wholeNumbers: ReadonlySet<string>): string | null {
  if (wholeNumbers.size === 0) return null;
  const { table, values } = kindOf(save.kind);
  if (!COLUMNS.get(table)!.some((column) => wholeNumbers.has(`${table}.${column}`))) return null;
  const isTooWide = (count: Count | null): boolean =>
    typeof count === "number" && (!Number.isInteger(count) || Math.abs(count) >= INT64_LIMIT);
  const isNeeded = (save.rows as SeriesRow[]).some((row) =>
    values.some(({ type }, index) => type === "count" && isTooWide(row[index + 1]!)),
  );
  return isNeeded ? table : null;
}

/**
 * Makes the columns `numeric`, in one transaction.
 * @throws PostgresError the role may not, or a lock is held for longer than LOCK_WAIT_MS.
 */
export async function widenCounts(connection: PostgresConnection, tables: Iterable<string>): Promise<void> {
  await connection.run(
    `BEGIN; SET LOCAL lock_timeout = ${LOCK_WAIT_MS}; SET LOCAL statement_timeout = ${REWRITE_MAX_MS}`,
  );
  await connection.run("SELECT pg_advisory_xact_lock($1::int, $2::int)::text", [LOCK_CLASS, SCHEMA_LOCK]);
  const whole = await wholeNumberColumns(connection);
  for (const table of tables) {
    const changes = COLUMNS.get(table)!
      .filter((column) => whole.has(`${table}.${column}`))
      .map((column) => `ALTER COLUMN ${column} TYPE numeric`);
    if (changes.length > 0)
      await connection.run(`ALTER TABLE ${table} ${changes.join(", ")}`, [], { timeoutMs: REWRITE_MAX_MS });
  }
  await connection.run("COMMIT");
}

export function notWidened(save: Save, error: unknown): SaveOutcome {
  const { table } = kindOf(save.kind);
  const failure = failureOf(error);
  return {
    ok: false,
    status: failure?.kind === "refused" ? STATUS.badRequest : STATUS.unavailable,
    error: `save: ${save.ticker}: a count has a fraction or more than 64 bits, and ${table} holds bigint`,
    details: `${COLUMNS.get(table)!
      .map((column) => `ALTER TABLE ${table} ALTER COLUMN ${column} TYPE numeric`)
      .join("; ")} makes room; the server could not: ${failure?.message ?? String(error)}`,
  };
}
