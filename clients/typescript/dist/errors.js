/** Base of all errors of this client. */
export class StockDBError extends Error {
    name = "StockDBError";
}
/** The server has answered, and refused. */
export class RequestError extends StockDBError {
    name = "RequestError";
    /** Of HTTP. */
    status;
    details;
    hint;
    /** How long the server asks to wait. */
    retryAfterMs;
    constructor(message, about) {
        super(message);
        this.status = about.status;
        this.details = about.details ?? null;
        this.hint = about.hint ?? null;
        this.retryAfterMs = about.retryAfterMs ?? null;
    }
}
/** No answer came, however often it was tried; `cause` is the last reason. */
export class UnreachableError extends StockDBError {
    name = "UnreachableError";
}
/**
 * Some rows of a save aren't stored, or aren't known to be. Rows are sent in their order, one
 * request after the other: the first `savedRows` are stored, the next `failedRows` are those of the
 * request that failed, and what follows them was not sent.
 */
export class SaveError extends StockDBError {
    name = "SaveError";
    savedRows;
    failedRows;
    /** The rows of the failed request may be stored: its answer has never come. */
    isUnknown;
    /** Counts of what is stored. */
    saved;
    constructor(message, about) {
        super(message, { cause: about.cause });
        this.saved = about.saved;
        this.savedRows = about.saved.rows;
        this.failedRows = about.failedRows;
        this.isUnknown = about.isUnknown;
    }
}
/** A stream can't go on: its subscription was refused, or the server has ended it for good. */
export class StreamError extends StockDBError {
    name = "StreamError";
    /** As error frames have it, such as `not_allowed`; or the code of the close. */
    code;
    constructor(code, message) {
        super(`${code}: ${message}`);
        this.code = code;
    }
}
