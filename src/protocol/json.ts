/**
 * Request JSON. The Python client sends bare NaN, Infinity and -Infinity for holes, which JSON
 * doesn't know: they mean null. A number too large for a double means null too.
 */
import { badRequest } from "./errors.ts";

/** Outside of strings: a string is matched first and kept. */
const STRING_OR_NON_FINITE = /"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/gs;

/**
 * @param parse JSON.parse, or one that keeps more.
 * @throws SyntaxError not JSON.
 */
export function parseRequestJson(text: string, parse: (text: string) => unknown = JSON.parse): unknown {
  try {
    return parse(text);
  } catch (error) {
    if (!text.includes("NaN") && !text.includes("Infinity")) throw error;
    return parse(text.replace(STRING_OR_NON_FINITE, (token) => (token[0] === '"' ? token : "null")));
  }
}

interface JsonWithRaw {
  rawJSON(text: string): unknown;
}

/** What JSON.stringify writes as this number, all its digits. */
export function rawNumber(digits: string): unknown {
  return (JSON as unknown as JsonWithRaw).rawJSON(digits);
}

type ParseWithSource = (
  text: string,
  reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
) => unknown;

/** JSON.parse whose integers JSON.stringify writes with all their digits. @throws SyntaxError */
export function parseWithDigits(text: string): unknown {
  return (JSON.parse as ParseWithSource)(text, (_key, value, { source }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(source ?? "")
      ? rawNumber(source!)
      : value,
  );
}

/**
 * JSON.stringify for values that may hold integers beyond a double, as bigint: all their digits are
 * written.
 */
export function stringifyExact(value: unknown): string {
  return plainText(value) ?? "null"; // undefined has no text
}

/** Few values hold a bigint, and a function for each member takes many times as long. */
function plainText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return JSON.stringify(value, (_key, member) =>
      typeof member === "bigint" ? rawNumber(String(member)) : member,
    );
  }
}

export type JsonRecord = Record<string, unknown>;

export function isObject(value: unknown): value is JsonRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isText(value: unknown): value is string {
  return typeof value === "string";
}

/**
 * Members under their lower-case names: clients write `Close` as well as `close`.
 *
 * @param row of the record in `data`, for the error.
 * @throws RequestError 400: two members have one name then, and one of the values would be lost.
 */
export function foldNames(record: JsonRecord, row = 0): JsonRecord {
  for (const name in record) {
    if (name !== name.toLowerCase()) return folded(record, row);
  }
  return record;
}

function folded(record: JsonRecord, row: number): JsonRecord {
  const result: JsonRecord = Object.create(null);
  for (const [name, value] of Object.entries(record)) {
    const lower = name.toLowerCase();
    if (lower in result) throw sameColumn(record, lower, row);
    result[lower] = value;
  }
  return result;
}

function sameColumn(record: JsonRecord, lower: string, row: number): Error {
  const same = Object.keys(record).filter((name) => name.toLowerCase() === lower);
  return badRequest(
    `data[${row}]: got the columns ${JSON.stringify(same)}, expected one of them: case makes no difference`,
  );
}
