/**
 * Volumes and sizes with fractions, or beyond 64 bits. The columns are `numeric`; those of a
 * database made by an older server are `bigint` until the first such count comes, and would round
 * it without a word.
 */
import type { Count, Save, SaveOutcome } from "../contract.ts";
import type { PostgresConnection } from "./connection.ts";
import { failureOf } from "./postgres-errors.ts";
import { LOCK_CLASS, SCHEMA_LOCK } from "./schema.ts";

/** A long read holds its table's lock, and whoever comes after waits for us meanwhile. */
const LOCK_WAIT_MS = 3_000;
/** The table is written anew: some 10 s for ten million ticks. */
const REWRITE_MAX_MS = 10 * 60_000;
const INT64_LIMIT = 2 ** 63;

const COLUMNS = { daily_prices: ["volume"], hourly_prices: ["volume"], realtime_data: ["size", "ask_size"] };
type CountTable = keyof typeof COLUMNS;

const WHOLE_SQL = `SELECT c.relname AS "table", a.attname AS "column" FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  WHERE a.attname IN ('volume', 'size', 'ask_size') AND format_type(a.atttypid, NULL) IN ('bigint', 'integer')
    AND c.oid IN (to_regclass('daily_prices'), to_regclass('hourly_prices'), to_regclass('realtime_data'))`;

/** `table.column` of those that hold whole numbers only. */
export async function wholeNumberColumns(connection: PostgresConnection): Promise<Set<string>> {
  const rows = await connection.run<{ table: string; column: string }>(WHOLE_SQL);
  return new Set(rows.map(({ table, column }) => `${table}.${column}`));
}

/** Tables that can't hold the counts of the save as they are. */
export function tooNarrow(save: Save, wholeNumbers: ReadonlySet<string>): CountTable | null {
  if (wholeNumbers.size === 0) return null;
  const table = tableOf(save);
  if (!COLUMNS[table].some((column) => wholeNumbers.has(`${table}.${column}`))) return null;
  const isTooWide = (count: Count | null): boolean =>
    typeof count === "number" && (!Number.isInteger(count) || Math.abs(count) >= INT64_LIMIT);
  const isNeeded =
    save.kind === "bars"
      ? save.rows.some((row) => isTooWide(row[5]))
      : save.rows.some((row) => isTooWide(row[2]) || isTooWide(row[4]));
  return isNeeded ? table : null;
}

/**
 * Makes the columns of the tables `numeric`, for every server that writes there, in one
 * transaction.
 *
 * @throws PostgresError it isn't allowed to, or somebody else has had a table for LOCK_WAIT_MS.
 */
export async function widenCounts(
  connection: PostgresConnection,
  tables: Iterable<CountTable>,
): Promise<void> {
  await connection.run(
    `BEGIN; SET LOCAL lock_timeout = ${LOCK_WAIT_MS}; SET LOCAL statement_timeout = ${REWRITE_MAX_MS}`,
  );
  await connection.run("SELECT pg_advisory_xact_lock($1::int, $2::int)::text", [LOCK_CLASS, SCHEMA_LOCK]);
  const whole = await wholeNumberColumns(connection);
  for (const table of tables) {
    const changes = COLUMNS[table]
      .filter((column) => whole.has(`${table}.${column}`))
      .map((column) => `ALTER COLUMN ${column} TYPE numeric`);
    if (changes.length > 0)
      await connection.run(`ALTER TABLE ${table} ${changes.join(", ")}`, [], { timeoutMs: REWRITE_MAX_MS });
  }
  await connection.run("COMMIT");
}

/** What the save is told that needed it. */
export function notWidened(save: Save, error: unknown): SaveOutcome {
  const table = tableOf(save);
  const failure = failureOf(error);
  return {
    ok: false,
    status: failure?.kind === "refused" ? 400 : 503,
    error: `save: ${save.ticker}: a count has a fraction or more than 64 bits, and ${table} holds bigint`,
    details: `${COLUMNS[table].map((column) => `ALTER TABLE ${table} ALTER COLUMN ${column} TYPE numeric`).join("; ")} makes room; the server could not: ${failure?.message ?? String(error)}`,
  };
}

function tableOf(save: Save): CountTable {
  if (save.kind === "ticks") return "realtime_data";
  return save.interval === "daily" ? "daily_prices" : "hourly_prices";
}
