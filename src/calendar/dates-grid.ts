import type { Bucket, Grid, Timeframe } from "./contract.ts";
import { bucketsOf } from "./grid-buckets.ts";
import { SessionCursor } from "./session-cursor.ts";
import type { AskedDates, Sessions } from "./sessions.ts";

const DAY_MS = 86_400_000;
/** Several days and weeks are counted from this Monday, months from its year, as DuckDB does. */
const MONDAY = Date.UTC(2000, 0, 3) / DAY_MS;
const YEAR = 2000;

/** Buckets of days, weeks and months, by session date. */
export class DatesGrid implements Grid {
  start = Number.NaN;
  end = Number.NaN;
  from = Number.POSITIVE_INFINITY;
  until = Number.NEGATIVE_INFINITY;
  date = Number.NaN;
  readonly #sessions: Sessions;
  readonly #timeframe: Timeframe;
  readonly #asked: AskedDates;
  readonly #cursor: SessionCursor;
  /** What `buckets` goes through. */
  readonly #listed: Sessions;
  /** The dates of the bucket last found. */
  #firstDate = Number.POSITIVE_INFINITY;
  #nextDate = Number.NEGATIVE_INFINITY;

  /** @param listed has those sessions of `sessions` that are worth a bucket without a stamp. */
  constructor(sessions: Sessions, timeframe: Timeframe, asked: AskedDates, listed = sessions) {
    this.#sessions = sessions;
    this.#listed = listed;
    this.#timeframe = timeframe;
    this.#asked = asked;
    this.#cursor = new SessionCursor(sessions, asked);
  }

  get assumed(): string | null {
    return this.#listed.warning(this.#asked);
  }

  seek(micros: number): boolean {
    if (micros >= this.from && micros < this.until) return true;
    const cursor = this.#cursor;
    if (!cursor.seek(micros)) {
      this.from = Number.POSITIVE_INFINITY;
      return false;
    }
    this.from = cursor.partFrom;
    this.until = cursor.partUntil;
    this.date = cursor.date;
    if (this.date < this.#firstDate || this.date >= this.#nextDate) this.#takeDates();
    return true;
  }

  buckets(fromMicros: number, toMicros: number, max: number): Iterable<Bucket> {
    const grid = new DatesGrid(this.#listed, this.#timeframe, this.#asked);
    return bucketsOf(grid, () => grid.#cursor.gapUntil, fromMicros, toMicros, max);
  }

  #takeDates(): void {
    [this.#firstDate, this.#nextDate] = datesOf(this.date, this.#timeframe);
    const { zone } = this.#sessions;
    this.start = zone.startOf(this.#firstDate * DAY_MS) * 1_000;
    this.end = zone.startOf(this.#nextDate * DAY_MS) * 1_000;
  }
}

/** @returns the first date of the bucket, and that of the next one. */
function datesOf(date: number, { unit, count }: Timeframe): [number, number] {
  if (unit === "month") {
    const day = new Date(date * DAY_MS);
    const months = (day.getUTCFullYear() - YEAR) * 12 + day.getUTCMonth();
    const first = Math.floor(months / count) * count;
    return [dateOfMonth(first), dateOfMonth(first + count)];
  }
  const days = unit === "week" ? count * 7 : count;
  const first = MONDAY + Math.floor((date - MONDAY) / days) * days;
  return [first, first + days];
}

/** @param months since January of `YEAR`. */
function dateOfMonth(months: number): number {
  // Date.UTC reads the years 0 … 99 as 1900 … 1999.
  return new Date(0).setUTCFullYear(YEAR, months, 1) / DAY_MS;
}
