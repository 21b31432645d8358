/**
 * Stamps. The server keeps them as text in UTC, which sorts by time: `YYYY-MM-DD` for daily bars,
 * `YYYY-MM-DD HH:MM:SS` for hourly bars, `YYYY-MM-DD HH:MM:SS.ffffff` for ticks. This file converts
 * from and to the forms that clients send and read.
 */
import { nowText } from "./clock.ts";
import { momentOfInteger, momentOfNumber } from "./epoch.ts";
import { parseLooseTimestamp } from "./loose-timestamp.ts";
import { daysInMonth, type Moment } from "./moment.ts";

/** Stored forms: `YYYY-MM-DD`, `YYYY-MM-DD HH:MM:SS`, `YYYY-MM-DD HH:MM:SS.ffffff`. */
export type StampType = "date" | "second" | "instant";

export { nowText } from "./clock.ts";

/** A client sent something unreadable or unstorable. The client gets the message as it is. */
export class TimestampError extends Error {
  override readonly name = "TimestampError";
}

/** Dates that can be stored, inclusive: the range of 64-bit nanoseconds. */
const DATE_MIN = "1677-09-22";
const DATE_MAX = "2262-04-11";

const EXPECTED_TEXT = "ISO 8601 such as 2024-01-02T10:00:00.123456Z, or an epoch number";
const EXPECTED_NUMBER =
  "epoch seconds, milliseconds, microseconds or nanoseconds, or a date such as 20240102";
const EXPECTED_RANGE = `a date from ${DATE_MIN} to ${DATE_MAX}`;
const SHOWN_LENGTH_MAX = 60;
/** Characters of a stamp as text; the longest sensible forms have about 60. */
const TEXT_LENGTH_MAX = 200;

const DAY_LENGTH = "2024-01-02".length;
const SECOND_LENGTH = "2024-01-02 10:00:00".length;
const TICK_LENGTH = "2024-01-02 10:00:00.123456".length;
const MIDNIGHT = " 00:00:00.000000";
const ZEROS = "000000";
const SECOND_MS = 1000;
/** Bounds may lie beyond the storable range: many write 9999-12-31 for "no end". */
const BOUND_MIN_MS = Date.parse("0001-01-01T00:00:00Z");
const BOUND_MAX_MS = Date.parse("9999-12-31T23:59:59Z");

const DASH = 45;
const DOT = 46;
const ZERO = 48;
const COLON = 58;
const NOT_DIGITS = -1;

/**
 * Reads an instant as UTC, `YYYY-MM-DD HH:MM:SS.ffffff`, cut off at microseconds. A text without a
 * zone is UTC; a date alone is its midnight. Numbers are epochs, with the unit by magnitude
 * (`epoch.ts`).
 * @returns null for "no date": null, undefined, NaN, and the texts "", "NaT" and "nan".
 * @throws TimestampError Neither a stamp nor "no date", or outside of 1677-09-22 … 2262-04-11.
 */
export function parseTimestamp(value: unknown): string | null {
  if (typeof value === "string" && value.length <= TEXT_LENGTH_MAX) {
    const text = parseIsoTimestamp(value);
    if (text !== null) return text;
  }
  const moment = readMoment(value);
  return moment === null ? null : storable(formatUtc(moment), value);
}

/**
 * Reads the calendar date of a daily bar, `YYYY-MM-DD`, as written: New York's bar of 2 January is
 * that day's bar everywhere, so the offset doesn't count. Null and errors as `parseTimestamp`.
 */
export function parseCalendarDate(value: unknown): string | null {
  if (typeof value === "string" && value.length <= TEXT_LENGTH_MAX && parseIsoTimestamp(value) !== null)
    return value.slice(0, DAY_LENGTH);
  const moment = readMoment(value);
  return moment === null ? null : storable(formatWall(moment), value).slice(0, DAY_LENGTH);
}

/** @param text From `parseTimestamp`. */
export function toHourly(text: string): string {
  return text.slice(0, SECOND_LENGTH);
}

