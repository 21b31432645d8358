/**
 * Reads the many ways to write a date, besides the ISO form that `timestamp.ts` reads. The accepted
 * forms, and the meaning of ambiguous texts, follow pandas, for which existing clients were
 * written. Pandas guesses some texts and drops parts of others silently. This converts named zones,
 * and refuses the rest: a time without a date, a two-digit year in front, and dots with the year
 * last (pandas reads the month first, writers mean the day).
 */
import { momentOfInteger, momentOfNumber } from "./epoch.ts";
import { type Moment, momentOfDate, type Precision } from "./moment.ts";
import { zoneOf } from "./zone.ts";

/** Longer than any stamp: bounds the work on other texts. */
const TEXT_LENGTH_MAX = 80;

/** Two-digit years from here on belong to the 20th century, as in POSIX. */
const TWO_DIGIT_YEAR_PIVOT = 69;

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const MONTH =
  "(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)";
const WEEKDAY =
  /^(?:mon(?:day)?|tue(?:s|sday)?|wed(?:nesday)?|thu(?:r|rs|rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)\.?,? /i;

/** Zones of RFC 2822. Other abbreviations are ambiguous. */
const ZONE_MINUTES: Record<string, number> = {
  z: 0,
  utc: 0,
  gmt: 0,
  ut: 0,
  est: -300,
  edt: -240,
  cst: -360,
  cdt: -300,
  mst: -420,
  mdt: -360,
  pst: -480,
  pdt: -420,
};

interface DateForm {
  pattern: RegExp;
  read(match: RegExpExecArray): Moment | null;
}

/** Each pattern matches the date at the start of a text. The first match decides. */
const DATE_FORMS: DateForm[] = [
  { pattern: /^(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?!\d)/, read: (m) => date(m[1], m[3], m[4]) },
  { pattern: /^(\d{4})(\d\d)(\d\d)(?!\d)/, read: (m) => date(m[1], m[2], m[3]) },
  { pattern: /^(\d{1,2})([-/])(\d{1,2})\2(\d{4})(?!\d)/, read: (m) => monthFirst(m[1], m[3], m[4]) },
  { pattern: /^(\d{1,2})\/(\d{1,2})\/(\d\d)(?!\d)/, read: (m) => monthFirst(m[1], m[2], m[3]) },
  {
    pattern: new RegExp(
      `^(\\d{1,2})(?:st|nd|rd|th)?(?: of)?[-/ ]?${MONTH}\\.?,?[-/ ]?(\\d{4}|\\d\\d)(?![\\d:])`,
      "i",
    ),
    read: (m) => date(m[3], m[2], m[1]),
  },
  {
    pattern: new RegExp(
      `^${MONTH}\\.?[-/ ](\\d{1,2})(?:st|nd|rd|th)?(?:, ?|[-/ ])(\\d{4}|\\d\\d)(?![\\d:])`,
      "i",
    ),
    read: (m) => date(m[3], m[1], m[2]),
  },
  {
    pattern: new RegExp(`^(\\d{4})[-/ ]${MONTH}[-/ ](\\d{1,2})(?![\\d:])`, "i"),
    read: (m) => date(m[1], m[2], m[3]),
  },
  { pattern: /^(\d{4})$/, read: (m) => date(m[1], "1", "1", "year") },
  { pattern: /^(\d{4})[-/](\d{1,2})$/, read: (m) => date(m[1], m[2], "1", "month") },
  { pattern: new RegExp(`^${MONTH},?[-/ ](\\d{4})$`, "i"), read: (m) => date(m[2], m[1], "1", "month") },
  { pattern: new RegExp(`^(\\d{4})[-/ ]${MONTH}$`, "i"), read: (m) => date(m[1], m[2], "1", "month") },
];

/** `Jan 2 10:00:00 UTC 2024`, as C and the shell write it. */
const YEAR_AT_THE_END = /^([a-z]+ \d{1,2}) (\d{1,2}:\d\d:\d\d(?:\.\d+)?(?: [a-z]+)?) (\d{4})$/i;
const NUMBER = /^-?\d+(?:\.\d*)?$/;
const COMPACT_TIME = /^(\d{8})(\d{4}(?:\d\d)?)$/;

const TIME =
  /^(?:(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d*))?)?|(\d\d)(\d\d)(?:(\d\d)(?:[.,](\d*))?)?|(\d\d)(?!\d)|(\d)(?= ?[ap]))/i;
const HALF_OF_DAY = /^ ?([ap])\.?m\.?(?![a-z])/i;
const OFFSET = /^ ?([+-])(?:(\d{1,2})(?::(\d\d))?|(\d\d)(\d\d))$/;

