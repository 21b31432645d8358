/** The answer to a user's statement on any engine: its limits, its JSON, its refusals. */
import { MIB } from "../config/units.ts";
import { badRequest, type ErrorParts, type RequestError } from "../protocol/errors.ts";
import type { EncodedRows, UserSqlOutcome } from "./user-sql-contract.ts";

/** An answer waits in its process until the client has taken it. */
const ANSWER_BYTES_MAX = 256 * MIB;
/** Smaller answers go on in one piece. */
export const WHOLE_BYTES_MAX = 256 * 1024;
/** So much text is encoded at once. */
const TEXT_MAX = 64 * 1024;
const encoder = new TextEncoder();

export interface AnswerLimits {
  maxRows: number;
  maxBytes?: number;
}

/** Builds the JSON of rows and counts its bytes, so that too much is noticed in time. */
export class AnswerRows {
  readonly #maxRows: number;
  readonly #maxBytes: number;
  readonly #parts: Uint8Array[] = [];
  #rows = 0;
  #bytes = 0;
  #text = "[";

  constructor({ maxRows, maxBytes = ANSWER_BYTES_MAX }: AnswerLimits) {
    this.#maxRows = maxRows;
    this.#maxBytes = maxBytes;
  }

  get rows(): number {
    return this.#rows;
  }

  /** @throws RequestError 400: too many rows. */
  beginRow(): void {
    if (++this.#rows > this.#maxRows) throw tooManyRows(this.#maxRows);
    this.#text += this.#rows > 1 ? ",{" : "{";
  }

  endRow(): void {
    this.add("}");
  }

  /** @throws RequestError 400: too many bytes. */
  add(text: string): void {
    this.#text += text;
    if (this.#text.length > TEXT_MAX) this.#flush();
  }

  addBytes(bytes: Uint8Array): void {
    this.#flush();
    this.#push(bytes);
  }

  /** Call it before so many bytes are encoded. @throws RequestError 400: too many. */
  expect(bytes: number): void {
    if (this.#bytes + this.#text.length + bytes > this.#maxBytes) throw this.#tooManyBytes();
  }

  finish(): EncodedRows {
    this.#text += "]";
    this.#flush();
    return { rows: this.#rows, bytes: this.#bytes, parts: this.#parts };
  }

  #flush(): void {
    if (this.#text === "") return;
    const bytes = encoder.encode(this.#text);
    this.#text = "";
    this.#push(bytes);
  }

  #push(bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    if (this.#bytes > this.#maxBytes) throw this.#tooManyBytes();
    this.#parts.push(bytes);
  }

  #tooManyBytes(): RequestError {
    const megabytes = Math.floor(this.#maxBytes / MIB);
    return badRequest(`execute_sql: query returned more than ${megabytes} MB of JSON`);
  }
}

export interface ObjectMember {
  /** Among the columns of a row. */
  index: number;
  name: string;
  /** `"name":`, after a comma in all but the first. */
  prefix: string;
}

/** Of columns with the same name, the last one is kept. */
export function membersOf(names: readonly string[]): ObjectMember[] {
  const indexOf = new Map(names.map((name, index) => [name, index]));
  return [...indexOf].map(([name, index], at) => ({
    index,
    name,
    prefix: `${at === 0 ? "" : ","}${JSON.stringify(name)}:`,
  }));
}

export function tooManyRows(maxRows: number): RequestError {
  return badRequest(`execute_sql: query returned more than ${maxRows} rows`, {
    hint: "Add a LIMIT or a narrower WHERE, or start the server with a higher --sql-max-rows.",
  });
}

/** @throws RequestError 400: not every engine refuses a wrong number of parameters itself. */
export function checkCount(expected: number, given: number): void {
  if (given === expected) return;
  const parameters = `${expected} parameter${expected === 1 ? "" : "s"}`;
  throw badRequest(`execute_sql: the statement expects ${parameters}, got ${given}`);
}

/** @returns RequestError 400: the statement could run, but a request may not do that. */
export function refused(what: string, why: string, parts?: ErrorParts | string): RequestError {
  return badRequest(`execute_sql: ${what} is not allowed: ${why}`, parts);
}

export function refusedWith(error: RequestError): UserSqlOutcome {
  return { status: "error", httpStatus: error.status, ...error.body() };
}
