/** What the client of a statement hears that was stopped at the time limit. */
import { RequestError, unavailable } from "../protocol/errors.ts";

/** A shorter wait is not worth a word. */
const WAIT_TOLD_MS = 50;

/**
 * @param waitedMs of `timeoutMs`, until it could begin; null: it never could.
 * @param effect what the statement has done by then, which ends the message.
 */
export function stoppedAtLimit({
  timeoutMs,
  waitedMs,
  effect,
}: {
  timeoutMs: number;
  waitedMs: number | null;
  effect: string;
}): RequestError {
  if (waitedMs === null) {
    return unavailable(
      `execute_sql: did not run: none of the database's connections came free within ${Math.round(timeoutMs / 100) / 10} s`,
    );
  }
  const parts =
    waitedMs < WAIT_TOLD_MS
      ? ""
      : `: it waited ${seconds(waitedMs)} for its turn and ran ${seconds(timeoutMs - waitedMs)}`;
  return new RequestError(
    504,
    `execute_sql: stopped at the limit of ${Math.round(timeoutMs / 100) / 10} s${parts}${effect}`,
    {
      hint: "The limit is the server's --sql-timeout.",
    },
  );
}

function seconds(ms: number): string {
  return `${Math.max(0, Math.round(ms / 10) / 100)} s`;
}
