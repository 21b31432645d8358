/**
 * Lines of plain ticks, read from the text into columns without a string for each field: a stamp in
 * ISO 8601 or as an epoch number, and numbers in digits with a decimal point. Any other line is
 * left to the reader of rows, which knows all forms and all errors.
 */
import { type ColumnPlan, isBars } from "../../market/csv.ts";
import type { DateOrder } from "../../market/date-order.ts";
import { EPOCH_RANGES, type EpochUnit } from "../../market/epoch-unit.ts";
import { daysOf } from "../../storage/column-values.ts";

export const TICK_VALUES = ["price", "size", "ask_price", "ask_size"] as const;
type TickValue = (typeof TICK_VALUES)[number];

/** Rows of successive lines. The arrays are used again: take what is kept before the next lines. */
export interface PlainTicks {
  firstLine: number;
  rows: number;
  /** Since 1970, whole. */
  micros: Float64Array;
  /** Of the columns of `names`, in their order. */
  values: readonly Float64Array[];
  names: readonly TickValue[];
}

interface PlainForm {
  separator: number;
  /** What each field of a line is: the index of a value, or one of the two below. */
  fields: Int32Array;
  names: TickValue[];
  /** Null: ISO 8601. */
  unit: EpochUnit | null;
  /** Whether stamps say their zone; null: some do. */
  saysZone: boolean | null;
}

/** What of a layout says whether ticks are plain: see Layout. */
interface TickLayout {
  plan: ColumnPlan;
  tickerIndex: number | null;
  rows: object | null;
  own: object | null;
  checks: readonly unknown[];
  stamps: { unit: EpochUnit | null; order: DateOrder | null };
  zone: object | null;
  saysZone: boolean | null;
  numbers: { decimal: string };
  scale: number | null;
}

const STAMP = -1;
const LEFT_OUT = -2;
const NOT_PLAIN = Number.NaN;

const FIRST_ROWS = 1_024;
/** A double holds every integer of so many digits. */
const EXACT_DIGITS = 15;
const POWERS = Array.from({ length: EXACT_DIGITS + 1 }, (_, n) => 10 ** n);
const DAY_S = 86_400;
const MICROS = 1_000_000;
/** Of a second's fraction; what is finer is cut off, as the plan says. */
const FRACTION_DIGITS = 6;
const FRACTION_DIGITS_MAX = 9;
/** More than microseconds have. */
const NANO_DIGITS = 3;
/** Between these, a double holds every microsecond. */
const YEARS = { from: 1700, to: 2200 };

const NEWLINE = 10;
const RETURN = 13;
const BLANK = 32;
const QUOTE = 34;
const PLUS = 43;
const MINUS = 45;
const DOT = 46;
const ZERO = 48;
const COLON = 58;
const LETTER_T = 84;
const LETTER_Z = 90;

/** @param separator of the text. @returns null: such ticks aren't plain. */
export function plainTicksOf(layout: TickLayout, separator: string): PlainTickLines | null {
  const { plan, zone, stamps, numbers, scale, rows, own, checks, tickerIndex, saysZone } = layout;
  const isOfTicks = rows === null && own === null && tickerIndex === null && !isBars(plan.kind);
  const isWhole =
    checks.length === 0 && plan.id === null && plan.extras.length === 0 && plan.stampIndexes.length === 1;
  const hasPlainText =
    zone === null && stamps.order === null && numbers.decimal === "point" && scale === null;
  if (!isOfTicks || !isWhole || !hasPlainText || separator.length !== 1) return null;
  const names = TICK_VALUES.filter((name) => plan.numbers.some((column) => column.name === name));
  const isKnown = names.length === plan.numbers.length && names[0] === "price" && names[1] === "size";
  if (!isKnown) return null;
  const fields = new Int32Array(plan.width).fill(LEFT_OUT);
  fields[plan.stampIndexes[0]!] = STAMP;
  for (const { name, index } of plan.numbers) fields[index] = names.indexOf(name as TickValue);
  return new PlainTickLines({
    separator: separator.charCodeAt(0),
    fields,
    names,
    unit: stamps.unit,
    saysZone,
  });
}

export class PlainTickLines {
  readonly #form: PlainForm;
  /** Lines of a header aren't looked at. */
  isOn = false;
  #rows = 0;
  #micros = new Float64Array(FIRST_ROWS);
  #values: Float64Array<ArrayBuffer>[];
  /** Where the field that was read last ends. */
  #at = 0;
  #dayKey = -1;
  #daySeconds = 0;

  constructor(form: PlainForm) {
    this.#form = form;
    this.#values = form.names.map(() => new Float64Array(FIRST_ROWS));
  }

  /** Rows that `take` has not taken. */
  get rows(): number {
    return this.#rows;
  }

  /**
   * Reads lines up to one that isn't plain, or whose end isn't there.
   * @returns where that begins.
   */
  read(text: string, start: number): number {
    let at = start;
    while (this.#readLine(text, at)) {
      this.#rows++;
      at = this.#at;
    }
    return at;
  }

