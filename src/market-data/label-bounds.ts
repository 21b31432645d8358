/** Which stored rows the bars of some labels are made of. */
import type { Timeframe } from "../calendar/contract.ts";
import type { StampType } from "../market/timestamp.ts";
import { dayText, StampTexts } from "../storage/model/stamp-text.ts";

const SECOND = 1_000_000;
const DAY = 86_400 * SECOND;
const UNIT_DAYS = { day: 1, week: 7, month: 31 } as const;
/** Ten thousand years: what lies beyond has no text. */
const MICROS_MAX = 8.64e18 / 1e3;

export interface MicrosBounds {
  from: number | null;
  to: number | null;
}

/** The longest that a bucket lasts, in µs. */
export function longestBucket({ unit, count }: Timeframe): number {
  return unit === "second" ? count * SECOND : count * UNIT_DAYS[unit] * DAY;
}

/**
 * Rows of all buckets with labels within the bounds, and perhaps some more. A session may begin on
 * the day before its date, and a day have 25 hours.
 */
export function rowBounds({ from, to }: MicrosBounds, timeframe: Timeframe): MicrosBounds {
  const margin = timeframe.unit === "second" ? 0 : DAY;
  return {
    from: from === null ? null : from - margin,
    to: to === null ? null : to + longestBucket(timeframe) + margin,
  };
}

/** In the stored form of a stamp, with room for another zone where that is a date. */
export function storedBounds(
  { from, to }: MicrosBounds,
  type: StampType,
): { from: string | null; to: string | null } {
  return { from: storedText(from, type, -1), to: storedText(to, type, 1) };
}

function storedText(micros: number | null, type: StampType, side: -1 | 1): string | null {
  if (micros === null || Math.abs(micros) > MICROS_MAX) return null;
  if (type === "date") return dayText(Math.floor(micros / DAY) + side);
  return new StampTexts(BigInt64Array.of(BigInt(Math.floor(micros))), type === "instant").at(0);
}
