/** Errors for a client whose statement was stopped, on any engine. */
import { CLIENT_GONE, clientGone, type RequestError, timeIsUp, unavailable } from "../protocol/errors.ts";

/** Shorter waits are not told. */
const WAIT_TOLD_MS = 50;

export interface TimeLimit {
  timeoutMs: number;
  /** Before it could begin, out of `timeoutMs`; null: it never could. */
  waitedMs?: number | null;
  /** What the statement has done by then; it ends the message. */
  effect?: string;
}

export function stoppedAtLimit({ timeoutMs, waitedMs = 0, effect = "" }: TimeLimit): RequestError {
  const limitS = Math.round(timeoutMs / 100) / 10;
  if (waitedMs === null)
    return unavailable(
      `execute_sql: did not run: none of the database's connections came free within ${limitS} s`,
    );
  const parts =
    waitedMs < WAIT_TOLD_MS
      ? ""
      : `: it waited ${seconds(waitedMs)} for its turn and ran ${seconds(timeoutMs - waitedMs)}`;
  return timeIsUp(`execute_sql: stopped at the limit of ${limitS} s${parts}${effect}`, {
    hint: "The limit is the server's --sql-timeout.",
  });
}

export function stoppedAsClientLeft(effect = ""): RequestError {
  return clientGone("execute_sql: stopped", effect);
}

/** @param stopped what would have been told if the client had left; its end says what was done. */
export function stoppedByOperator(what: string, stopped: RequestError): RequestError {
  const effect = stopped.message.slice(stopped.message.indexOf(CLIENT_GONE) + CLIENT_GONE.length);
  // To try again at once would not be what the operator wants.
  return unavailable(`${what}: an operator has ended it${effect}`, { retryAfterS: undefined });
}

function seconds(ms: number): string {
  return `${Math.max(0, Math.round(ms / 10) / 100)} s`;
}
