/** When a calendar date begins where the exchange is. */

/** Of prices whose exchange isn't known. */
export const EXCHANGE_TIME_ZONE = "America/New_York";

/**
 * @param date `YYYY-MM-DD`, from 0001 to 9999.
 * @returns the first moment of the date there, in UTC, as clients read it:
 *   `YYYY-MM-DDTHH:MM:SS.ffffffZ`.
 */
export function startOfDate(date: string, timeZone: string): string {
  const start = Temporal.PlainDate.from(date).toZonedDateTime(timeZone);
  return start.toInstant().toString({ fractionalSecondDigits: 6 });
}
