/**
 * Rows of an answer straight into columns, a third of the work of an object for each.
 *
 * The rows of an answer have the members of its first one, in the same order. What isn't as most
 * rows are, such as one with an integer that no double holds, is parsed as JSON.
 */
import { daysInMonth } from "../../market/moment.ts";
import type { JsonRecord } from "../../protocol/json.ts";
import {
  type BatchCells,
  type Cells,
  Counts,
  Dates,
  Doubles,
  Instants,
  Seqs,
  Texts,
} from "../column-cells.ts";
import { type KindName, kindOf } from "../model/kinds.ts";

const NULL_BEGIN = 110;
const NULL_BYTES = "null".length;
const QUOTE = 34;
const BACKSLASH = 92;
const COMMA = 44;
const MINUS = 45;
const DOT = 46;
const ZERO = 48;
const CLOSE = 125;
const T = 84;
const Z = 90;
/** `"2024-01-02T10:00:00.000001Z"` */
const STAMP_BYTES = 29;
/** Within these years, microseconds are exact as doubles. */
const YEAR_MIN = 1700;
const YEAR_MAX = 2250;
const DAY_S = 86_400;
const MICROS = 1_000_000;
/** An integer of so many digits is exact, and so is its quotient by a power of ten. */
const DIGITS_MAX = 15;
const POWERS = Array.from({ length: DIGITS_MAX + 1 }, (_, digits) => 10 ** digits);

/** Columns that may have no value. */
const NULLABLE = [Doubles, Counts, Texts];

interface WireMember {
  /** `,"price":`, of the first with a brace in front. */
  name: Uint8Array;
  /** Its place in the batch; -1: it is not asked for. */
  column: number;
}

export class RowParser {
  readonly #inSeconds: boolean;
  readonly #members: WireMember[];
  #day = Number.NaN;
  #daySeconds = 0;
  /** Where the value that was read last ends. */
  #at = 0;

  /**
   * @param record a row of the answer.
   * @param names the columns of the batch.
   */
  constructor(name: KindName, record: JsonRecord, names: readonly string[]) {
    this.#inSeconds = kindOf(name).stamp.type === "second";
    this.#members = Object.keys(record).map((member, index) => ({
      name: Buffer.from(`${index === 0 ? "{" : ","}${JSON.stringify(member)}:`),
      column: names.indexOf(member),
    }));
  }

  /**
   * Sets the cells of a row of the batch.
   *
   * @returns Where the row ends; -1: it hasn't come whole, or has to be parsed as JSON.
   */
  read(bytes: Uint8Array, start: number, end: number, batch: BatchCells): number {
    let at = start;
    for (const { name, column } of this.#members) {
      for (let i = 0; i < name.length; i++) if (bytes[at + i] !== name[i]) return -1;
      at += name.length;
      if (at >= end) return -1;
      if (column < 0) {
        at = skip(bytes, at, end);
        if (at < 0) return -1;
        continue;
      }
      const cells = batch.columns[column]!;
      if (bytes[at] === NULL_BEGIN) {
        if (!NULLABLE.some((type) => cells instanceof type)) return -1;
        cells.setNull(batch.rows);
        at += NULL_BYTES;
      } else {
        if (!this.#value(cells, batch.rows, bytes, at)) return -1;
        at = this.#at;
      }
      if (at >= end) return -1;
    }
    return bytes[at] === CLOSE ? at + 1 : -1;
  }

  #value(cells: Cells, row: number, bytes: Uint8Array, at: number): boolean {
    if (cells instanceof Instants || cells instanceof Dates) return this.#stamp(cells, row, bytes, at);
    const number = this.#number(bytes, at);
    if (Number.isNaN(number)) return false;
    if (cells instanceof Doubles || cells instanceof Counts) cells.values[row] = number;
    else if (cells instanceof Seqs) cells.seqs.set(row, number);
    else return false;
    return true;
  }

  #stamp(cells: Instants | Dates, row: number, bytes: Uint8Array, at: number): boolean {
    if (bytes[at] !== QUOTE || bytes[at + 11] !== T || bytes[at + 27] !== Z) return false;
    const day = digits(bytes, at + 1, 4) * 10_000 + digits(bytes, at + 6, 2) * 100 + digits(bytes, at + 9, 2);
    if (day !== this.#day && !this.#turnTo(day)) return false;
    const second =
      (digits(bytes, at + 12, 2) * 60 + digits(bytes, at + 15, 2)) * 60 + digits(bytes, at + 18, 2);
    const micros = digits(bytes, at + 21, 6);
    if (!(second < DAY_S && micros < MICROS) || (this.#inSeconds && micros > 0)) return false;
    if (cells instanceof Dates) cells.values[row] = this.#daySeconds / DAY_S;
    else cells.stamps.set(row, (this.#daySeconds + second) * MICROS + micros);
    this.#at = at + STAMP_BYTES;
    return bytes[this.#at - 1] === QUOTE;
  }

  #turnTo(day: number): boolean {
    const year = Math.floor(day / 10_000);
    const month = Math.floor(day / 100) % 100;
    if (!(year >= YEAR_MIN && year <= YEAR_MAX && month >= 1 && month <= 12)) return false;
    if (day % 100 < 1 || day % 100 > daysInMonth(year, month)) return false;
    this.#day = day;
    this.#daySeconds = Date.UTC(year, month - 1, day % 100) / 1_000;
    return true;
  }

  /** NaN: it has an exponent, or so many digits that its last may not count. */
  #number(bytes: Uint8Array, start: number): number {
    let at = start;
    const isNegative = bytes[at] === MINUS;
    if (isNegative) at++;
    let value = 0;
    let count = 0;
    let pointAt = -1;
    for (; ; at++) {
      const byte = bytes[at]!;
      const digit = byte - ZERO;
      if (digit >>> 0 < 10) {
        value = value * 10 + digit;
        count++;
      } else if (byte === DOT && pointAt < 0) pointAt = at;
      else if (byte === COMMA || byte === CLOSE) break;
      else return Number.NaN;
    }
    if (count === 0 || count > DIGITS_MAX) return Number.NaN;
    this.#at = at;
    if (pointAt >= 0) value /= POWERS[at - pointAt - 1]!;
    return isNegative ? -value : value;
  }
}

/** NaN where they are none. */
function digits(bytes: Uint8Array, start: number, count: number): number {
  let value = 0;
  for (let at = start; at < start + count; at++) {
    const digit = bytes[at]! - ZERO;
    value = digit >>> 0 < 10 ? value * 10 + digit : Number.NaN;
  }
  return value;
}

/** @returns Where the value ends; -1: not here, or it is more than a number or a plain text. */
function skip(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  if (bytes[at] === QUOTE) {
    for (at++; bytes[at] !== QUOTE; at++) if (at >= end || bytes[at] === BACKSLASH) return -1;
    return at + 1;
  }
  for (; bytes[at] !== COMMA && bytes[at] !== CLOSE; at++) if (at >= end) return -1;
  return at;
}
