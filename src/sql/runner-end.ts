/** What a client is told when its runner ended without an answer. */
import { MIB } from "../config/units.ts";
import { badRequest, type RequestError, unavailable } from "../protocol/errors.ts";
import { stoppedAsClientLeft, stoppedAtLimit } from "../storage/stopped-sql.ts";
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
  /** The runner had begun to commit. */
  committing: boolean;
  timeoutMs: number;
  exitCode: number;
  /** What the runner took, if it was killed for that. */
  memoryBytes: number;
  /** For all runners together. */
  memoryBytesMax: number;
}

const OUTCOME_UNKNOWN = "; outcome unknown: it was committing";

export function explainEnd(end: RunnerEnd): RequestError {
  const effect = effectOf(end);
  switch (end.reason) {
    case "time limit":
      return stoppedAtLimit({ timeoutMs: end.timeoutMs, effect });
    case "client gone":
      return stoppedAsClientLeft(effect);
    case "memory limit":
      return tooMuchMemory(end, effect);
    case "server stopping":
      return brokenOff("stopped, the server is stopping", effect);
    default:
      return brokenOff(`the SQL runner broke off (exit code ${end.exitCode})`, effect);
  }
}

/** No Retry-After where repeating might do the same thing twice. */
function brokenOff(what: string, effect: string): RequestError {
  const retryAfterS = effect === OUTCOME_UNKNOWN ? undefined : 1;
  return unavailable(`execute_sql: ${what}${effect}`, { retryAfterS });
}

/**
 * A statement that takes most of the memory alone has to be changed; another one may work once
 * others have finished.
 */
function tooMuchMemory({ memoryBytes, memoryBytesMax }: RunnerEnd, effect: string): RequestError {
  const took = `execute_sql: stopped, it took ${Math.round(memoryBytes / MIB)} MB of memory`;
  const bound = `all SQL together may take ${Math.round(memoryBytesMax / MIB)} MB${effect}`;
  if (memoryBytes > memoryBytesMax / 2) return badRequest(`${took}; ${bound}`);
  return unavailable(`${took}, more than any other statement; ${bound}`);
}

function effectOf({ mode, committing }: RunnerEnd): string {
  if (mode === "read") return "";
  return committing ? OUTCOME_UNKNOWN : "; rolled back, nothing changed";
}
