/**
 * What a client is told of a failure, with its HTTP status; codes.ts lists the statuses.
 *
 * A message names the operation, the value at fault and what was expected. Any other error is our
 * own bug and becomes a 500.
 */
import { STATUS } from "./codes.ts";

/** Longest text of an error: a database repeats the word at fault, which may be very long. */
const ERROR_CHARACTERS_MAX = 2_000;

export interface ErrorBody {
  error: string;
  details?: string | undefined;
  hint?: string | undefined;
}

export interface ErrorParts {
  details?: string | undefined;
  hint?: string | undefined;
  /** Seconds for `Retry-After`; only with 429 and 503. */
  retryAfterS?: number | undefined;
  cause?: unknown;
}

export class RequestError extends Error {
  readonly status: number;
  readonly details: string | undefined;
  readonly hint: string | undefined;
  /** Seconds for `Retry-After`; only with 429 and 503. */
  readonly retryAfterS: number | undefined;

  constructor(status: number, message: string, extra: ErrorParts = {}) {
    super(message, extra.cause === undefined ? undefined : { cause: extra.cause });
    this.name = "RequestError";
    this.status = status;
    this.details = extra.details;
    this.hint = extra.hint;
    this.retryAfterS = extra.retryAfterS;
  }

  body(): ErrorBody {
    const body: ErrorBody = { error: shortened(this.message) };
    if (this.details !== undefined) body.details = shortened(this.details);
    if (this.hint !== undefined) body.hint = this.hint;
    return body;
  }
}

export function shortened(text: string): string {
  return text.length <= ERROR_CHARACTERS_MAX ? text : `${text.slice(0, ERROR_CHARACTERS_MAX)}…`;
}

/** 400: the caller must change the request. */
export function badRequest(message: string, details?: string): RequestError {
  return new RequestError(STATUS.badRequest, message, { details });
}

/**
 * 499, for the access log: there is nobody to answer.
 * @param what "read". @param effect what has been done by then; it ends the message.
 */
export function clientGone(what: string, effect = ""): RequestError {
  return new RequestError(STATUS.clientGone, `${what}: the client is gone${effect}`);
}

/** 503 with `Retry-After`: something is away or full, and the same request may work later. */
export function unavailable(message: string, details?: string): RequestError {
  return new RequestError(STATUS.unavailable, message, { details, retryAfterS: 1 });
}

/** The database's own refusal; a 503 may be tried again. */
export function refusalOf(status: number, { error, details, hint }: ErrorBody): RequestError {
  const retryAfterS = status === STATUS.unavailable ? 1 : undefined;
  return new RequestError(status, error, { details, hint, retryAfterS });
}
