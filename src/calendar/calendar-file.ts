/** The notation of `exchanges/*.json`: facts as people can check and renew them. */

/** `MMDD` or `MMDD-MMDD`, by year: what a range spans beside them is closed anyway. */
export type DaysByYear = Record<string, string>;
/** By local time, `HH:MM`. */
export type DaysByTime = Record<string, DaysByYear>;

export interface RegularHours {
  /** First date, `YYYY-MM-DD`; they hold until the next entry. */
  from: string;
  open: string;
  close: string;
  /** -1: it opens on the calendar day before the session date. */
  openDay?: number;
  /** 1: it closes on the calendar day after it. */
  closeDay?: number;
  /** Pairs of begin and end. */
  breaks?: string[][];
}

export interface CalendarFile {
  exchange: string;
  timeZone: string;
  /** First and last date that it knows. */
  span: string[];
  /** 1, Monday, to 7. */
  weekdays: number[];
  regular: RegularHours[];
  /** Days of `weekdays` without a session. */
  holidays: DaysByYear;
  earlyCloses: DaysByTime;
  lateOpens: DaysByTime;
  /** Sessions on other days than `weekdays`. */
  extraSessions: DaysByYear;
  /** How many there are in `span`, before corrections. */
  sessions: number;
}

/** What is laid over a file. */
export interface Corrections {
  /** In place of the file's entries from the first of these on. */
  regular?: RegularHours[];
  addHolidays?: DaysByYear;
  removeHolidays?: DaysByYear;
  earlyCloses?: DaysByTime;
  lateOpens?: DaysByTime;
  /** What isn't known for certain before a date. */
  unsure?: { before: string; what: string }[];
}

const DAY_MS = 86_400_000;

/** @param date `YYYY-MM-DD`. @returns days since 1970. */
export function dayOf(date: string): number {
  return Date.parse(date) / DAY_MS;
}

export function* daysIn(list: DaysByYear): Generator<number> {
  for (const [year, texts] of Object.entries(list)) {
    const dayIn = (text: string): number => dayOf(`${year}-${text.slice(0, 2)}-${text.slice(2)}`);
    for (const text of texts.split(" ")) {
      const [from, to = from] = text.split("-");
      for (let day = dayIn(from!); day <= dayIn(to!); day++) yield day;
    }
  }
}

/** @param time `HH:MM`. @returns ms since midnight. */
export function msOfTime(time: string): number {
  return (Number(time.slice(0, 2)) * 60 + Number(time.slice(3))) * 60_000;
}

/** The local time of each day, in ms. */
export function timesByDay(list: DaysByTime): Map<number, number> {
  const times = new Map<number, number>();
  for (const [time, days] of Object.entries(list))
    for (const day of daysIn(days)) times.set(day, msOfTime(time));
  return times;
}
