/**
 * Locks that keep writers of one ticker apart, in any worker or server. The seq of a tick and the
 * averages of a day depend on stored rows. The locks end with the transaction.
 */

import { TABLE_NAMES } from "../model/kinds.ts";
import type { PostgresConnection } from "./connection.ts";
import { failureOf } from "./errors.ts";
import { LOCK_CLASS } from "./schema.ts";

/**
 * PostgreSQL has room for some thousand locks, so tickers share them. Two tickers of one lock wait
 * for each other without need.
 */
const LOCKS = 1_024;

/**
 * Takes the locks in the order of their numbers, so that two writers never wait for each other. It
 * has no parameters, so it goes with BEGIN in one text.
 */
export function lockSql(tickers: Iterable<string>): string {
  const buckets = new Set<number>();
  for (const ticker of tickers) buckets.add(1 + (Bun.hash.crc32(ticker) % LOCKS));
  const list = [...buckets].sort((a, b) => a - b).join(",");
  return `SELECT pg_catalog.count(pg_advisory_xact_lock(${LOCK_CLASS}, bucket)::text) FROM pg_catalog.unnest('{${list}}'::int[]) AS bucket`;
}

/** Sessions whose locks savers may wait for, the oldest first. Row locks count after 3 s. */
export const HOLDERS_SQL = `SELECT a.pid::text AS pid, a.application_name AS program, a.state, pg_catalog.count(*)::int AS locks,
    extract(epoch FROM now() - coalesce(a.xact_start, a.state_change))::float8 AS seconds
  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
  WHERE l.granted AND a.pid <> pg_backend_pid() AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (l.locktype = 'advisory' AND l.classid = ${LOCK_CLASS} OR l.locktype = 'relation'
      AND (l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
        OR l.mode = 'RowExclusiveLock' AND a.xact_start < now() - interval '3 seconds')
      AND l.relation IN (${[...TABLE_NAMES, "update_log", "update_positions"].map((table) => `to_regclass('${table}')`).join(", ")}))
  GROUP BY 1, 2, 3, 5 ORDER BY 5 DESC NULLS LAST LIMIT 3`;

export interface LockHolder {
  pid: string;
  program: string | null;
  state: string | null;
  locks: number;
  seconds: number | null;
}

export function describeHolder({ pid, program, state, locks, seconds }: LockHolder): string {
  const since = seconds === null ? "" : ` for ${Math.round(seconds)} s`;
  return `process ${pid} of the database (${program || "without a name"}, ${state ?? "unknown"}${since}) holds ${locks}`;
}

/** No other key of LOCK_CLASS is as large. Each start takes a random one, so that none waits. */
const PROBES_FROM = 1_000_000;
const PROBES = 1_000_000_000;

/**
 * Some databases have the functions and refuse them, others lock nothing, so it looks for a lock.
 */
export async function hasAdvisoryLocks(connection: PostgresConnection): Promise<boolean> {
  const key = PROBES_FROM + Math.floor(Math.random() * PROBES);
  const lock = `SELECT pg_advisory_xact_lock(${LOCK_CLASS}, ${key})::text`;
  const look = `SELECT 1 AS one FROM pg_locks WHERE locktype = 'advisory' AND objid::bigint = ${key}`;
  await connection.run("BEGIN");
  try {
    await connection.run(lock);
    return (await connection.run(look)).length > 0;
  } catch (error) {
    if (failureOf(error)?.kind !== "refused") throw error;
    return false;
  } finally {
    if (!connection.lost) await connection.run("ROLLBACK");
  }
}
