/**
 * What a driver offers to SQL written by users: either an engine that stops a statement itself, or
 * one that runs one statement after the other in a process of its own, which may be killed at any
 * moment.
 */
import type { ErrorBody } from "../protocol/errors.ts";

export type SqlParam = null | string | number | bigint | boolean;

/** `read` can change nothing, whatever the statement says; `write` is one transaction. */
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
  /** Only in `read`: the statement writes. Nothing has happened. */
  | { status: "needs-write" }
  /**
   * Nothing has happened. 400: the caller must change the statement; 503: the database is busy or
   * away.
   */
  | ({ status: "error"; httpStatus: number } & ErrorBody);

export interface SqlAnswer {
  rows: number;
  /**
   * A JSON array of objects. A stream when it is large; it has to be read to its end or cancelled.
   */
  body: Uint8Array | ReadableStream<Uint8Array>;
}

/** `needs-write`: read-only mode refused the statement, and nothing has happened. */
export type SqlReply = SqlAnswer | "needs-write";

export interface UserSqlEngine {
  /**
   * `committing` is called right before a transaction's commit: a process killed earlier has
   * changed nothing.
   */
  run(request: UserSqlRequest, committing: () => void): UserSqlOutcome;
  close(): void;
}

/**
 * User-written SQL of an engine that can stop a statement itself: it runs beside everything else,
 * in the process that holds the database.
 */
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
