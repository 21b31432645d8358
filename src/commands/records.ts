/** Reads saved records: their stamps, and numbers as clients send them. */
import { isStorable } from "../market/storable-text.ts";
import { parseCalendarDate, parseTimestamp, TimestampError, toHourly } from "../market/timestamp.ts";
import { badRequest } from "../protocol/errors.ts";
import { isObject, type JsonRecord, stringifyExact } from "../protocol/json.ts";
import type { Count } from "../storage/contract.ts";
import { extraText } from "../storage/extra-json.ts";
import type { KindColumn, RowKind, SeriesValue } from "../storage/model/kinds.ts";
import { show } from "./params.ts";

/** Characters of a text in a row. */
const VALUE_TEXT_MAX = 1024 * 1024;

/** Where a value is, for messages: the index of its row, or the name of the object that has it. */
export type RecordPlace = number | string;

function nameOf(place: RecordPlace, name: string): string {
  return `${typeof place === "number" ? `data[${place}]` : place}.${name}`;
}

/** @throws RequestError 400 naming the first record that is no object. */
export function requireRecords(data: unknown[]): JsonRecord[] {
  for (let i = 0; i < data.length; i++) {
    if (!isObject(data[i])) throw badRequest(`data[${i}]: got ${show(data[i])}, expected an object`);
  }
  return data as JsonRecord[];
}

export function hasMember(records: JsonRecord[], name: string): boolean {
  return records.some((record) => Object.hasOwn(record, name));
}

/**
 * @returns the stamp in stored form, null where the record has none.
 * @throws RequestError 400 naming row and value.
 */
export function readStamp(
  parse: (value: unknown) => string | null,
  record: JsonRecord,
  name: string,
  place: RecordPlace,
) {
  try {
    // Every object has something of the name `constructor`.
    return parse(Object.hasOwn(record, name) ? record[name] : undefined);
  } catch (error) {
    if (error instanceof TimestampError) throw badRequest(`${nameOf(place, name)}: ${error.message}`);
    throw error;
  }
}

/** Characters of a number sent as text. A double in full has at most 767 significant digits. */
const NUMBER_LENGTH_MAX = 1_100;
/** Number() also reads "0x10", "0b1" and "Infinity". */
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** Reads a price. Decimal text counts as a number, as it did in the database's columns. */
export function readReal(value: unknown, name: string, place: RecordPlace): number | null {
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (value === undefined || value === null) return null;
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "string" && value.length <= NUMBER_LENGTH_MAX) {
    const text = value.trim();
    if (text === "" || text.toLowerCase() === "nan") return null;
    const number = DECIMAL.test(text) ? Number(text) : Number.NaN;
    if (Number.isFinite(number)) return number;
  }
  throw badRequest(`${nameOf(place, name)}: got ${show(value)}, expected a number or null`);
}

/** Reads a volume or size within 64 bits. Integers beyond doubles become text with all digits. */
export function readCount(value: unknown, name: string, place: RecordPlace): Count | null {
  if (typeof value === "bigint" && BigInt.asIntN(64, value) === value) return String(value);
  const number = readReal(value, name, place);
  if (number !== null && Math.abs(number) >= 2 ** 63) {
    throw badRequest(`${nameOf(place, name)}: got ${show(value)}, expected a number within 64 bits`);
  }
  return number;
}

/** Reads a text; what isn't one is kept as its JSON. */
function readText(value: unknown, name: string, place: RecordPlace): string | null {
  if (value === undefined || value === null) return null;
  const text = typeof value === "string" ? value : stringifyExact(value);
  if (text.length <= VALUE_TEXT_MAX && isStorable(text)) return text;
  throw badRequest(
    `${nameOf(place, name)}: got ${show(value)}, expected a text of at most ${VALUE_TEXT_MAX} characters without NUL and lone surrogates`,
  );
}

