/** Names of lengths of buckets: those of stored bars (`market/interval.ts`), and months. */

import { parseInterval, secondsOfInterval } from "../market/interval.ts";
import { CalendarError, type Timeframe } from "./contract.ts";

const MONTHS: Record<string, number> = {
  M: 1,
  mo: 1,
  mon: 1,
  month: 1,
  months: 1,
  q: 3,
  quarter: 3,
  quarters: 3,
  y: 12,
  yr: 12,
  year: 12,
  years: 12,
};
const WORDS: Record<string, string> = {
  weekly: "1week",
  monthly: "1month",
  quarterly: "3month",
  yearly: "12month",
};
const FORM = /^(\d{1,9}) ?([a-z]{1,8})$/i;
/** Ten years, as for the length of a bar. */
const MONTHS_MAX = 120;
const DAY = 86_400;
const WEEK = 7 * DAY;

const EXPECTED =
  '"daily", "hourly", or a whole number of seconds, minutes or hours up to a day, or of days, ' +
  'weeks, months, quarters or years up to ten years, such as "5min", "1Hour" or "3Month" ' +
  '("1m" is a minute, "1M" a month)';

/**
 * Reads `5min`, `90s`, `daily`, `2hour`, and as Alpaca writes them `1Min`, `1Hour`, `1Day`,
 * `1Week`, `3Month`, `1T`, `1H`, `1D`, `1W`, `1M`.
 *
 * @throws CalendarError
 */
export function parseTimeframe(text: string, parameter = "timeframe"): Timeframe {
  const written = text.trim();
  const name = WORDS[written.toLowerCase()] ?? written;
  const timeframe = months(name) ?? shorter(name);
  if (timeframe === null) throw new CalendarError(parameter, text, EXPECTED);
  return timeframe;
}

function months(name: string): Timeframe | null {
  const [, digits, word] = FORM.exec(name) ?? [];
  if (digits === undefined || word === undefined || word === "m") return null;
  const each = MONTHS[word] ?? MONTHS[word.toLowerCase()];
  if (each === undefined) return null;
  const count = Number(digits) * each;
  return count < 1 || count > MONTHS_MAX ? null : { unit: "month", count, name: `${count}month` };
}

function shorter(text: string): Timeframe | null {
  const name = parseInterval(text);
  if (name === null) return null;
  const seconds = secondsOfInterval(name);
  if (seconds % WEEK === 0) return { unit: "week", count: seconds / WEEK, name };
  if (seconds % DAY === 0) return { unit: "day", count: seconds / DAY, name };
  // A bucket of a day and a half would be cut at the close of each session.
  return seconds < DAY ? { unit: "second", count: seconds, name } : null;
}
