/** How much of a stamp was written: decides where it ends when it is an upper bound. */
export type Precision = "year" | "month" | "day" | "time";

/** A point in time as somebody wrote it: the wall clock, and how far it is from UTC. */
export interface Moment {
  /** The wall clock as if it were UTC, Unix ms, whole seconds. */
  wallMs: number;
  /** Microseconds of that second, 0 … 999_999. */
  micros: number;
  /** Minutes east of UTC; 0 when nothing was said. */
  offsetMinutes: number;
  precision: Precision;
}

/** Null unless the calendar has that date: no 30 February. */
export function momentOfDate(year: number, month: number, day: number, precision: Precision): Moment | null {
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return null;
  // Date.UTC would read the years 0 … 99 as 1900 … 1999.
  const wallMs = new Date(0).setUTCFullYear(year, month - 1, day);
  return { wallMs, micros: 0, offsetMinutes: 0, precision };
}

export function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
