/**
 * Stamps. Inside the server a stamp is text in UTC, which sorts as time does: `YYYY-MM-DD` of a
 * daily bar, `YYYY-MM-DD HH:MM:SS` of an hourly bar, `YYYY-MM-DD HH:MM:SS.ffffff` of a tick. This
 * file turns what clients send into that text and back into what they read.
 */
import { nowText } from "./clock.ts";
import { momentOfInteger, momentOfNumber } from "./epoch.ts";
import { parseLooseTimestamp } from "./loose-timestamp.ts";
import { daysInMonth, type Moment } from "./moment.ts";

/** Stored forms: `YYYY-MM-DD`, `YYYY-MM-DD HH:MM:SS`, `YYYY-MM-DD HH:MM:SS.ffffff`. */
export type StampType = "date" | "second" | "instant";

export { newYorkDate, nowText } from "./clock.ts";

/** What a client sent as a stamp is none, or can't be stored. The client's fault, told as it is. */
export class TimestampError extends Error {
  override readonly name = "TimestampError";
}

/** Calendar dates that can be stored, inclusive: what nanoseconds in 64 bits can tell. */
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
/** Bounds may lie outside of what can be stored: 9999-12-31 is what many write for "no end". */
const BOUND_MIN_MS = Date.parse("0001-01-01T00:00:00Z");
const BOUND_MAX_MS = Date.parse("9999-12-31T23:59:59Z");

const DASH = 45;
const DOT = 46;
const ZERO = 48;
const COLON = 58;
const NOT_DIGITS = -1;

/**
 * The instant that a client means, in UTC, `YYYY-MM-DD HH:MM:SS.ffffff`; finer than microseconds is
 * cut off. Without a zone it is UTC; a date alone is its midnight. Numbers are epochs, told by
 * magnitude (`epoch.ts`).
 *
 * @returns Null for "no date": null, undefined, NaN, and the texts "", "NaT" and "nan".
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
 * The calendar date of a daily bar, `YYYY-MM-DD`: as written, whatever the offset, because a bar of
 * New York's
 * 2 January is that day's bar everywhere. Null and errors as `parseTimestamp`.
 */
export function parseCalendarDate(value: unknown): string | null {
  if (typeof value === "string" && value.length <= TEXT_LENGTH_MAX && parseIsoTimestamp(value) !== null)
    return value.slice(0, DAY_LENGTH);
  const moment = readMoment(value);
  return moment === null ? null : storable(formatWall(moment), value).slice(0, DAY_LENGTH);
}

/** The stamp of an hourly bar, `YYYY-MM-DD HH:MM:SS`, of a text from `parseTimestamp`. */
export function toHourly(text: string): string {
  return text.slice(0, SECOND_LENGTH);
}

/**
 * An inclusive bound of a range, in the stored form of what it is compared with; any form that a
 * save accepts.
 *
 * As an end, a date means the end of that day, a month or year without day the end of that; "today"
 * is a date. A start within a second, where stamps have no fraction, begins with the
 * next second. Of a date only the calendar day counts, as written and inclusive at both ends: a
 * daily bar stands for its whole day.
 *
 * @returns Null, unbounded, for what is "no date" to `parseTimestamp`.
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
 * `YYYY-MM-DDTHH:MM:SS.ffffffZ`, as clients read it, of any stored form: date, seconds or fraction,
 * with or without `+00:00`. Rows written by other programs may hold any text; what is no stamp goes
 * out as it is.
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
 * The form that nearly every stamp has: `2024-01-02`, or with blank or T a time with 0 … 9 digits
 * of fraction and nothing, Z or +00:00 behind. A feed saves a million of these a second: no regular
 * expression, no Date.
 *
 * @returns Null for every other text, also for dates that don't exist: the general parser has the
 *   last word.
 */
function parseIsoTimestamp(text: string): string | null {
  const length = text.length;
  if (length < DAY_LENGTH || text.charCodeAt(4) !== DASH || text.charCodeAt(7) !== DASH) return null;
  const year = twoDigits(text, 0) * 100 + twoDigits(text, 2);
  // The years at the ends of the range are storable in part only.
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

/** T or blank at 10, then HH:MM:SS within the day. */
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
  // The wire reads a bare NaN or Infinity as a hole.
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

/** The last microsecond of the day, month or year that was written; an instant stays as it is. */
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

/**
 * Years have four digits: what lies beyond them is moved to their ends, all of it outside of what
 * is stored.
 */
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
