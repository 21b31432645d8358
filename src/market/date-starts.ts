/** The moments at which dates begin in a zone. */
import { zoneOf } from "./zone.ts";

const DAY_MS = 86_400_000;

/**
 * @param zone a known IANA name.
 * @returns what gives ms since 1970, of a date in days since 1970.
 */
export function dateStarts(zone: string): (days: number) => number {
  if (zone === "UTC") return (days) => days * DAY_MS;
  const known = zoneOf(zone)!;
  return (days) => known.startOf(days * DAY_MS);
}
