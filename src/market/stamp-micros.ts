/** Stamps as microseconds since 1970, UTC, to compute gaps. Doubles are exact from 1685 to 2255. */

const SECOND_LENGTH = "2024-01-02 10:00:00".length;
const TICK_LENGTH = "2024-01-02 10:00:00.123456".length;
const DAY_LENGTH = "2024-01-02".length;

/**
 * @param text a date, seconds or microseconds, as stored (`YYYY-MM-DD HH:MM:SS.ffffff`) or as
 *   clients read it (`…T…Z`).
 * @returns NaN for another text.
 */
export function microsOfStamp(text: string): number {
  if (text.length === DAY_LENGTH) return Date.parse(text) * 1_000;
  const seconds = Date.parse(`${text.slice(0, DAY_LENGTH)}T${text.slice(DAY_LENGTH + 1, SECOND_LENGTH)}Z`);
  const fraction = text.slice(SECOND_LENGTH + 1, TICK_LENGTH);
  return seconds * 1_000 + (fraction.length === 6 ? Number(fraction) : 0);
}

/** @returns the form of stored ticks: `YYYY-MM-DD HH:MM:SS.ffffff`. */
export function stampOfMicros(micros: number): string {
  const seconds = Math.floor(micros / 1e6);
  const iso = new Date(seconds * 1_000).toISOString();
  const fraction = String(Math.floor(micros - seconds * 1e6)).padStart(6, "0");
  return `${iso.slice(0, DAY_LENGTH)} ${iso.slice(DAY_LENGTH + 1, SECOND_LENGTH)}.${fraction}`;
}