/** Reads a value as its column holds it. @throws RequestError 400 naming place and value. */
export function readValue({ name, type }: KindColumn, record: JsonRecord, place: RecordPlace): SeriesValue {
  const value = record[name];
  switch (type) {
    case "double":
      return readReal(value, name, place);
    case "count":
      return readCount(value, name, place);
    case "date":
      return readStamp(parseCalendarDate, record, name, place);
    case "instant":
      return readStamp(parseTimestamp, record, name, place);
    case "second": {
      const stamp = readStamp(parseTimestamp, record, name, place);
      return stamp === null ? null : toHourly(stamp);
    }
    default:
      return readText(value, name, place);
  }
}
/** Of a tick. */
const ID_LENGTH_MAX = 256;

/** Reads the id that a tick brings: text, or an integer of any size. */
export function readId(value: unknown, name: string, place?: RecordPlace): string | null {
  if (value === undefined || value === null || value === "") return null;
  const isId =
    typeof value === "string" ? isStorable(value) : typeof value === "bigint" || Number.isSafeInteger(value);
  const id = String(value);
  if (isId && id.length <= ID_LENGTH_MAX) return id;
  throw badRequest(
    `${place === undefined ? name : nameOf(place, name)}: got ${show(value)}, expected an id: a whole number, or text of at most ${ID_LENGTH_MAX} characters without NUL and lone surrogates`,
  );
}

/**
 * What a record brings beside the columns of its kind. Members without a value are left out.
 *
 * @param known the names of members that are read, or that a row of an answer has.
 * @param read names of others that are read in this record.
 */
export function readExtra(
  record: JsonRecord,
  { known, read = [] }: { known: ReadonlySet<string>; read?: readonly string[] },
  row: number,
): string | null {
  let extra: JsonRecord | null = null;
  for (const name in record) {
    const value = record[name];
    if (value === null || known.has(name) || read.includes(name)) continue;
    // So that every name is that of a member, also `__proto__`.
    extra ??= Object.create(null) as JsonRecord;
    // A row of an answer that is sent back.
    if (name === "extra" && isObject(value))
      for (const member in value) addMember(extra, { name: member, value: value[member] }, row);
    else addMember(extra, { name, value }, row);
  }
  return extra === null ? null : textOf(extra, row);
}

function addMember(extra: JsonRecord, { name, value }: { name: string; value: unknown }, row: number): void {
  if (name in extra)
    throw badRequest(`data[${row}]: got ${show(name)} in "extra" and beside it, expected one of them`);
  extra[name] = value;
}

/** @throws RequestError 400 */
function textOf(extra: JsonRecord, row: number): string | null {
  try {
    return extraText(extra);
  } catch (error) {
    // A text can be parsed and still be nested too deeply to be written again.
    if (error instanceof RangeError) throw badRequest(`data[${row}]: a value is nested too deeply`);
    throw error;
  }
}

/** The members of a record that are columns of the kind, or follow from the request. */
export function knownMembers(kind: RowKind, index: string): Set<string> {
  const { part, stamp, values, computed } = kind;
  const names = values.filter(({ type }) => type !== "json").map(({ name }) => name);
  return new Set([
    ...[index, stamp.name, "ticker", ...names, ...computed, "write_timestamp"],
    ...(part === null ? [] : [part]),
  ]);
}

/** Of a list beside `data`. @throws RequestError 400 */
export function readNumbers(value: unknown, name: string, records: number): number[] | null {
  if (value === undefined || value === null) return null;
  const isNumber = (each: unknown): boolean =>
    Number.isInteger(each) && Number(each) >= 0 && Number(each) < 2 ** 31;
  if (
    Array.isArray(value) &&
    value.length === records &&
    value.every((each) => each === null || isNumber(each))
  )
    return value as number[];
  throw badRequest(
    `${name}: got ${show(value)}, expected a list of ${records} whole numbers from 0, one for each record of data`,
  );
}
