import { type Zone, zoneOf } from "../market/zone.ts";
import {
  type CalendarFile,
  type Corrections,
  dayOf,
  daysIn,
  msOfTime,
  type RegularHours,
  timesByDay,
} from "./calendar-file.ts";

const DAY_MS = 86_400_000;

/** Local times in ms since the midnight that begins the date: negative on the day before. */
export interface DayHours {
  open: number;
  close: number;
  /** Begin, end, begin, end … between open and close. */
  breaks: readonly number[];
}

/** Extended hours, local. */
export interface ExtendedHours {
  from: string;
  until: string;
  /** After a close at `halfDayClose` or earlier. */
  halfDayClose: string;
  halfDayUntil: string;
}

interface Regular extends DayHours {
  fromDay: number;
}

/**
 * When an exchange is open. A session is found by its date, without a list of all of them: the
 * exceptions are few, and days beyond the span follow the same rule.
 */
export class Calendar {
  readonly name: string;
  readonly zone: Zone;
  /** First and last date that is known, `YYYY-MM-DD`. */
  readonly span: readonly [string, string];
  readonly extended: ExtendedHours | null;
  /** When it opens on the evening before, in ms since that day's midnight. */
  readonly evening: number | null;
  readonly #firstDay: number;
  readonly #lastDay: number;
  readonly #weekdays: ReadonlySet<number>;
  readonly #regular: Regular[];
  readonly #holidays: Set<number>;
  readonly #extra: Set<number>;
  readonly #opens: Map<number, number>;
  readonly #closes: Map<number, number>;
  readonly #unsure: { beforeDay: number; text: string }[];
  /** Days from here to `#lastDay` are known for certain. */
  readonly #sureDay: number;

  constructor(file: CalendarFile, corrections: Corrections = {}, extended: ExtendedHours | null = null) {
    this.name = file.exchange;
    const zone = zoneOf(file.timeZone);
    if (zone === null) throw new Error(`calendar ${file.exchange}: no time zone ${file.timeZone}`);
    this.zone = zone;
    this.span = [file.span[0]!, file.span[1]!];
    this.extended = extended;
    // What never closes needs no forecast.
    const endless = file.weekdays.length === 7 && Object.keys(file.holidays).length === 0;
    this.#firstDay = endless ? Number.NEGATIVE_INFINITY : dayOf(this.span[0]);
    this.#lastDay = endless ? Number.POSITIVE_INFINITY : dayOf(this.span[1]);
    this.#weekdays = new Set(file.weekdays);
    const corrected = corrections.regular ?? [];
    this.#regular = [
      ...file.regular.filter(({ from }) => corrected.length === 0 || from < corrected[0]!.from),
      ...corrected,
    ].map(readRegular);
    const opens = this.#regular.map(({ open }) => open).filter((open) => open < 0);
    this.evening = opens.length === 0 ? null : Math.min(...opens) + DAY_MS;
    this.#holidays = new Set([...daysIn(file.holidays), ...daysIn(corrections.addHolidays ?? {})]);
    for (const day of daysIn(corrections.removeHolidays ?? {})) this.#holidays.delete(day);
    this.#extra = new Set(daysIn(file.extraSessions));
    this.#opens = new Map([...timesByDay(file.lateOpens), ...timesByDay(corrections.lateOpens ?? {})]);
    this.#closes = new Map([...timesByDay(file.earlyCloses), ...timesByDay(corrections.earlyCloses ?? {})]);
    this.#unsure = (corrections.unsure ?? []).map(({ before, what }) => ({
      beforeDay: dayOf(before),
      text: `${what} before ${before} are not known for certain`,
    }));
    this.#sureDay = Math.max(this.#firstDay, ...this.#unsure.map(({ beforeDay }) => beforeDay));
  }

  /** @param day Days since 1970. @returns null: no session. */
  hours(day: number): DayHours | null {
    const known = day >= this.#firstDay && day <= this.#lastDay;
    const open = this.#weekdays.has(weekdayOf(day));
    if (!(known ? (open && !this.#holidays.has(day)) || this.#extra.has(day) : open)) return null;
    const regular = this.#regular.findLast(({ fromDay }) => fromDay <= day) ?? this.#regular[0]!;
    const opens = this.#opens.get(day);
    const closes = this.#closes.get(day);
    return opens === undefined && closes === undefined
      ? regular
      : withBreaksInside({ ...regular, open: opens ?? regular.open, close: closes ?? regular.close });
  }

  /**
   * A warning for an answer that rests on these days, the last one included.
   * @returns null: all of them are known for certain.
   */
  doubt(firstDay: number, lastDay: number): string | null {
    if (firstDay >= this.#sureDay && lastDay <= this.#lastDay) return null;
    const doubts = this.#unsure.filter(({ beforeDay }) => firstDay < beforeDay).map(({ text }) => text);
    if (firstDay < this.#firstDay || lastDay > this.#lastDay) {
      const [first, last] = this.span;
      doubts.push(`days before ${first} and after ${last} are assumed: weekdays, no holidays, regular hours`);
    }
    return `calendar ${this.name}: ${doubts.join("; ")}`;
  }
}

function readRegular({ from, open, close, openDay, closeDay, breaks }: RegularHours): Regular {
  return {
    fromDay: dayOf(from),
    open: msOfTime(open) + (openDay ?? 0) * DAY_MS,
    close: msOfTime(close) + (closeDay ?? 0) * DAY_MS,
    breaks: (breaks ?? []).flat().map(msOfTime),
  };
}

/** On a half day, a break that doesn't lie strictly inside is none. */
function withBreaksInside(hours: DayHours): DayHours {
  const breaks = hours.breaks.filter((_, index, all) => {
    const begin = all[index - (index % 2)]!;
    const end = all[index - (index % 2) + 1]!;
    return begin > hours.open && end < hours.close;
  });
  return { ...hours, breaks };
}

/** @returns 1, Monday, to 7. */
function weekdayOf(day: number): number {
  return ((((day + 3) % 7) + 7) % 7) + 1;
}
