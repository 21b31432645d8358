/** What a client is told when its statement ended with the runner and not with an answer. */
import { RequestError } from "../protocol/errors.ts";
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
  /** null: it ended by itself. */
  reason: KillReason | null;
  mode: SqlMode;
  /** It had begun to commit. */
  committing: boolean;
  timeoutMs: number;
  exitCode: number;
  /** What it took when it was killed for that. */
  memoryBytes: number;
  /** Of all runners together. */
  memoryBytesMax: number;
}

/** For the access log: there is nobody to answer. */
const CLIENT_CLOSED_REQUEST = 499;
const OUTCOME_UNKNOWN = "; outcome unknown: it was committing";

export function explainEnd(end: RunnerEnd): RequestError {
  const effect = effectOf(end);
  const known = effect !== OUTCOME_UNKNOWN;
  switch (end.reason) {
    case "time limit":
      return timedOut(end.timeoutMs, effect);
    case "client gone":
      return clientGone(effect);
    case "memory limit":
      return tooMuchMemory(end, effect);
    case "server stopping":
      return new RequestError(
        503,
        `execute_sql: stopped, the server is stopping${effect}`,
        known ? { retryAfterS: 1 } : {},
      );
    default:
      // Without Retry-After where repeating might do the same thing twice.
      return new RequestError(
        503,
        `execute_sql: the SQL runner broke off (exit code ${end.exitCode})${effect}`,
        known ? { retryAfterS: 1 } : {},
      );
  }
}

/**
 * Who alone takes most of what there is must change his statement; else the same may work when
 * others have finished.
 */
function tooMuchMemory({ memoryBytes, memoryBytesMax }: RunnerEnd, effect: string): RequestError {
  const took = `${Math.round(memoryBytes / 2 ** 20)} MB of memory`;
  const bound = `all SQL together may take ${Math.round(memoryBytesMax / 2 ** 20)} MB`;
  if (memoryBytes > memoryBytesMax / 2)
    return new RequestError(400, `execute_sql: stopped, it took ${took}; ${bound}${effect}`);
  return new RequestError(
    503,
    `execute_sql: stopped, it took ${took}, more than any other statement; ${bound}${effect}`,
    { retryAfterS: 1 },
  );
}

export function timedOut(timeoutMs: number, effect = ""): RequestError {
  return new RequestError(
    504,
    `execute_sql: stopped at the limit of ${Math.round(timeoutMs / 100) / 10} s${effect}`,
    {
      hint: "The limit is the server's --sql-timeout.",
    },
  );
}

export function clientGone(effect = ""): RequestError {
  return new RequestError(CLIENT_CLOSED_REQUEST, `execute_sql: stopped, the client is gone${effect}`);
}

function effectOf({ mode, committing }: RunnerEnd): string {
  if (mode === "read") return "";
  return committing ? OUTCOME_UNKNOWN : "; rolled back, nothing changed";
}
