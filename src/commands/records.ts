/** Reads saved records: their stamps, and numbers as clients send them. */
import { TimestampError } from "../market/timestamp.ts";
import { badRequest } from "../protocol/errors.ts";
import { isObject, type JsonRecord } from "../protocol/json.ts";
import type { Count } from "../storage/contract.ts";
import { show } from "./params.ts";

/** @throws RequestError 400 naming the first record that is no object. */
export function requireRecords(data: unknown[]): JsonRecord[] {
  for (let i = 0; i < data.length; i++) {
    if (!isObject(data[i])) throw badRequest(`data[${i}]: got ${show(data[i])}, expected an object`);
  }
  return data as JsonRecord[];
}

export function hasMember(records: JsonRecord[], name: string): boolean {
  return records.some((record) => name in record);
}

/**
 * @returns the stamp in stored form, null where the record has none.
 * @throws RequestError 400 naming row and value.
 */
export function readStamp(
  parse: (value: unknown) => string | null,
  record: JsonRecord,
  name: string,
  row: number,
) {
  try {
    return parse(record[name]);
  } catch (error) {
    if (error instanceof TimestampError) throw badRequest(`data[${row}].${name}: ${error.message}`);
    throw error;
  }
}

/** Characters of a number sent as text. A double in full has at most 767 significant digits. */
const NUMBER_LENGTH_MAX = 1_100;
/** Number() also reads "0x10", "0b1" and "Infinity". */
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** Reads a price. Decimal text counts as a number, as it did in the database's columns. */
export function readReal(value: unknown, name: string, row: number): number | null {
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (value === undefined || value === null) return null;
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "string" && value.length <= NUMBER_LENGTH_MAX) {
    const text = value.trim();
    if (text === "" || text.toLowerCase() === "nan") return null;
    const number = DECIMAL.test(text) ? Number(text) : Number.NaN;
    if (Number.isFinite(number)) return number;
  }
  throw badRequest(`data[${row}].${name}: got ${show(value)}, expected a number or null`);
}

/** Reads a volume or size within 64 bits. Integers beyond doubles become text with all digits. */
export function readCount(value: unknown, name: string, row: number): Count | null {
  if (typeof value === "bigint") return String(value); // the parser makes one only within 64 bits
  const number = readReal(value, name, row);
  if (number !== null && Math.abs(number) >= 2 ** 63) {
    throw badRequest(`data[${row}].${name}: got ${show(value)}, expected a number within 64 bits`);
  }
  return number;
}
