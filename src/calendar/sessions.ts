/** Sessions in UTC: of an exchange, of hours that somebody asks for, or the days of a zone. */

import { type Zone, zoneOf } from "../market/zone.ts";
import type { Calendar, DayHours, ExtendedHours } from "./calendar.ts";
import { msOfTime } from "./calendar-file.ts";
import { CalendarError, type GridOptions } from "./contract.ts";
import { ALWAYS_OPEN, findCalendar } from "./find-calendar.ts";

const DAY_MS = 86_400_000;
const CUSTOM = /^([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)$/;

/** Local times in ms since the midnight that begins the date: begin, end, begin, end … */
type LocalParts = readonly number[];

export interface Session {
  /** Days since 1970. */
  readonly date: number;
  /** Begin, end, begin, end … in µs since 1970: a break is between two parts. */
  readonly parts: readonly number[];
}

/** Which sessions there are. */
export interface Sessions {
  /** For labels and wall clocks. */
  readonly zone: Zone;
  /** In which sessions begin and end. */
  readonly hoursZone: Zone;
  /** Whether days follow each other without a close. */
  readonly wholeDays: boolean;
  /** @param date Days since 1970. @returns null: there is none. */
  on(date: number): Session | null;
  /** Of an answer that rests on these dates. @returns null: all is known for certain. */
  warning(asked: AskedDates): string | null;
}

/** The dates that an answer rests on: all between them. */
export interface AskedDates {
  first: number;
  last: number;
}

/** @throws CalendarError for a zone, calendar or session that is none. */
export function openSessions(options: Pick<GridOptions, "zone" | "calendar" | "session">): Sessions {
  const found = options.calendar == null ? null : findCalendar(options.calendar);
  const calendar = found === null || found.name === ALWAYS_OPEN ? null : found;
  const zone = readZone(options.zone, calendar);
  const wanted = options.session ?? "regular";
  const custom = readCustom(wanted, calendar);
  if (custom === null && wanted !== "regular" && wanted !== "extended")
    throw new CalendarError(
      "session",
      wanted,
      '"regular", "extended", or times as HH:MM-HH:MM, such as "08:00-12:00"',
    );
  // Without a calendar nothing tells these hours, and all would count without a word.
  if (custom === null && options.session != null && found === null)
    throw new CalendarError("session", wanted, "a calendar beside it, such as XNYS, or times as HH:MM-HH:MM");
  const extended = wanted === "extended" && calendar !== null ? calendar.extended : null;
  const local = (date: number): LocalParts | null => {
    const hours = calendar === null ? WHOLE_DAY : calendar.hours(date);
    if (hours === null) return null;
    if (custom !== null) return custom;
    return extended === null ? regularParts(hours) : extendedParts(hours, extended);
  };
  const hoursZone = custom === null && calendar !== null ? calendar.zone : zone;
  return {
    zone,
    hoursZone,
    wholeDays: calendar === null && custom === null,
    on: (date) => inUtc(date, local(date), hoursZone),
    warning: ({ first, last }) => {
      const doubt = first > last || calendar === null ? null : calendar.doubt(first, last);
      const lacksExtended = wanted === "extended" && calendar !== null && extended === null;
      return lacksExtended ? [noExtended(calendar.name), doubt].filter(Boolean).join("; ") : doubt;
    },
  };
}

/** Every date, as if it were a day in UTC. @param zone for labels. */
export function allDates(zone: Zone): Sessions {
  return {
    zone,
    hoursZone: zoneOf("UTC")!,
    wholeDays: true,
    on: (date) => ({ date, parts: [date * DAY_MS * 1_000, (date + 1) * DAY_MS * 1_000] }),
    warning: () => null,
  };
}

/** The dates of sessions, as if they were days in UTC. */
export function sessionDates(sessions: Sessions): Sessions {
  const dates = allDates(sessions.zone);
  return {
    ...dates,
    on: (date) => (sessions.on(date) === null ? null : dates.on(date)),
    warning: (asked) => sessions.warning(asked),
  };
}

function noExtended(calendar: string): string {
  return `calendar ${calendar}: hours before and after the regular session are not known`;
}

const WHOLE_DAY: DayHours = { open: 0, close: DAY_MS, breaks: [] };

function readZone(name: string | null | undefined, calendar: Calendar | null): Zone {
  if (name == null) return calendar?.zone ?? zoneOf("UTC")!;
  const zone = zoneOf(name);
  if (zone === null) throw new CalendarError("zone", name, "an IANA name such as America/New_York or UTC");
  return zone;
}

/**
 * The same hours on each session date. At an exchange that opens on the evening before, times from
 * its open on belong to the next date.
 */
function readCustom(text: string, calendar: Calendar | null): LocalParts | null {
  if (!CUSTOM.test(text)) return null;
  const [begin, end] = text.split("-").map(msOfTime) as [number, number];
  const evening = calendar?.evening ?? null;
  const from = evening !== null && begin >= evening ? begin - DAY_MS : begin;
  const length = end > begin ? end - begin : end - begin + DAY_MS;
  return [from, from + length];
}

function regularParts({ open, close, breaks }: DayHours): LocalParts {
  return breaks.length === 0 ? [open, close] : [open, ...breaks, close];
}

function extendedParts({ open, close }: DayHours, hours: ExtendedHours): LocalParts {
  const until = close <= msOfTime(hours.halfDayClose) ? hours.halfDayUntil : hours.until;
  return [Math.min(open, msOfTime(hours.from)), Math.max(close, msOfTime(until))];
}

function inUtc(date: number, local: LocalParts | null, zone: Zone): Session | null {
  if (local === null) return null;
  const midnight = date * DAY_MS;
  return { date, parts: local.map((ms) => zone.startOf(midnight + ms) * 1_000) };
}
