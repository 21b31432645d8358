/**
 * Moments as the chart takes them: seconds since 1970 of what clocks show. The chart knows no
 * zones, so each moment is moved to where its local time would be in UTC.
 */
import type { UTCTimestamp } from "lightweight-charts";

const formats = new Map<string, Intl.DateTimeFormat>();

/** @param stamp of an answer, which shows the local time already: `2024-01-02T09:30:00-05:00` */
export function shownSeconds(stamp: string): UTCTimestamp {
  return (Date.parse(`${stamp.slice(0, 19)}Z`) / 1_000) as UTCTimestamp;
}

/** @param stamp in UTC, as live frames have them. @param zone of IANA */
export function zonedSeconds(stamp: string, zone: string): UTCTimestamp {
  if (zone === "UTC") return shownSeconds(stamp);
  let format = formats.get(zone);
  if (format === undefined) {
    const shape = { year: "numeric", month: "2-digit", day: "2-digit" } as const;
    const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" } as const;
    format = new Intl.DateTimeFormat("en-CA", { timeZone: zone, ...shape, ...clock });
    formats.set(zone, format);
  }
  const parts = new Map(
    format.formatToParts(new Date(stamp)).map(({ type, value }) => [type, Number(value)]),
  );
  const part = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? 0;
  const ms = Date.UTC(
    part("year"),
    part("month") - 1,
    part("day"),
    part("hour"),
    part("minute"),
    part("second"),
  );
  return (ms / 1_000) as UTCTimestamp;
}

/** `2024-01-02 09:30`, and the date alone for bars of a day and more. */
export function shownText(seconds: number, isDaily: boolean): string {
  const text = new Date(seconds * 1_000).toISOString();
  if (isDaily) return text.slice(0, 10);
  return text.slice(0, seconds % 60 === 0 ? 16 : 19).replace("T", " ");
}
