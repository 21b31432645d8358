/** Calendar dates where the exchange is. */

/** @returns the date there, `YYYY-MM-DD`. @param epochMs in ms since 1970. */
export function dateAt(epochMs: number, timeZone: string): string {
  return Temporal.Instant.fromEpochMilliseconds(epochMs)
    .toZonedDateTimeISO(timeZone)
    .toPlainDate()
    .toString();
}

/**
 * @param date `YYYY-MM-DD`, from 0001 to 9999.
 * @returns the first moment of the date there, in UTC, as clients read it:
 *   `YYYY-MM-DDTHH:MM:SS.ffffffZ`.
 */
export function startOfDate(date: string, timeZone: string): string {
  const start = Temporal.PlainDate.from(date).toZonedDateTime(timeZone);
  return start.toInstant().toString({ fractionalSecondDigits: 6 });
}
