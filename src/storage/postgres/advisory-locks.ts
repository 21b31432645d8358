/** Whether the database has the locks that keep writers of one ticker apart. */
import type { PostgresConnection } from "./connection.ts";
import { failureOf } from "./postgres-errors.ts";
import { LOCK_CLASS } from "./schema.ts";

/**
 * Beyond every other key of LOCK_CLASS; one of its own for each start, so that none waits for
 * another.
 */
const PROBES_FROM = 1_000_000;
const PROBES = 1_000_000_000;

/**
 * Some databases have the functions and refuse them, others lock nothing: what counts is a lock
 * that is seen.
 */
export async function hasAdvisoryLocks(connection: PostgresConnection): Promise<boolean> {
  const key = PROBES_FROM + Math.floor(Math.random() * PROBES);
  await connection.run("BEGIN");
  try {
    await connection.run(`SELECT pg_advisory_xact_lock(${LOCK_CLASS}, ${key})::text`);
    const [row] = await connection.run<{ held: boolean }>(
      `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid::bigint = ${key}) AS held`,
    );
    return row?.held === true;
  } catch (error) {
    if (failureOf(error)?.kind !== "refused") throw error;
    return false;
  } finally {
    if (!connection.lost) await connection.run("ROLLBACK");
  }
}
