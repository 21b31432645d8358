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

export function hasStatus(error: unknown, status: number): error is RequestError {
  return error instanceof RequestError && error.status === status;
}

/** Makes errors of one status. A text instead of their parts is the details. */
function refusal(status: number, usual: ErrorParts = {}) {
  return (message: string, parts: ErrorParts | string = {}): RequestError => {
    const own = typeof parts === "string" ? { details: parts } : parts;
    return new RequestError(status, message, { ...usual, ...own });
  };
}

export const badRequest = refusal(STATUS.badRequest);
export const unauthorized = refusal(STATUS.unauthorized);
export const forbidden = refusal(STATUS.forbidden);
export const notFound = refusal(STATUS.notFound);
export const tooMany = refusal(STATUS.tooMany, { retryAfterS: 1 });
export const wrongUpstream = refusal(STATUS.wrongUpstream);
export const unavailable = refusal(STATUS.unavailable, { retryAfterS: 1 });
export const timeIsUp = refusal(STATUS.timeIsUp);

export const CLIENT_GONE = "the client is gone";

/**
 * 499, for the access log: there is nobody to answer.
 * @param what "read". @param effect what has been done by then; it ends the message.
 */
export function clientGone(what: string, effect = ""): RequestError {
  return new RequestError(STATUS.clientGone, `${what}: ${CLIENT_GONE}${effect}`);
}

/** The database's own refusal; a 503 may be tried again. */
export function refusalOf(status: number, { error, details, hint }: ErrorBody): RequestError {
  const retryAfterS = status === STATUS.unavailable ? 1 : undefined;
  return new RequestError(status, error, { details, hint, retryAfterS });
}
