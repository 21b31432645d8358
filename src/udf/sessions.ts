/** The hours of an exchange in TradingView's notation. */
import type { Calendar, DayHours } from "../calendar/calendar.ts";

export interface SymbolSession {
  session: string;
  timezone: string;
  session_holidays?: string;
  corrections?: string;
}

/** Before and after today, for holidays and short days. */
const DAYS_BACK = 5 * 366;
const DAYS_AHEAD = 366;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

export const EVERY_HOUR: SymbolSession = { session: "24x7", timezone: "Etc/UTC" };

/**
 * Its usual hours are those of most of its sessions around today; other hours are corrections, and
 * days of the week that mostly have a session are holidays where they have none.
 *
 * @param today days since 1970.
 */
export function sessionOf(calendar: Calendar, today: number): SymbolSession {
  const counts = new Map<string, number>();
  const byDay: [day: number, hours: string | null][] = [];
  const weekdays = new Map<number, number>();
  for (let day = today - DAYS_BACK; day <= today + DAYS_AHEAD; day++) {
    const hours = calendar.hours(day);
    const text = hours === null ? null : textOf(hours);
    byDay.push([day, text]);
    if (text === null) continue;
    counts.set(text, (counts.get(text) ?? 0) + 1);
    weekdays.set(weekdayOf(day), (weekdays.get(weekdayOf(day)) ?? 0) + 1);
  }
  const usual = [...counts].sort(([, a], [, b]) => b - a)[0]?.[0] ?? EVERY_HOUR.session;
  const mostly = byDay.length / 7 / 2;
  const isSessionDay = (day: number) => (weekdays.get(weekdayOf(day)) ?? 0) > mostly;
  const closed = byDay.filter(([day, text]) => text === null && isSessionDay(day));
  const holidays = closed.map(([day]) => compact(day));
  const others = new Map<string, number[]>();
  for (const [day, text] of byDay)
    if (text !== null && text !== usual) others.set(text, [...(others.get(text) ?? []), day]);
  const week = [...Array(7).keys()].filter((each) => (weekdays.get(each) ?? 0) > mostly);
  // 1 is Sunday; without days it is Monday to Friday.
  const days = week.join() === "1,2,3,4,5" ? "" : `:${week.map((each) => each + 1).join("")}`;
  return {
    session: usual + days,
    timezone: calendar.zone.name,
    ...(holidays.length > 0 && { session_holidays: holidays.join(",") }),
    ...(others.size > 0 && { corrections: [...others].map(correction).join(";") }),
  };
}

/** `0930-1600`; with a break `0900-1130,1230-1530`. A later start is on the evening before. */
function textOf({ open, close, breaks }: DayHours): string {
  const edges = [open, ...breaks, close].map(clock);
  const parts: string[] = [];
  for (let at = 0; at < edges.length; at += 2) parts.push(`${edges[at]}-${edges[at + 1]}`);
  return parts.join(",");
}

/** `0930-1300:20241129,20241224` */
function correction([hours, days]: [string, number[]]): string {
  return `${hours}:${days.map(compact).join(",")}`;
}

function clock(ms: number): string {
  const minutes = (((ms % DAY_MS) + DAY_MS) % DAY_MS) / MINUTE_MS;
  return String(Math.floor(minutes / 60) * 100 + (minutes % 60)).padStart(4, "0");
}

/** 0 is Sunday. */
function weekdayOf(day: number): number {
  return (((day + 4) % 7) + 7) % 7;
}

function compact(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10).replaceAll("-", "");
}
