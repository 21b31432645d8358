import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { CalendarError } from "../calendar/contract.ts";
import { openSessions } from "../calendar/sessions.ts";
import { parseTimeframe } from "../calendar/timeframe.ts";
import { FINE_BEFORE_MICROS } from "../storage/model/bar-parts.ts";
import { partsFor } from "./part-feed.ts";

const CALENDARS = readdirSync(join(import.meta.dir, "../calendar/exchanges"))
  .filter((file) => file !== "corrections.json")
  .map((file) => file.replace(".json", ""));
const grid = { zone: "UTC", calendar: null, session: null, align: null };
const micros = (timeframe: string, of: Partial<typeof grid> | { calendar: string } = {}) =>
  partsFor({ of: "trades" }, parseTimeframe(timeframe), { ...grid, ...of })?.micros;

test("parts are as long as no bucket needs shorter ones", () => {
  expect(micros("1Min")).toBe(60e6);
  expect(micros("90s")).toBe(30e6);
  expect(micros("7s")).toBe(1e6);
  expect(micros("1Hour")).toBe(300e6);
  expect(micros("1Month")).toBe(300e6);
  expect(micros("1Day", { calendar: "XNYS" })).toBe(60e6);
});

test("since parts are long, the days of all zones begin where a part does", () => {
  const first = Temporal.Instant.fromEpochMilliseconds(FINE_BEFORE_MICROS / 1_000);
  const odd: string[] = [];
  for (const zone of Intl.supportedValuesOf("timeZone")) {
    let at: Temporal.ZonedDateTime | null = first.toZonedDateTimeISO(zone);
    for (; at !== null && at.year < 2100; at = at.getTimeZoneTransition("next"))
      if (at.offsetNanoseconds % (micros("1Day")! * 1_000) !== 0) odd.push(String(at));
  }
  expect(odd).toEqual([]);
});

test("sessions of all calendars begin and end where a part does", () => {
  const length = micros("1Day", { calendar: "XNYS" })!;
  for (const calendar of CALENDARS)
    for (const session of ["regular", "extended"]) {
      let sessions: ReturnType<typeof openSessions>;
      try {
        sessions = openSessions({ ...grid, calendar, session });
      } catch (error) {
        expect(error).toBeInstanceOf(CalendarError);
        continue; // It has no such hours.
      }
      const dates = Array.from({ length: 6_000 }, (_, n) => 14_600 + n);
      const moments = dates.flatMap((date) => [...(sessions.on(date)?.parts ?? [])]);
      expect(moments.length).toBeGreaterThan(1_000);
      expect(moments.filter((moment) => moment % length !== 0)).toEqual([]);
    }
});
