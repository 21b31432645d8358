/**
 * What SQLite refuses a read with is never the caller's fault: the parameters have been checked,
 * and the statements are ours.
 */
import { SQLiteError } from "bun:sqlite";
import { unavailable } from "../../protocol/errors.ts";

/** @throws RequestError 503 */
export function refusalsAreAway<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw asUnavailable(error);
  }
}

export function asUnavailable(error: unknown): unknown {
  return error instanceof SQLiteError ? unavailable("read: the database refused it", error.message) : error;
}