/**
 * Reads an inclusive bound of a range, in any form that a save accepts, into the stored form of
 * `form`.
 *
 * A date, month or year as an end means its last instant; "today" is a date. Stamps in seconds have
 * no fraction, so a start within a second moves to the next. With daily bars only the calendar date
 * counts, as written: a bar stands for its whole day.
 * @returns null, unbounded, for what `parseTimestamp` calls "no date".
 * @throws TimestampError Not a stamp. Years 1 … 9999 are fine here.
 */
export function parseBound(value: unknown, edge: "start" | "end", form: StampType): string | null {
  const read = readMoment(value);
  if (read === null) return null;
  const moment = isToday(value)
    ? { ...read, wallMs: midnight(read.wallMs), micros: 0, precision: "day" as const }
    : read;
  const bound = edge === "end" ? endOf(moment) : moment;
  if (form === "date") return formatWall(bound).slice(0, DAY_LENGTH);
  if (form === "instant") return formatUtc(bound);
  const roundUp = edge === "start" && bound.micros > 0;
  return toHourly(formatUtc(roundUp ? { ...bound, wallMs: bound.wallMs + SECOND_MS } : bound));
}

/**
 * Turns any stored form, with or without `+00:00`, into what clients read:
 * `YYYY-MM-DDTHH:MM:SS.ffffffZ`. Returns other texts, which other programs may have written,
 * unchanged.
 */
export function toWire(text: string): string {
  if (text.charCodeAt(4) !== DASH || text.charCodeAt(7) !== DASH) return text;
  if (text.length === TICK_LENGTH && text.charCodeAt(SECOND_LENGTH) === DOT) {
    return `${text.slice(0, 10)}T${text.slice(11)}Z`;
  }
  if (text.length === SECOND_LENGTH) return `${text.slice(0, 10)}T${text.slice(11)}.${ZEROS}Z`;
  if (text.length === DAY_LENGTH) return `${text}T00:00:00.${ZEROS}Z`;
  const stored = parseIsoTimestamp(text);
  return stored === null ? text : toWire(stored);
}

/**
 * Reads the form of nearly every stamp: `2024-01-02`, or with blank or T a time, 0 … 9 digits of
 * fraction, and nothing, Z or +00:00. It uses no regular expression and no Date, as feeds save a
 * million stamps a second.
 * @returns null for other texts and impossible dates: the general parser decides on these.
 */
function parseIsoTimestamp(text: string): string | null {
  const length = text.length;
  if (length < DAY_LENGTH || text.charCodeAt(4) !== DASH || text.charCodeAt(7) !== DASH) return null;
  const year = twoDigits(text, 0) * 100 + twoDigits(text, 2);
  // Only parts of the years at the ends of the range can be stored.
  if (year <= 1677 || year >= 2262) return null;
  if (twoDigits(text, 2) === NOT_DIGITS) return null;
  const month = twoDigits(text, 5);
  const day = twoDigits(text, 8);
  if (month < 1 || month > 12 || day < 1) return null;
  if (day > 28 && day > daysInMonth(year, month)) return null;
  if (length === DAY_LENGTH) return text + MIDNIGHT;
  if (length < SECOND_LENGTH || !hasTime(text)) return null;

  const zoneLength = lengthOfUtcMark(text);
  const fractionEnd = length - zoneLength;
  if (fractionEnd === SECOND_LENGTH) return `${text.slice(0, 10)} ${text.slice(11, SECOND_LENGTH)}.${ZEROS}`;
  const digits = fractionEnd - SECOND_LENGTH - 1;
  if (digits < 1 || digits > 9 || text.charCodeAt(SECOND_LENGTH) !== DOT) return null;
  for (let at = SECOND_LENGTH + 1; at < fractionEnd; at += 1) {
    const digit = text.charCodeAt(at) - ZERO;
    if (digit < 0 || digit > 9) return null;
  }
  if (digits >= 6) return `${text.slice(0, 10)} ${text.slice(11, TICK_LENGTH)}`;
  return `${text.slice(0, 10)} ${text.slice(11, fractionEnd)}${ZEROS.slice(digits)}`;
}

