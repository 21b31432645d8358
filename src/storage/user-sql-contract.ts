/**
 * Users' SQL. An engine either stops statements itself, or runs them in a process that may be
 * killed.
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

/** `parts` together are a JSON array of objects, empty without rows; `bytes` is their sum. */
export interface EncodedRows {
  rows: number;
  /**
   * How many rows the statement has inserted, updated and deleted. Absent of one that reads, or
   * whose engine doesn't tell.
   */
  changed?: number | undefined;
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
  /** As in EncodedRows. */
  changed?: number | undefined;
  /** A JSON array of objects. A stream must be read to its end or cancelled. */
  body: Uint8Array | ReadableStream<Uint8Array>;
}

/** `needs-write`: the statement writes but was asked to read; nothing has happened. */
export type SqlReply = SqlAnswer | "needs-write";

export interface UserSqlEngine {
  /** Calls `committing` right before a commit: a process killed earlier has changed nothing. */
  run(request: UserSqlRequest, committing: () => void): UserSqlOutcome;
  close(): void;
}

/** For an engine that stops statements itself, in the process with the database. */
export interface InterruptibleSql {
  /** @throws RequestError 504: time is over; 499: the client is gone; 503: too many statements. */
  run(
    request: UserSqlRequest,
    limits: { timeoutMs: number; signal?: AbortSignal | undefined },
  ): Promise<UserSqlOutcome>;
  close(): void | Promise<void>;
}
