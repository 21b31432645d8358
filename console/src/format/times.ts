/** How moments and ages are written. Moments are those of UTC, as everywhere at the server. */

const MINUTE_S = 60;
const HOUR_S = 60 * MINUTE_S;
const DAY_S = 24 * HOUR_S;
const YEAR_S = 365.25 * DAY_S;

/** `3 s`, `12 min`, `5 h`, `20 d`, `13 y` */
export function ageText(ms: number): string {
  const s = Math.max(0, ms) / 1_000;
  if (s < MINUTE_S) return `${Math.floor(s)} s`;
  if (s < HOUR_S) return `${Math.floor(s / MINUTE_S)} min`;
  if (s < 2 * DAY_S) return `${Math.floor(s / HOUR_S)} h`;
  if (s < YEAR_S) return `${Math.floor(s / DAY_S)} d`;
  return `${(s / YEAR_S).toFixed(1)} y`;
}

/** `14:30:00.123` of a stamp. */
export function clockText(stamp: string): string {
  return stamp.slice(11, 23).replace(/Z$/, "");
}

/** `2024-01-02 14:30:00`, without what is zero at the end. */
export function stampText(stamp: string): string {
  const [date = "", time = ""] = stamp.replace("Z", "").split("T");
  const shown = time.replace(/\.?0+$/, (zeros) => (zeros.startsWith(".") ? "" : zeros)).slice(0, 12);
  return /^00:00:00/.test(time) || time === "" ? date : `${date} ${shown}`;
}