function hasTime(text: string): boolean {
  const separator = text.charCodeAt(10);
  if (separator !== 84 && separator !== 32) return false;
  if (text.charCodeAt(13) !== COLON || text.charCodeAt(16) !== COLON) return false;
  const hour = twoDigits(text, 11);
  const minute = twoDigits(text, 14);
  const second = twoDigits(text, 17);
  return hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0 && second < 60;
}

function lengthOfUtcMark(text: string): number {
  if (text.charCodeAt(text.length - 1) === 90) return 1;
  return text.length >= SECOND_LENGTH + 6 && text.endsWith("+00:00") ? 6 : 0;
}

function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - ZERO;
  const ones = text.charCodeAt(at + 1) - ZERO;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : NOT_DIGITS;
}

function readMoment(value: unknown): Moment | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return readText(value);
  // The wire reads a bare NaN or Infinity as a missing value.
  if (typeof value === "number" && !Number.isFinite(value)) return null;
  if (typeof value !== "number" && typeof value !== "bigint") throw unreadable(value, EXPECTED_TEXT);
  const moment = typeof value === "number" ? momentOfNumber(value) : momentOfInteger(value);
  if (moment === null) throw unreadable(value, EXPECTED_NUMBER);
  return moment;
}

function readText(value: string): Moment | null {
  if (value.length > TEXT_LENGTH_MAX) throw unreadable(value, `at most ${TEXT_LENGTH_MAX} characters`);
  const word = value.trim().toLowerCase();
  if (word === "" || word === "nat" || word === "nan") return null;
  const moment = parseLooseTimestamp(word === "now" || word === "today" ? nowText() : value);
  if (moment === null) throw unreadable(value, EXPECTED_TEXT);
  return moment;
}

function isToday(value: unknown): boolean {
  return typeof value === "string" && value.trim().toLowerCase() === "today";
}

function midnight(wallMs: number): number {
  return new Date(wallMs).setUTCHours(0, 0, 0, 0);
}

/** The last microsecond of the day, month or year that was written; an instant stays. */
function endOf(moment: Moment): Moment {
  if (moment.precision === "time") return moment;
  const end = new Date(moment.wallMs);
  if (moment.precision === "year") end.setUTCFullYear(end.getUTCFullYear() + 1);
  else if (moment.precision === "month") end.setUTCMonth(end.getUTCMonth() + 1);
  else end.setUTCDate(end.getUTCDate() + 1);
  return { ...moment, wallMs: end.getTime() - SECOND_MS, micros: 999_999 };
}

function formatUtc(moment: Moment): string {
  return formatMs(moment.wallMs - moment.offsetMinutes * 60 * SECOND_MS, moment.micros);
}

function formatWall(moment: Moment): string {
  return formatMs(moment.wallMs, moment.micros);
}

/** Moves years beyond four digits to the bounds, which lie outside of the storable range anyway. */
function formatMs(ms: number, micros: number): string {
  const iso = new Date(Math.min(Math.max(ms, BOUND_MIN_MS), BOUND_MAX_MS)).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, SECOND_LENGTH)}.${String(micros).padStart(6, "0")}`;
}

function storable(text: string, value: unknown): string {
  const date = text.slice(0, DAY_LENGTH);
  if (date < DATE_MIN || date > DATE_MAX) throw unreadable(value, EXPECTED_RANGE);
  return text;
}

function unreadable(value: unknown, expected: string): TimestampError {
  return new TimestampError(`cannot read ${show(value)} as a timestamp: expected ${expected}`);
}

function show(value: unknown): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > SHOWN_LENGTH_MAX ? `${value.slice(0, SHOWN_LENGTH_MAX)}…` : value);
  }
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : String(value);
}
