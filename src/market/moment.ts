/** The finest part that was written. It decides where an upper bound ends. */
export type Precision = "year" | "month" | "day" | "time";

/** A point in time as written: a wall clock and its offset from UTC. */
export interface Moment {
  /** The wall clock as if it were UTC: Unix ms, whole seconds. */
  wallMs: number;
  /** Microseconds within that second, 0 … 999_999. */
  micros: number;
  /** Minutes east of UTC; 0 when none was given. */
  offsetMinutes: number;
  precision: Precision;
}

/** @returns null for a date that the calendar lacks, such as 30 February. */
export function momentOfDate(year: number, month: number, day: number, precision: Precision): Moment | null {
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return null;
  // Date.UTC reads the years 0 … 99 as 1900 … 1999.
  const wallMs = new Date(0).setUTCFullYear(year, month - 1, day);
  return { wallMs, micros: 0, offsetMinutes: 0, precision };
}

export function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
