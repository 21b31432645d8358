/** The moments at which dates begin in a zone. */

const DAY_MS = 86_400_000;

/** @returns what gives ms since 1970, of a date in days since 1970. @param zone IANA name. */
export function dateStarts(zone: string): (days: number) => number {
  if (zone === "UTC") return (days) => days * DAY_MS;
  return (days) => {
    const date = new Date(days * DAY_MS).toISOString().slice(0, 10);
    return Temporal.PlainDate.from(date).toZonedDateTime(zone).epochMilliseconds;
  };
}
