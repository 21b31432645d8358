import { ClockLines } from "./clock-lines.ts";
import type { Bucket, Grid } from "./contract.ts";
import { bucketsOf } from "./grid-buckets.ts";
import { SessionCursor } from "./session-cursor.ts";
import type { AskedDates, Sessions } from "./sessions.ts";

const DAY_MICROS = 86_400_000_000;

/** Buckets of seconds, minutes and hours. */
export class SecondsGrid implements Grid {
  start = Number.NaN;
  end = Number.NaN;
  from = Number.POSITIVE_INFINITY;
  until = Number.NEGATIVE_INFINITY;
  date = Number.NaN;
  readonly #sessions: Sessions;
  readonly #step: number;
  readonly #fromOpen: boolean;
  readonly #asked: AskedDates;
  readonly #cursor: SessionCursor;
  readonly #lines: ClockLines;
  /** Lines lie at `#base` and whole steps from it, as long as the part and the offset last. */
  #stretchFrom = Number.POSITIVE_INFINITY;
  #stretchUntil = Number.NEGATIVE_INFINITY;
  /** Where a bucket ends at the latest that is whole and has no change of the clock at its end. */
  #wholeUntil = Number.NEGATIVE_INFINITY;
  #base = Number.NaN;

  /** @param step in µs. @param fromOpen Lines are counted from the open, else from midnight. */
  constructor(sessions: Sessions, step: number, fromOpen: boolean, asked: AskedDates) {
    this.#sessions = sessions;
    this.#step = step;
    this.#fromOpen = fromOpen;
    this.#asked = asked;
    this.#cursor = new SessionCursor(sessions, asked);
    this.#lines = new ClockLines(sessions.zone, step);
  }

  get assumed(): string | null {
    return this.#sessions.warning(this.#asked);
  }

  seek(micros: number): boolean {
    const { until } = this;
    if (micros >= this.from && micros < until) return true;
    const afterNext = until + this.#step;
    if (micros >= until && micros < afterNext && afterNext <= this.#wholeUntil) {
      this.start = until;
      this.from = until;
      this.end = afterNext;
      this.until = afterNext;
      return true;
    }
    if (micros >= this.#stretchFrom && micros < this.#stretchUntil) {
      const line = this.#base + Math.floor((micros - this.#base) / this.#step) * this.#step;
      const next = line + this.#step;
      if (line >= this.#stretchFrom && next <= this.#wholeUntil) {
        this.start = line;
        this.from = line;
        this.end = next;
        this.until = next;
        return true;
      }
    }
    return this.#find(micros);
  }

  buckets(fromMicros: number, toMicros: number, max: number): Iterable<Bucket> {
    const grid = new SecondsGrid(this.#sessions, this.#step, this.#fromOpen, this.#asked);
    return bucketsOf(grid, () => grid.#cursor.gapUntil, fromMicros, toMicros, max);
  }

  #find(micros: number): boolean {
    const cursor = this.#cursor;
    if (!cursor.seek(micros)) {
      this.from = Number.POSITIVE_INFINITY;
      this.#stretchFrom = Number.POSITIVE_INFINITY;
      return false;
    }
    const lines = this.#lines;
    lines.seek(micros, this.#anchor());
    this.#stretchFrom = Math.max(cursor.partFrom, lines.periodFrom);
    this.#stretchUntil = Math.min(cursor.partUntil, lines.periodUntil);
    this.#wholeUntil = Math.min(cursor.partUntil, lines.periodUntil - 1);
    this.#base = lines.base;
    this.date = cursor.date;
    this.from = Math.max(lines.from, cursor.partFrom);
    this.until = Math.min(lines.until, cursor.partUntil);
    this.end = this.until;
    this.start = lines.from < this.from && lines.from < cursor.endBefore() ? this.from : lines.from;
    return true;
  }

  #anchor(): number {
    const { date, open } = this.#cursor;
    // Days of a zone begin at midnight even where a jump of the clock leaves midnight out.
    if (!this.#fromOpen || this.#sessions.wholeDays) return date * DAY_MICROS;
    return open + this.#sessions.zone.offsetAt(Math.floor(open / 1_000)) * 1_000;
  }
}
