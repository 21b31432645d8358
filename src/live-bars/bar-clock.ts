/** When the bars of one spec close: by the server's clock, also when no trade comes. */
import type { Bucket, Grid } from "../calendar/contract.ts";
import { openGrid } from "../calendar/open-grid.ts";
import type { BarSpec } from "./bar-spec.ts";

/**
 * A bar is told so long after its end: trades of its last moment are on their way. Those that come
 * later change it, and it is told again.
 */
const GRACE_MS = 1_000;
/** Buckets that are told when many close at once, after the machine was suspended: the newest. */
const CLOSED_MAX = 1_000;
/** Buckets that are looked at for that. */
const LOOKED_MAX = 100_000;
const DAY_MICROS = 86_400_000_000;
/** How far a next bucket is looked for. */
const HORIZON_MICROS = 120 * DAY_MICROS;
/** The stamps of a bucket of days may lie so far outside of it: the Sunday evening of a Monday. */
const BEYOND_MICROS = 3 * DAY_MICROS;

export class BarClock {
  readonly grid: Grid;
  readonly #hasDates: boolean;
  /** Buckets that end up to here are closed, in µs since 1970. */
  #closedUntil: number;

  constructor({ timeframe, calendar, session }: BarSpec, nowMs: number) {
    this.grid = openGrid({ timeframe, calendar, session });
    this.#hasDates = timeframe.unit !== "second";
    this.#closedUntil = (nowMs - GRACE_MS) * 1_000;
  }

  get closedUntil(): number {
    return this.#closedUntil;
  }

  isClosed({ end }: Bucket): boolean {
    return end <= this.#closedUntil;
  }

  /** @returns null: the stamp is outside of the session. */
  bucketOf(micros: number): Bucket | null {
    return this.grid.seek(micros) ? { start: this.grid.start, end: this.grid.end } : null;
  }

  /** The first that isn't closed; null: there is none for months. */
  next(): Bucket | null {
    const from = this.#closedUntil;
    for (const bucket of this.grid.buckets(from - this.#beyond, from + HORIZON_MICROS, LOOKED_MAX))
      if (bucket.end > from) return bucket;
    return null;
  }

  /** When the next bucket closes. */
  dueMs(): number | null {
    const next = this.next();
    return next === null ? null : Math.ceil(next.end / 1_000) + GRACE_MS;
  }

  /** Closes what has ended: the buckets in order, and how many before them are left out. */
  advance(nowMs: number): { closed: Bucket[]; leftOut: number } {
    const from = this.#closedUntil;
    const until = (nowMs - GRACE_MS) * 1_000;
    if (until <= from) return { closed: [], leftOut: 0 };
    const closed: Bucket[] = [];
    for (const bucket of this.buckets(from, until, LOOKED_MAX))
      if (bucket.end > from && bucket.end <= until) closed.push(bucket);
    this.#closedUntil = until;
    const leftOut = Math.max(0, closed.length - CLOSED_MAX);
    return { closed: closed.slice(leftOut), leftOut };
  }

  /** Those that have anything of the time, in order. */
  buckets(from: number, to: number, max: number): Iterable<Bucket> {
    return this.grid.buckets(from - this.#beyond, to + this.#beyond, max);
  }

  /** Within which the stamps of the buckets lie. */
  stampsOf({ start, end }: Bucket): { from: number; until: number } {
    return { from: start - this.#beyond, until: end + this.#beyond };
  }

  get #beyond(): number {
    return this.#hasDates ? BEYOND_MICROS : 0;
  }
}
