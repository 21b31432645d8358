/**
 * What a driver offers for SQL of users. An engine either stops statements itself, or runs them one
 * by one in a process of its own, which may be killed at any moment.
 */
import type { ErrorBody } from "../protocol/errors.ts";

export type SqlParam = null | string | number | bigint | boolean;

/** `read` changes nothing, whatever the statement says; `write` is one transaction. */
export type SqlMode = "read" | "write";

export interface UserSqlRequest {
  sql: string;
  /** In the order of the statement's parameters. A bigint lies within 64 bits. */
  params: SqlParam[];
  mode: SqlMode;
  maxRows: number;
}

/**
 * The parts together are a JSON array of objects, UTF-8; `bytes` is their sum. The array is empty
 * for a statement without rows.
 */
export interface EncodedRows {
  rows: number;
  bytes: number;
  parts: Uint8Array[];
}

export type UserSqlOutcome =
  | ({ status: "rows" } & EncodedRows)
  /** In `read` only: the statement writes, and nothing has happened. */
  | { status: "needs-write" }
  /** Nothing has happened. 400: the statement is at fault; 503: the database is busy or away. */
  | ({ status: "error"; httpStatus: number } & ErrorBody);

export interface SqlAnswer {
  rows: number;
  /** A JSON array of objects. A stream must be read to its end or cancelled. */
  body: Uint8Array | ReadableStream<Uint8Array>;
}

/** `needs-write`: the statement writes; it was asked to read, and nothing has happened. */
export type SqlReply = SqlAnswer | "needs-write";

export interface UserSqlEngine {
  /** Calls `committing` right before a commit: a process killed earlier has changed nothing. */
  run(request: UserSqlRequest, committing: () => void): UserSqlOutcome;
  close(): void;
}

/** SQL of users on an engine that stops statements itself, in the process with the database. */
export interface InterruptibleSql {
  /**
   * @throws RequestError 504 when the time is over, 499 when the client is gone, 503 when too many
   *   statements run.
   */
  run(
    request: UserSqlRequest,
    limits: { timeoutMs: number; signal?: AbortSignal | undefined },
  ): Promise<UserSqlOutcome>;
  close(): void | Promise<void>;
}
