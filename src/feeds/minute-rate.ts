/** Rows a second over the last minute, from the counts of two minutes of the clock. */

const MINUTE_MS = 60_000;

export interface MinuteCount {
  /** Since 1970. */
  minute: number;
  inMinute: number;
  inMinuteBefore: number;
}

export function addRows(to: MinuteCount, rows: number, nowMs: number): void {
  const minute = Math.floor(nowMs / MINUTE_MS);
  if (minute !== to.minute) {
    to.inMinuteBefore = minute === to.minute + 1 ? to.inMinute : 0;
    to.inMinute = 0;
    to.minute = minute;
  }
  to.inMinute += rows;
}

/**
 * What came in the minute before is taken to be spread evenly over it.
 *
 * @param sinceMs when counting began: what is younger than a minute has its rate since then.
 */
export function rowsPerSecond(count: MinuteCount, sinceMs: number, nowMs: number): number {
  const minute = Math.floor(nowMs / MINUTE_MS);
  const isNow = count.minute === minute;
  const current = isNow ? count.inMinute : 0;
  const before = isNow ? count.inMinuteBefore : count.minute === minute - 1 ? count.inMinute : 0;
  const beganMs = minute * MINUTE_MS;
  const beforeFromMs = Math.min(beganMs, Math.max(beganMs - MINUTE_MS, sinceMs));
  const fromMs = Math.max(nowMs - MINUTE_MS, beforeFromMs);
  const share = beganMs > beforeFromMs ? Math.max(0, beganMs - fromMs) / (beganMs - beforeFromMs) : 0;
  const seconds = (nowMs - Math.max(nowMs - MINUTE_MS, sinceMs)) / 1_000;
  return (current + before * share) / Math.max(1, seconds);
}
