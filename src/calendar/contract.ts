/**
 * What resampling, filling and commands see of calendars. Instants are float64 numbers of µs since
 * 1970 in UTC, exact until 2255. Dates are whole days since 1970.
 */

/** A length of buckets, from `parseTimeframe`. */
export interface Timeframe {
  /** `day`, `week` and `month` follow session dates, `second` the clock within a session. */
  readonly unit: "second" | "day" | "week" | "month";
  /** 300 for 5min, 3 for a quarter. */
  readonly count: number;
  /** Canonical, as stored bars name their length: `5min`, `hourly`, `daily`, `1week`, `3month`. */
  readonly name: string;
}

/**
 * Where the grid of a timeframe of seconds begins.
 * `clock`: at midnight of the session date, on the local wall clock. `session`: at the open.
 */
type Align = "clock" | "session";

export interface GridOptions {
  timeframe: Timeframe;
  /** IANA name, for labels and wall clocks. Default: the calendar's; without a calendar UTC. */
  zone?: string | null | undefined;
  /** A name or alias (docs/calendars.md). Without one, or with `24/7`, every day is a session. */
  calendar?: string | null | undefined;
  /**
   * `regular` (default), `extended` (with pre and post market), or `HH:MM-HH:MM` on each session
   * date, in the zone; an end that isn't after its start is on the next day.
   */
  session?: string | null | undefined;
  /** Default: `clock` for steps that divide an hour, else `session`. */
  align?: Align | null | undefined;
  /**
   * `dates`: stamps, and bounds of `buckets`, are session dates at 00:00 UTC, as daily bars have
   * them, whatever the zone; each lies in a bucket, also that of a day without a session. Only for
   * days and above. Default: `instants`.
   */
  stamps?: "instants" | "dates" | undefined;
}

export interface Bucket {
  /** The label. */
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/**
 * Finds the bucket of stamps. Buckets follow each other without overlap; each holds stamps of
 * one session, and for seconds of one side of its breaks.
 *
 * Seconds: `start` is the line of the grid, so the hour from 09:00 holds what is traded from an
 * open at 09:30 on. Where such a line lies before the end of what came before (a break, the session
 * before), `start` is the open itself, so no two buckets have one label. `end` is never after the
 * close. `start` ≤ stamp < `end`.
 *
 * Days and above: `start` is 00:00 in the zone of the first calendar day (Monday of the week, first
 * of the month), `end` that of the next bucket. They may not contain the stamp: the Sunday
 * evening of a future belongs to Monday.
 */
export interface Grid {
  /**
   * Looks for the bucket of a stamp. Fast when stamps ascend, right in any order.
   * @returns false: it lies outside of the session; the other members then mean nothing.
   */
  seek(micros: number): boolean;
  /** Label of the bucket last found. */
  readonly start: number;
  /** Its end, exclusive. */
  readonly end: number;
  /**
   * Every stamp from `from` on and before `until` is within the session and has the same bucket as
   * the one last found: a loop over columns needs no call for them. A day with a break, and a week,
   * have several such stretches.
   */
  readonly from: number;
  readonly until: number;
  /** Session date of the stamp last found. */
  readonly date: number;
  /**
   * The buckets in which a stamp from `fromMicros` on and before `toMicros` can lie, in order, at
   * most `max`. Days without a session have none. It leaves what `seek` found as it is.
   */
  buckets(fromMicros: number, toMicros: number, max: number): Iterable<Bucket>;
  /** A warning for the answer, once a day was asked for that the calendar doesn't know for sure. */
  readonly assumed: string | null;
}

/** Some value can't be used. The message names parameter, value and what was expected. */
export class CalendarError extends Error {
  override name = "CalendarError";

  constructor(parameter: string, value: unknown, expected: string) {
    const shown = JSON.stringify(typeof value === "string" ? value.slice(0, VALUE_SHOWN_MAX) : value);
    super(`${parameter}: got ${shown}, expected ${expected}`);
  }
}

/** Characters of a value that an error repeats. */
const VALUE_SHOWN_MAX = 100;
