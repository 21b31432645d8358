/** The time of a snapshot of options that was sent without one: the start of its bucket. */
import { stampOfMicros } from "./stamp-micros.ts";

const NEW_YORK = new Intl.DateTimeFormat("en-US", {
  timeZone: "America/New_York",
  weekday: "short",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});
const MINUTE_MS = 60_000;
/** Minutes of the day in New York. */
const OPENING = 9 * 60 + 30;
const CLOSING = 16 * 60;
const EVENING = 20 * 60;
/** Minutes. */
const IN_SESSION = 15;
const AFTER_HOURS = 60;
const AT_NIGHT = 240;

/**
 * Cut off to 15 minutes in the session of New York, to an hour after it, to four hours at night and
 * at weekends: whoever saves each minute leaves one row a bucket.
 */
export function optionBucket(epochMs: number): string {
  const parts = new Map(NEW_YORK.formatToParts(epochMs).map(({ type, value }) => [type, value]));
  const minute = Number(parts.get("hour")) * 60 + Number(parts.get("minute"));
  const weekday = parts.get("weekday")!;
  const length = bucketMinutes(minute, weekday === "Sat" || weekday === "Sun");
  const thisMinute = Math.floor(epochMs / MINUTE_MS);
  return stampOfMicros((thisMinute - (minute % length)) * MINUTE_MS * 1_000);
}

function bucketMinutes(minute: number, isWeekend: boolean): number {
  if (isWeekend || minute < OPENING || minute >= EVENING) return AT_NIGHT;
  return minute < CLOSING ? IN_SESSION : AFTER_HOURS;
}
