/** Bounds of a range whose dates are days in a time zone. */
import { dateAt } from "./session-date.ts";
import { parseBound, type StampType, TimestampError } from "./timestamp.ts";

const DATE = /^\d{4}-\d\d-\d\d$/;
const WALL_CLOCK = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?$/;
/** An offset, or a number since 1970, which need no zone. */
const MOMENT = /(?:Z|[+-]\d\d(?::?\d\d)?|^now|^\d+(?:\.\d+)?)$/i;
const MICROSECOND = { microseconds: 1 };

/**
 * As `parseBound`, but a date is a day in the zone, and a time without an offset is its wall clock.
 * A time that clocks show twice counts as the first as a start, and as the second as an end.
 *
 * @throws TimestampError
 */
export function parseZonedBound(
  value: unknown,
  edge: "start" | "end",
  form: StampType,
  zone: string,
): string | null {
  if (zone === "UTC" || typeof value !== "string" || form === "date") return parseBound(value, edge, form);
  const text = value.trim();
  if (text.toLowerCase() === "today") return parseZonedBound(dateAt(Date.now(), zone), edge, form, zone);
  if (MOMENT.test(text) && !DATE.test(text)) return parseBound(text, edge, form);
  if (!DATE.test(text) && !WALL_CLOCK.test(text))
    throw new TimestampError(
      `cannot read ${JSON.stringify(text.slice(0, 60))} in ${zone}: expected 2024-01-02, 2024-01-02T09:30:00, or a moment with its offset`,
    );
  // What the calendar lacks is refused before.
  parseBound(text, edge, form);
  return parseBound(instantOf(text, edge, zone), edge, form);
}

function instantOf(text: string, edge: "start" | "end", zone: string): string {
  if (!DATE.test(text)) {
    const disambiguation = edge === "start" ? "earlier" : "later";
    const time = Temporal.PlainDateTime.from(text.replace(" ", "T"));
    return textOf(time.toZonedDateTime(zone, { disambiguation }).toInstant());
  }
  const date = Temporal.PlainDate.from(text);
  if (edge === "start") return textOf(date.toZonedDateTime(zone).toInstant());
  return textOf(date.add({ days: 1 }).toZonedDateTime(zone).toInstant().subtract(MICROSECOND));
}

function textOf(instant: Temporal.Instant): string {
  return instant.toString({ fractionalSecondDigits: 6 });
}
