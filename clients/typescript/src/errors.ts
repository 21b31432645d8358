/** Base of all errors of this client. */
export class StockDBError extends Error {
  override name = "StockDBError";
}

/** The server has answered, and refused. */
export class RequestError extends StockDBError {
  override name = "RequestError";
  /** Of HTTP. */
  readonly status: number;
  readonly details: string | null;
  readonly hint: string | null;
  /** How long the server asks to wait. */
  readonly retryAfterMs: number | null;

  constructor(
    message: string,
    about: {
      status: number;
      details?: string | undefined;
      hint?: string | undefined;
      retryAfterMs?: number | null;
    },
  ) {
    super(message);
    this.status = about.status;
    this.details = about.details ?? null;
    this.hint = about.hint ?? null;
    this.retryAfterMs = about.retryAfterMs ?? null;
  }
}

/** No answer came, however often it was tried; `cause` is the last reason. */
export class UnreachableError extends StockDBError {
  override name = "UnreachableError";
}

/**
 * Some rows of a save aren't stored, or aren't known to be. Rows are sent in their order, one
 * request after the other: the first `savedRows` are stored, the next `failedRows` are those of the
 * request that failed, and what follows them was not sent.
 */
export class SaveError extends StockDBError {
  override name = "SaveError";
  readonly savedRows: number;
  readonly failedRows: number;
  /** The rows of the failed request may be stored: its answer has never come. */
  readonly isUnknown: boolean;
  /** Counts of what is stored. */
  readonly saved: SaveCounts;

  constructor(
    message: string,
    about: { saved: SaveCounts; failedRows: number; isUnknown: boolean; cause: unknown },
  ) {
    super(message, { cause: about.cause });
    this.saved = about.saved;
    this.savedRows = about.saved.rows;
    this.failedRows = about.failedRows;
    this.isUnknown = about.isUnknown;
  }
}

/** What has become of rows. `stored` are new ones; the others add up to `rows` with them. */
export interface SaveCounts {
  rows: number;
  stored: number;
  /** They have changed stored ones. */
  replaced: number;
  /** They were stored already. */
  repeated: number;
  /** Left out, as `keep` kept another. */
  skipped: number;
}

/** A stream can't go on: its subscription was refused, or the server has ended it for good. */
export class StreamError extends StockDBError {
  override name = "StreamError";
  /** As error frames have it, such as `not_allowed`; or the code of the close. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(`${code}: ${message}`);
    this.code = code;
  }
}