  take(firstLine: number): PlainTicks {
    const rows = this.#rows;
    this.#rows = 0;
    return { firstLine, rows, micros: this.#micros, values: this.#values, names: this.#form.names };
  }

  /** What it writes counts only if the whole line is plain. */
  #readLine(text: string, start: number): boolean {
    const { fields, separator } = this.#form;
    const row = this.#rows;
    if (row === this.#micros.length) this.#grow();
    const last = fields.length - 1;
    let at = start;
    for (let index = 0; index <= last; index++) {
      const field = fields[index]!;
      this.#at = at;
      if (field === LEFT_OUT) this.#pass(text, at);
      else {
        const value = field === STAMP ? this.#readStamp(text, at) : this.#readNumber(text, at);
        if (Number.isNaN(value)) return false;
        if (field === STAMP) this.#micros[row] = value;
        else this.#values[field]![row] = value;
      }
      at = this.#at;
      if (index < last && text.charCodeAt(at++) !== separator) return false;
    }
    if (text.charCodeAt(at) === RETURN) at++;
    if (text.charCodeAt(at) !== NEWLINE) return false;
    this.#at = at + 1;
    return true;
  }

  /** Digits with a point, so few that the quotient is the double nearest to what is written. */
  #readNumber(text: string, start: number): number {
    const isNegative = text.charCodeAt(start) === MINUS;
    let at = isNegative ? start + 1 : start;
    const first = at;
    let value = 0;
    let point = -1;
    for (;;) {
      const sign = text.charCodeAt(at);
      if (sign >= ZERO && sign < COLON) value = value * 10 + sign - ZERO;
      else if (sign === DOT && point < 0) point = at;
      else break;
      at++;
    }
    const digits = at - first - (point < 0 ? 0 : 1);
    if (digits === 0 || digits > EXACT_DIGITS) return NOT_PLAIN;
    this.#at = at;
    if (point >= 0) value /= POWERS[at - point - 1]!;
    return isNegative ? -value : value;
  }

  #readStamp(text: string, at: number): number {
    const { unit } = this.#form;
    return unit === null ? this.#readIso(text, at) : this.#readEpoch(text, at, unit);
  }

  #readIso(text: string, at: number): number {
    const day = this.#secondsOfDay(text, at);
    const between = text.charCodeAt(at + 10);
    if (between !== LETTER_T && between !== BLANK) return NOT_PLAIN;
    if (text.charCodeAt(at + 13) !== COLON || text.charCodeAt(at + 16) !== COLON) return NOT_PLAIN;
    const hour = twoDigits(text, at + 11);
    const minute = twoDigits(text, at + 14);
    const second = twoDigits(text, at + 17);
    if (!(hour < 24 && minute < 60 && second < 60)) return NOT_PLAIN;
    this.#at = at + 19;
    const fraction = text.charCodeAt(this.#at) === DOT ? this.#readFraction(text) : 0;
    if (!this.#passZone(text)) return NOT_PLAIN;
    return (day + hour * 3_600 + minute * 60 + second) * MICROS + fraction;
  }

  /** Seconds from 1970 to its midnight. */
  #secondsOfDay(text: string, at: number): number {
    if (text.charCodeAt(at + 4) !== MINUS || text.charCodeAt(at + 7) !== MINUS) return NOT_PLAIN;
    const year = twoDigits(text, at) * 100 + twoDigits(text, at + 2);
    const key = year * 10_000 + twoDigits(text, at + 5) * 100 + twoDigits(text, at + 8);
    if (key === this.#dayKey) return this.#daySeconds;
    const isExact = year >= YEARS.from && year < YEARS.to;
    const days = isExact ? daysOf(text.slice(at, at + 10)) : null;
    if (days === null) return NOT_PLAIN;
    this.#dayKey = key;
    this.#daySeconds = days * DAY_S;
    return this.#daySeconds;
  }

  #readFraction(text: string): number {
    const first = this.#at + 1;
    let at = first;
    let micros = 0;
    for (;;) {
      const digit = text.charCodeAt(at) - ZERO;
      if (!(digit >= 0 && digit <= 9)) break;
      if (at - first < FRACTION_DIGITS) micros = micros * 10 + digit;
      at++;
    }
    const digits = at - first;
    if (digits === 0 || digits > FRACTION_DIGITS_MAX) return NOT_PLAIN;
    this.#at = at;
    return digits < FRACTION_DIGITS ? micros * POWERS[FRACTION_DIGITS - digits]! : micros;
  }

  /** @returns false: the others of the column say it and this one doesn't, or they don't. */
  #passZone(text: string): boolean {
    const { saysZone } = this.#form;
    const sign = text.charCodeAt(this.#at);
    if (sign !== LETTER_Z && sign !== PLUS) return saysZone !== true;
    if (sign === PLUS && text.slice(this.#at, this.#at + 6) !== "+00:00") return false;
    this.#at += sign === PLUS ? 6 : 1;
    return saysZone !== false;
  }

  /** Digits that can't be of another unit. */
  #readEpoch(text: string, start: number, unit: EpochUnit): number {
    let at = start;
    let value = 0;
    for (;;) {
      const digit = text.charCodeAt(at) - ZERO;
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
      at++;
    }
    this.#at = at;
    const { from, to, micros } = EPOCH_RANGES[unit];
    if (at === start || !(value >= from && value < to)) return NOT_PLAIN;
    // No double holds them: what is finer than microseconds is cut off from the text.
    return unit === "ns" ? Number(text.slice(start, at - NANO_DIGITS)) : value * micros;
  }

  /** To the end of a field that is left out. */
  #pass(text: string, start: number): void {
    const { separator } = this.#form;
    let at = start;
    for (;;) {
      const sign = text.charCodeAt(at);
      // The end of the text is NaN.
      if (sign === separator || sign === NEWLINE || sign === RETURN || sign === QUOTE || !(sign >= 0)) break;
      at++;
    }
    this.#at = at;
  }

  #grow(): void {
    const longer = (values: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> => {
      const grown = new Float64Array(values.length * 2);
      grown.set(values);
      return grown;
    };
    this.#micros = longer(this.#micros);
    this.#values = this.#values.map(longer);
  }
}

/** NaN where they are none. */
function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - ZERO;
  const ones = text.charCodeAt(at + 1) - ZERO;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
}
