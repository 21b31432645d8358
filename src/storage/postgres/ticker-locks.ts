/**
 * Locks that keep writers of one ticker apart, whichever worker or server they are in: the seq of a tick and the averages of a
 * day depend on what is stored. They end with the transaction.
 */
import { LOCK_CLASS } from "./schema.ts";

/**
 * Tickers share locks, since PostgreSQL has room for some thousands in all. Two tickers of one lock wait for each other
 * without need; the more locks, the rarer.
 */
const LOCKS = 1_024;

/**
 * A statement for the same locks on every machine, always in the order of their numbers: two writers that wait for each other would never
 * end. Without parameters, so that it goes with BEGIN in one text.
 */
export function lockSql(tickers: Iterable<string>): string {
  const buckets = new Set<number>();
  // 0 is the schema's.
  for (const ticker of tickers) buckets.add(1 + (Bun.hash.crc32(ticker) % LOCKS));
  const list = [...buckets].sort((a, b) => a - b).join(",");
  return `SELECT count(pg_advisory_xact_lock(${LOCK_CLASS}, bucket)::text) FROM unnest('{${list}}'::int[]) AS bucket`;
}