/**
 * @param text Not blank.
 * @returns null for a text that is no stamp, or a date or time that doesn't exist.
 */
export function parseLooseTimestamp(text: string): Moment | null {
  if (text.length > TEXT_LENGTH_MAX) return null;
  const plain = text.trim().replace(/\s+/g, " ");
  if (NUMBER.test(plain)) return parseDigits(plain);
  const words = plain.replace(WEEKDAY, "");
  const end = YEAR_AT_THE_END.exec(words);
  return parseDateAndTime(end === null ? words : `${end[1]} ${end[3]} ${end[2]}`);
}

function parseDateAndTime(text: string): Moment | null {
  for (const form of DATE_FORMS) {
    const match = form.pattern.exec(text);
    if (match === null) continue;
    const moment = form.read(match);
    const rest = text.slice(match[0].length);
    return moment === null || rest === "" ? moment : withTime(moment, rest);
  }
  return null;
}

/** Reads digits alone as a date if the calendar has it, else as an epoch number. */
function parseDigits(text: string): Moment | null {
  if (text.length === 4 || text.length === 8) {
    const moment = parseDateAndTime(text);
    if (moment !== null) return moment;
  }
  const compact = COMPACT_TIME.exec(text);
  const moment = compact === null ? null : parseDateAndTime(`${compact[1]}T${compact[2]}`);
  if (moment !== null) return moment;
  return text.includes(".") ? momentOfNumber(Number(text)) : momentOfInteger(BigInt(text));
}

/** @param rest The text after the date: separator, time, am or pm, zone. */
function withTime(moment: Moment, rest: string): Moment | null {
  const separator = /^(?: ?T|,? at |,? |-(?=\d\d:\d\d:\d\d|\d{6}))/i.exec(rest);
  if (separator === null) return null;
  const clock = rest.slice(separator[0].length);
  const time = TIME.exec(clock);
  if (time === null) return null;
  const afterTime = clock.slice(time[0].length);
  const half = HALF_OF_DAY.exec(afterTime);
  const hour = hourOfDay(Number(time[1] ?? time[5] ?? time[9] ?? time[10]), half?.[1]);
  const minute = Number(time[2] ?? time[6] ?? 0);
  const second = Number(time[3] ?? time[7] ?? 0);
  if (hour === null || minute > 59 || second > 59) return null;
  const wallMs = moment.wallMs + ((hour * 60 + minute) * 60 + second) * 1000;
  const offsetMinutes = parseZone(half === null ? afterTime : afterTime.slice(half[0].length), wallMs);
  if (offsetMinutes === null) return null;
  return {
    wallMs,
    micros: Number((time[4] ?? time[8] ?? "").slice(0, 6).padEnd(6, "0")),
    offsetMinutes,
    precision: "time",
  };
}

function hourOfDay(hour: number, half: string | undefined): number | null {
  if (half === undefined) return hour > 23 ? null : hour;
  if (hour > 12) return null;
  return (hour % 12) + (half.toLowerCase() === "p" ? 12 : 0);
}

/** @returns minutes east of UTC at that wall clock; 0 for an empty text. */
function parseZone(text: string, wallMs: number): number | null {
  if (text === "") return 0;
  const offset = OFFSET.exec(text);
  if (offset === null) return ZONE_MINUTES[text.trim().toLowerCase()] ?? namedOffset(text.trim(), wallMs);
  const hours = Number(offset[2] ?? offset[4]);
  const minutes = Number(offset[3] ?? offset[5] ?? 0);
  if (hours > 23 || minutes > 59) return null;
  return (hours * 60 + minutes) * (offset[1] === "-" ? -1 : 1);
}

/** The earlier one of an hour that clocks show twice; null for one that they leave out. */
function namedOffset(name: string, wallMs: number): number | null {
  const utcMs = zoneOf(name)?.instantsOf(wallMs)[0];
  return utcMs === undefined ? null : (wallMs - utcMs) / 60_000;
}

/** Month first, as in the United States, unless the first number can't be a month. */
function monthFirst(first = "", second = "", year = ""): Moment | null {
  return Number(first) > 12 ? date(year, second, first) : date(year, first, second);
}

function date(year = "", month = "", day = "", precision: Precision = "day"): Moment | null {
  const named = MONTHS.indexOf(month.slice(0, 3).toLowerCase()) + 1;
  return momentOfDate(fullYear(year), named === 0 ? Number(month) : named, Number(day), precision);
}

function fullYear(text: string): number {
  const year = Number(text);
  if (text.length === 4) return year;
  return year + (year < TWO_DIGIT_YEAR_PIVOT ? 2000 : 1900);
}
