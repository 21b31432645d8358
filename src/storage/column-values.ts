/**
 * Values of columns from and to other forms, without a BigInt for each: a 64-bit integer is written
 * and read as its two halves where a double holds it.
 */
import { parseCalendarDate, TimestampError } from "../market/timestamp.ts";
import type { ColumnData } from "./model/columns.ts";

const TWO_32 = 2 ** 32;
const INT64_END = 2 ** 63;
const DAY_MS = 86_400_000;
const DAY_S = 86_400;
const MICROS = 1_000_000;
const DAY_LENGTH = "2024-01-02".length;
const SECOND_LENGTH = "2024-01-02 10:00:00".length;
const INSTANT_LENGTH = "2024-01-02 10:00:00.123456".length;
const BLANK = 32;
const DOT = 46;
const COLON = 58;
const ZERO = 48;

/** An array of 64-bit integers, and its halves: the machines that Bun runs on put the low first. */
export class Int64s {
  readonly values: BigInt64Array<ArrayBuffer>;
  readonly #halves: Int32Array;

  constructor(rows: number) {
    this.values = new BigInt64Array(rows);
    this.#halves = new Int32Array(this.values.buffer);
  }

  /** @param value whole, and within 64 bits. */
  set(index: number, value: number): void {
    if (!Number.isSafeInteger(value)) {
      this.values[index] = BigInt(value);
      return;
    }
    const high = Math.floor(value / TWO_32);
    this.#halves[2 * index] = value - high * TWO_32;
    this.#halves[2 * index + 1] = high;
  }
}

/**
 * Counts in the type that ColumnBatch names for them.
 *
 * @param wide those that are whole, and that no double may hold, by their row.
 */
export function countData(
  values: Float64Array,
  wide: ReadonlyMap<number, bigint>,
  nulls: Uint8Array | null,
): ColumnData {
  if (areInt64(values) && [...wide.values()].every((value) => BigInt.asIntN(64, value) === value)) {
    const whole = new Int64s(values.length);
    for (let row = 0; row < values.length; row++) whole.set(row, values[row]!);
    for (const [row, value] of wide) whole.values[row] = value;
    return { type: "int64", values: whole.values, nulls };
  }
  if ([...wide.values()].every((value) => BigInt(Number(value)) === value)) {
    for (const [row, value] of wide) values[row] = Number(value);
    return { type: "double", values, nulls };
  }
  const texts = new Dictionary(values.length);
  for (const [row, value] of values.entries()) texts.set(row, String(wide.get(row) ?? value));
  return { ...texts.data, nulls };
}

function areInt64(values: Float64Array): boolean {
  for (let row = 0; row < values.length; row++) {
    const value = values[row]!;
    // Quicker than to ask Number.isInteger: NaN is within no bounds.
    if (!(value >= -INT64_END && value < INT64_END && Math.trunc(value) === value)) return false;
  }
  return true;
}

/** Texts of a batch, each once. */
export class Dictionary {
  readonly data: { type: "text"; codes: Int32Array; dictionary: string[] };
  readonly #codes = new Map<string, number>();

  constructor(rows: number) {
    this.data = { type: "text", codes: new Int32Array(rows), dictionary: [] };
  }

  set(row: number, text: string): void {
    this.data.codes[row] = this.#codeOf(text);
  }

  /** @param end exclusive. */
  fill(text: string, start: number, end: number): void {
    this.data.codes.fill(this.#codeOf(text), start, end);
  }

  #codeOf(text: string): number {
    let code = this.#codes.get(text);
    if (code === undefined) {
      code = this.data.dictionary.push(text) - 1;
      this.#codes.set(text, code);
    }
    return code;
  }
}

/** Stamps in canonical text as numbers. Their day is looked at once for all that share it. */
export class StampReader {
  #day = "none";
  #daySeconds = 0;
  /** Of the text that was read last. */
  #seconds = 0;
  #fraction = 0;

  /** Writes the microseconds since 1970. @returns False: the text isn't canonical. */
  read(text: string, into: Int64s, row: number): boolean {
    const micros = this.micros(text);
    if (Number.isNaN(micros)) return false;
    if (Number.isSafeInteger(micros)) into.set(row, micros);
    else {
      // Far from 1970.
      into.values[row] = BigInt(this.#seconds) * BigInt(MICROS) + BigInt(this.#fraction);
    }
    return true;
  }

  /** Since 1970; NaN: the text isn't canonical. No safe integer: it isn't exact. */
  micros(text: string): number {
    const { length } = text;
    if (length !== INSTANT_LENGTH && length !== SECOND_LENGTH) return Number.NaN;
    if (!text.startsWith(this.#day) && !this.#turnTo(text.slice(0, DAY_LENGTH))) return Number.NaN;
    if (text.charCodeAt(10) !== BLANK || text.charCodeAt(13) !== COLON || text.charCodeAt(16) !== COLON)
      return Number.NaN;
    const hour = twoDigits(text, 11);
    const minute = twoDigits(text, 14);
    const second = twoDigits(text, 17);
    if (!(hour < 24 && minute < 60 && second < 60)) return Number.NaN;
    this.#fraction = 0;
    if (length === INSTANT_LENGTH) {
      if (text.charCodeAt(SECOND_LENGTH) !== DOT) return Number.NaN;
      this.#fraction = twoDigits(text, 20) * 10_000 + twoDigits(text, 22) * 100 + twoDigits(text, 24);
    }
    this.#seconds = this.#daySeconds + hour * 3_600 + minute * 60 + second;
    return this.#seconds * MICROS + this.#fraction;
  }

  #turnTo(day: string): boolean {
    const days = daysOf(day);
    if (days === null) return false;
    this.#day = day;
    this.#daySeconds = days * DAY_S;
    return true;
  }
}

/** Days since 1970; null: no `YYYY-MM-DD` that can be stored. */
export function daysOf(day: string): number | null {
  try {
    return parseCalendarDate(day) === day ? Date.parse(`${day}T00:00:00Z`) / DAY_MS : null;
  } catch (error) {
    if (error instanceof TimestampError) return null;
    throw error;
  }
}

/** NaN where they are none. */
function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - ZERO;
  const ones = text.charCodeAt(at + 1) - ZERO;
  return tens >>> 0 < 10 && ones >>> 0 < 10 ? tens * 10 + ones : Number.NaN;
}
