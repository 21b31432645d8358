/** What a client is told when the runner ended before it gave an answer. */
import { STATUS } from "../protocol/codes.ts";
import { badRequest, RequestError, unavailable } from "../protocol/errors.ts";
import type { SqlMode } from "../storage/user-sql-contract.ts";

/** Why the worker kills a runner. */
export type KillReason =
  | "time limit"
  | "memory limit"
  | "client gone"
  | "answer not taken to its end"
  | "stray output"
  | "server stopping";

export interface RunnerEnd {
  /** Null when it ended by itself. */
  reason: KillReason | null;
  mode: SqlMode;
  /** Whether it had begun to commit. */
  committing: boolean;
  timeoutMs: number;
  exitCode: number;
  /** The memory it had when it was killed for that. */
  memoryBytes: number;
  /** The bound of all runners together. */
  memoryBytesMax: number;
}

const OUTCOME_UNKNOWN = "; outcome unknown: it was committing";

export function explainEnd(end: RunnerEnd): RequestError {
  const effect = effectOf(end);
  switch (end.reason) {
    case "time limit":
      return timedOut(end.timeoutMs, effect);
    case "client gone":
      return clientGone(effect);
    case "memory limit":
      return tooMuchMemory(end, effect);
    case "server stopping":
      return brokenOff("stopped, the server is stopping", effect);
    default:
      return brokenOff(`the SQL runner broke off (exit code ${end.exitCode})`, effect);
  }
}

/** It has no Retry-After when a repetition might do the same thing twice. */
function brokenOff(what: string, effect: string): RequestError {
  const retryAfterS = effect === OUTCOME_UNKNOWN ? undefined : 1;
  return new RequestError(STATUS.unavailable, `execute_sql: ${what}${effect}`, { retryAfterS });
}

/**
 * 400 when this statement alone took more than half of the memory. Otherwise it may work when other
 * statements have ended.
 */
function tooMuchMemory({ memoryBytes, memoryBytesMax }: RunnerEnd, effect: string): RequestError {
  const took = `${Math.round(memoryBytes / 2 ** 20)} MB of memory`;
  const bound = `all SQL together may take ${Math.round(memoryBytesMax / 2 ** 20)} MB`;
  if (memoryBytes > memoryBytesMax / 2)
    return badRequest(`execute_sql: stopped, it took ${took}; ${bound}${effect}`);
  return unavailable(
    `execute_sql: stopped, it took ${took}, more than any other statement; ${bound}${effect}`,
  );
}

export function timedOut(timeoutMs: number, effect = ""): RequestError {
  return new RequestError(
    STATUS.timeIsUp,
    `execute_sql: stopped at the limit of ${Math.round(timeoutMs / 100) / 10} s${effect}`,
    { hint: "The limit is the server's --sql-timeout." },
  );
}

export function clientGone(effect = ""): RequestError {
  return new RequestError(STATUS.clientGone, `execute_sql: stopped, the client is gone${effect}`);
}

function effectOf({ mode, committing }: RunnerEnd): string {
  if (mode === "read") return "";
  return committing ? OUTCOME_UNKNOWN : "; rolled back, nothing changed";
}
