/** Says what an error of PostgreSQL, or of the connection to it, means for the sender. */
import { SQL } from "bun";
import { RequestError, unavailable } from "../../protocol/errors.ts";

/**
 * - `lost`: the connection is gone or useless. Its transaction was undone, unless it was a COMMIT.
 * - `away`: no connection can be opened.
 * - `stopped`: a timeout or a cancellation; the transaction was undone.
 * - `conflict`: another transaction was in the way; a retry may work.
 * - `refused`: the statement or its values are at fault.
 * - `broken`: the database can't do its work: a full disk, no memory, a standby.
 */
export type FailureKind = "lost" | "away" | "stopped" | "conflict" | "refused" | "broken";

export interface Failure {
  kind: FailureKind;
  /** SQLSTATE, or the code of the client library. */
  code: string;
  message: string;
}

/** No answer came in time, so the outcome of the statement is unknown. */
export class NoAnswerError extends Error {
  override name = "NoAnswerError";
}

/** The pool gave the connection up while a statement waited on it. */
export class ConnectionLostError extends Error {
  override name = "ConnectionLostError";
}

/** A host of several takes no writes: another may be the primary, or none is at this moment. */
export class NoPrimaryError extends Error {
  override name = "NoPrimaryError";
}

const READ_ONLY_TRANSACTION = "25006";
const STATEMENT_STOPPED = "57014";
const LOCK_NOT_AVAILABLE = "55P03";
const CACHED_PLAN_UNUSABLE = "0A000";
const UNKNOWN_STATEMENT = "26000";
const TOO_MANY_CONNECTIONS = "53300";

/** The database doesn't know the statement, whatever its values are. */
const UNKNOWN_CODES = new Set([
  "0A000", // feature not supported
  "42601", // syntax
  "42704", // no such type, collation …
  "42883", // no such function
  "22023", // a setting or a locale of another kind
  "00000", // QuestDB's, of everything
]);

const AWAY_CODES = new Set([
  "ERR_POSTGRES_CONNECTION_REFUSED",
  "ERR_POSTGRES_CONNECTION_TIMEOUT",
  TOO_MANY_CONNECTIONS,
  "57P03", // it is starting, or stopping
  "3D000", // no such database, any more
  "28000", // no such role, or no entry for this host
  "28P01", // wrong password
]);

/**
 * Classes of SQLSTATE that tell of the database's state when a statement of the server is refused.
 * Others, also those that users' triggers raise, are about a row.
 */
const STATE_CLASSES = new Set([
  "0A", // not supported: a view that can't be written, a compressed part
  "0L", // grants and roles
  "0P",
  "24", // cursors and transactions
  "25",
  "26",
  "2B",
  "2D",
  "34",
  "3B",
  "3D", // no such database, no such schema
  "3F",
  "42", // no such table or column, no right to it, or of another type
  "55", // a view in the place of a table, a table in use
]);
/** A sequence has ended; the code's class is that of values. */
const NUMBERS_USED_UP = "2200H";
/** The code is that of a missing right. */
const POLICY_VIOLATED = "row-level security policy";

/** @returns null for our own bug: an error of neither PostgreSQL nor its client library. */
export function failureOf(thrown: unknown): Failure | null {
  // An answer to a client may have PostgreSQL's error as its cause.
  const error = thrown instanceof RequestError ? thrown.cause : thrown;
  if (error instanceof NoAnswerError || error instanceof ConnectionLostError)
    return { kind: "lost", code: error.name, message: error.message };
  if (error instanceof NoPrimaryError) return { kind: "away", code: error.name, message: error.message };
  if (!(error instanceof SQL.PostgresError)) return null;
  const code = error.errno ?? error.code;
  return { kind: kindOf(code, error.message), code, message: error.message };
}

function kindOf(code: string, message: string): FailureKind {
  if (AWAY_CODES.has(code)) return "away";
  if (code === STATEMENT_STOPPED || code === LOCK_NOT_AVAILABLE || code === "ERR_POSTGRES_QUERY_CANCELLED")
    return "stopped";
  if (code === READ_ONLY_TRANSACTION) return "broken";
  // The plan of the connection no longer fits the tables, or a pool in between forgot it.
  if (code === UNKNOWN_STATEMENT || (code === CACHED_PLAN_UNUSABLE && message.includes("cached plan")))
    return "lost";
  switch (code.slice(0, 2)) {
    case "08": // connection exception
    case "57": // shut down, crashed, dropped; 57014 is above
      return "lost";
    case "40": // serialization failure, deadlock
      return "conflict";
    case "53": // out of resources
    case "58": // its files
    case "XX": // its own bug, or damaged data
    case "F0":
      return "broken";
  }
  if (code === "25P03" || code === "25P04") return "lost"; // the transaction was idle or ran for too long
  // The client library's own: the connection was closed, or the other side is no PostgreSQL.
  return code.startsWith("ERR_") ? "lost" : "refused";
}

/**
 * The state of the database or its tables failed a statement of the server. No client can help it,
 * and the same row may be stored later. A database that is away or busy doesn't count.
 */
export function isServerState(error: unknown): boolean {
  const failure = failureOf(error);
  if (failure === null) return false;
  const { kind, code, message } = failure;
  if (kind === "broken") return true;
  if (code === NUMBERS_USED_UP) return true;
  return kind === "refused" && STATE_CLASSES.has(code.slice(0, 2)) && !message.includes(POLICY_VIOLATED);
}

/** Gives the result of the statement, or `otherwise` if the database refuses it. */
export async function unlessRefused<T>(statement: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await statement;
  } catch (error) {
    if (failureOf(error)?.kind !== "refused") throw error;
    return otherwise;
  }
}

/** Whether the connection is useless after this error. */
export function endsConnection(error: unknown): boolean {
  const kind = failureOf(error)?.kind;
  return kind === "lost" || kind === "away";
}

/** Whether the database lacks what the statement needs, whatever is stored. */
export function isUnknownToDatabase(error: unknown): boolean {
  const failure = failureOf(error);
  return failure?.kind === "refused" && UNKNOWN_CODES.has(failure.code);
}

/** Whether another connection may help at once. After silence the next one would be as silent. */
export function isWorthRepeating(error: unknown): boolean {
  return failureOf(error)?.kind === "lost" && !(error instanceof NoAnswerError);
}

export function isLockHeld(error: unknown): boolean {
  return failureOf(error)?.code === LOCK_NOT_AVAILABLE;
}

export function isOutOfConnections(error: unknown): boolean {
  return failureOf(error)?.code === TOO_MANY_CONNECTIONS;
}

/**
 * The answer to the client of a read or a save: 503, unless a row is at fault.
 * @param what the operation, which begins the message.
 */
export function requestErrorOf(error: unknown, what: string): unknown {
  if (error instanceof RequestError) return error;
  const failure = failureOf(error);
  if (failure === null) return error;
  const { kind, message, code } = failure;
  const details = `${message} (${code})`;
  if (kind === "refused") {
    if (!isServerState(error)) return error;
    return unavailable(`${what}: ${UNUSABLE}`, { details, cause: error });
  }
  return unavailable(`${what}: ${code === READ_ONLY_TRANSACTION ? READ_ONLY : REASONS[kind]}`, details);
}

export const UNUSABLE = "the server's tables can't be used as they are now";
const READ_ONLY = "the database takes no writes now";
const REASONS: Record<Exclude<FailureKind, "refused">, string> = {
  lost: "the connection to the database was lost",
  away: "the database can't be reached",
  stopped: "the database did not finish in time",
  conflict: "other transactions were in the way",
  broken: "the database can't do it now",
};
