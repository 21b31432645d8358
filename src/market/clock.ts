/** The present: everything else in this folder depends on its arguments only. */

let monotonicToWallMs = 0;
let secondOfText = Number.NaN;
let textOfSecond = "";

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
