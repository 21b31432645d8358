/** Reads through the pool. A read whose connection breaks is repeated once on another one. */
import type { RunOptions } from "./connection.ts";
import { isWorthRepeating, requestErrorOf } from "./errors.ts";
import type { Lease, PostgresPool, Use } from "./pool.ts";

const TRIES = 2;

/** PostgreSQL stores no text with a NUL, so a search for one finds nothing. */
export async function runRead<T>(
  pool: PostgresPool,
  sql: string,
  params: unknown[] = [],
  options: RunOptions = {},
): Promise<T[]> {
  if (holdsNul(params)) return [];
  return await readWithRetry(pool, { use: "shared", signal: options.signal }, (lease) =>
    runAndRelease<T>(lease, sql, params, options),
  );
}

export function holdsNul(params: unknown[]): boolean {
  return params.some((param) => typeof param === "string" && param.includes("\0"));
}

export async function runAndRelease<T>(
  lease: Lease,
  sql: string,
  params: unknown[],
  options: RunOptions,
): Promise<T[]> {
  try {
    return await lease.connection.run<T>(sql, params, options);
  } finally {
    lease.release();
  }
}

/** @param run always gives its lease back. */
export async function readWithRetry<T>(
  pool: PostgresPool,
  { use, signal }: { use: Use; signal: AbortSignal | undefined },
  run: (lease: Lease) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const lease = await pool.acquire(use, signal);
    try {
      return await run(lease);
    } catch (error) {
      if (isWorthRepeating(error) && attempt < TRIES) continue;
      pool.noteFailure(error);
      throw requestErrorOf(error, "read");
    }
  }
}
