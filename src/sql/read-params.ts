/** `query_params` as they were sent: all digits of an integer, and nothing but plain values. */
import { badRequest } from "../protocol/errors.ts";
import type { SqlParam } from "../storage/user-sql-contract.ts";

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
/** JSON.parse hands a number's own text to the reviver; the types of the language don't know it yet. */
type ReviverWithSource = (
  this: unknown,
  key: string,
  value: unknown,
  context: { source?: string },
) => unknown;
type JsonParse = (text: string, reviver: ReviverWithSource) => unknown;

/**
 * JSON.parse, but with a bigint for every integer of 64 bits that a double can't hold. Several times slower: for
 * a text with a run of 16 digits or more, which is what such an integer takes.
 *
 * @throws SyntaxError not JSON.
 */
export function parseExactIntegers(text: string): unknown {
  return (JSON.parse as JsonParse)(text, (_key, value, { source }) => {
    if (typeof value !== "number" || Number.isSafeInteger(value) || source === undefined) return value;
    // 9007199254740993.0 and 1e17 are written as doubles.
    return /^-?\d+$/.test(source) ? exactInteger(source, value) : value;
  });
}

/** @throws RequestError 400 naming the position, from 1 as SQLite counts. */
export function readSqlParams(list: unknown): SqlParam[] {
  if (!Array.isArray(list)) throw badRequest("'query_params' must be a list or tuple.");
  return list.map((value: unknown, i) => {
    if (isSqlParam(value)) return value;
    throw badRequest(
      `execute_sql: parameter ${i + 1} must be null, text, a number or a boolean, got ${Array.isArray(value) ? "a list" : "an object"}`,
    );
  });
}

function exactInteger(digits: string, rounded: number): bigint | number {
  const exact = BigInt(digits);
  return exact >= INT64_MIN && exact <= INT64_MAX ? exact : rounded;
}

function isSqlParam(value: unknown): value is SqlParam {
  return value === null || ["string", "number", "bigint", "boolean"].includes(typeof value);
}
