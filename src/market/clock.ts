/** The present: everything else in this folder depends on its arguments only. */

const NEW_YORK = new Intl.DateTimeFormat("en-CA", {
  timeZone: "America/New_York",
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
});
const MINUTE_MS = 60_000;

let monotonicToWallMs = 0;
let secondOfText = Number.NaN;
let textOfSecond = "";
let minuteOfDate = Number.NaN;
let dateOfMinute = "";

/** Now in UTC, `YYYY-MM-DD HH:MM:SS.ffffff`. */
export function nowText(): string {
  const wallMs = Date.now();
  // The wall clock gives the millisecond. The monotonic clock has microseconds, but drifts when the
  // wall clock is corrected: it gives only the place within that millisecond.
  const monotonicMs = performance.now();
  let preciseMs = monotonicToWallMs + monotonicMs;
  if (preciseMs < wallMs || preciseMs >= wallMs + 1) {
    preciseMs = preciseMs < wallMs ? wallMs : wallMs + 0.999;
    monotonicToWallMs = preciseMs - monotonicMs;
  }
  const second = Math.floor(wallMs / 1000);
  if (second !== secondOfText) {
    secondOfText = second;
    const iso = new Date(second * 1000).toISOString();
    textOfSecond = `${iso.slice(0, 10)} ${iso.slice(11, 19)}.`;
  }
  const micros = (wallMs - second * 1000) * 1000 + Math.floor((preciseMs - wallMs) * 1000);
  return textOfSecond + String(micros).padStart(6, "0");
}

/** @returns the calendar date in New York, `YYYY-MM-DD`, at a Unix time in ms. */
export function newYorkDate(epochMs: number): string {
  const minute = Math.floor(epochMs / MINUTE_MS);
  if (minute !== minuteOfDate) {
    minuteOfDate = minute;
    dateOfMinute = NEW_YORK.format(epochMs);
  }
  return dateOfMinute;
}
