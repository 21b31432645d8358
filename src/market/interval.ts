/**
 * Lengths of bars. `daily` and `hourly` bars are kinds of their own; every other whole number of
 * seconds, minutes, hours, days or weeks is named by its largest whole unit: `90s`, `5min`,
 * `2hour`, `3day`, `1week`.
 */

/** The canonical name of a length. */
type IntervalName = `${number}${"s" | "min" | "hour" | "day" | "week"}`;
export type BarLength = "daily" | "hourly" | IntervalName;

const SECONDS = { s: 1, min: 60, hour: 3_600, day: 86_400, week: 604_800 } as const;
type Unit = keyof typeof SECONDS;
/** The largest first. */
const UNITS = (Object.keys(SECONDS) as Unit[]).reverse();

/** As people write the units; in any case of letters but for `M`, which may be a month. */
const WORDS: Record<Unit, string[]> = {
  s: ["s", "sec", "secs", "second", "seconds"],
  min: ["min", "mins", "minute", "minutes", "m", "t"],
  hour: ["hour", "hours", "h", "hr", "hrs"],
  day: ["day", "days", "d"],
  week: ["week", "weeks", "w", "wk"],
};
const FORM = /^(\d{1,9}) ?([a-z]{1,7})$/i;
/** Ten years: beyond it a length is a mistake. */
const SECONDS_MAX = 3_653 * SECONDS.day;

export const INTERVAL_EXPECTED =
  '"daily", "hourly", or a whole number of seconds, minutes, hours, days or weeks such as "5min"';

/** @returns null for what is no length of up to ten years. */
export function parseInterval(text: string): BarLength | null {
  if (text === "daily" || text === "hourly") return text;
  const [, digits, word] = FORM.exec(text.trim()) ?? [];
  if (digits === undefined || word === undefined || word === "M") return null;
  const unit = UNITS.find((each) => WORDS[each].includes(word.toLowerCase()));
  return unit === undefined ? null : intervalOfSeconds(Number(digits) * SECONDS[unit]);
}

/** @returns null unless it is a whole number from 1 s to ten years. */
export function intervalOfSeconds(seconds: number): BarLength | null {
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > SECONDS_MAX) return null;
  if (seconds === SECONDS.day) return "daily";
  if (seconds === SECONDS.hour) return "hourly";
  const unit = UNITS.find((each) => seconds % SECONDS[each] === 0)!;
  return `${seconds / SECONDS[unit]}${unit}`;
}

/** Of a canonical name; a day for text that is none, which another program has stored. */
export function secondsOfInterval(name: string): number {
  if (name === "hourly") return SECONDS.hour;
  const [, digits, word] = FORM.exec(name) ?? [];
  return Object.hasOwn(SECONDS, word ?? "") ? Number(digits) * SECONDS[word as Unit] : SECONDS.day;
}
