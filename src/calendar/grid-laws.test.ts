/** What holds of every grid, at stamps around changes of the clock, half days and holidays. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { dayOf } from "./calendar-file.ts";
import type { Grid, GridOptions } from "./contract.ts";
import { openGrid } from "./open-grid.ts";
import { openSessions } from "./sessions.ts";
import { parseTimeframe } from "./timeframe.ts";

const HOUR = 3_600_000_000;
const DAY = 24 * HOUR;
const ZONES = [
  "America/New_York",
  "Europe/London",
  "Australia/Sydney",
  "Australia/Lord_Howe",
  "Africa/Cairo",
  "Asia/Kolkata",
  "UTC",
];
const CALENDARS = [null, "XNYS", "XLON", "XTKS", "XHKG", "XASX", "CME", "CMES", "24/7"];
const SESSIONS = ["regular", "extended", "10:00-15:00", "22:00-06:30"];
const TIMEFRAMES = [
  "1s",
  "90s",
  "1min",
  "7min",
  "20min",
  "30min",
  "1hour",
  "90min",
  "2hour",
  "4hour",
  "7hour",
];
const LONG = ["daily", "3day", "1week", "2week", "1month", "3month", "5month"];
/** Changes of the clock of these zones, a half day, and a long holiday. */
const PLACES = [
  "2024-03-10T07:00Z",
  "2024-11-03T06:00Z",
  "2024-03-31T01:00Z",
  "2024-10-27T01:00Z",
  "2024-04-06T15:00Z",
  "2024-10-05T15:30Z",
  "2024-04-25T22:00Z",
  "2024-07-03T17:00Z",
  "2024-12-24T18:00Z",
  "2031-03-09T07:00Z",
].map((text) => Date.parse(text) * 1_000);

const optionsOf = (timeframes: string[]): fc.Arbitrary<GridOptions> =>
  fc
    .record({
      timeframe: fc.constantFrom(...timeframes).map((text) => parseTimeframe(text)),
      zone: fc.constantFrom(null, ...ZONES),
      calendar: fc.constantFrom(...CALENDARS),
      session: fc.constantFrom(...SESSIONS),
      align: fc.constantFrom(null, "clock", "session"),
    })
    // Without a calendar, nothing tells these hours.
    .map((options) =>
      options.calendar === null && !options.session.includes(":") ? { ...options, session: null } : options,
    );
const place = fc.constantFrom(...PLACES);
const stampsNear = (at: number, reach: number): fc.Arbitrary<number[]> =>
  fc
    .array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 30, maxLength: 60 })
    .map((places) => places.map((part) => Math.floor(at + part * reach)).sort((a, b) => a - b));

function stateOf(grid: Grid, micros: number): number[] | null {
  if (!grid.seek(micros)) return null;
  return [grid.start, grid.end, grid.from, grid.until, grid.date];
}

/** Steps from stretch to stretch through the parts of the sessions of some days. */
function stretchesOf(options: GridOptions, firstDay: number, days: number): number[][] {
  const grid = openGrid(options);
  const sessions = openSessions(options);
  const stretches: number[][] = [];
  for (let date = firstDay; date < firstDay + days; date++) {
    const { parts } = sessions.on(date) ?? { parts: [] };
    for (let index = 0; index < parts.length; index += 2) {
      for (let at = parts[index]!; at < parts[index + 1]!; at = grid.until) {
        expect([grid.seek(at), grid.from, grid.date]).toEqual([true, at, date]);
        expect(grid.until).toBeGreaterThan(at);
        expect(grid.until).toBeLessThanOrEqual(parts[index + 1]!);
        stretches.push([grid.start, grid.end, grid.from, grid.until]);
      }
      if (parts[index + 1]! > parts[index]!) expect(grid.until).toBe(parts[index + 1]!);
    }
  }
  return stretches;
}

describe.each([
  ["seconds to hours", TIMEFRAMES, 2 * DAY],
  ["days to months", LONG, 40 * DAY],
] as const)("%s", (_, timeframes, reach) => {
  const options = optionsOf([...timeframes]);

  test("stamps in order and out of order find the same bucket, and lie in it", () => {
    fc.assert(
      fc.property(
        options,
        place.chain((at) => stampsNear(at, reach)),
        (asked, stamps) => {
          const [ascending, descending] = [openGrid(asked), openGrid(asked)];
          const forward = stamps.map((at) => stateOf(ascending, at));
          const backward = stamps.toReversed().map((at) => stateOf(descending, at));
          expect(backward.toReversed()).toEqual(forward);
          for (const [index, state] of forward.entries()) {
            if (state === null) continue;
            const [start, end, from, until] = state as [number, number, number, number];
            const at = stamps[index]!;
            expect(from <= at && at < until && start < end).toBe(true);
            if (asked.timeframe.unit === "second") expect(start <= from && until === end).toBe(true);
          }
        },
      ),
    );
  });

  test("buckets tile the sessions, in order, each with a label of its own", () => {
    fc.assert(
      fc.property(options, place, (asked, at) => {
        const short = asked.timeframe.unit === "second";
        const days = short ? (asked.timeframe.count < 60 ? 0 : 3) : 70;
        const stretches = stretchesOf(asked, Math.floor(at / DAY) - 1, days);
        for (const [index, [start, end, from]] of stretches.entries()) {
          const before = stretches[index - 1];
          if (before === undefined) continue;
          const isSame = before[0] === start && before[1] === end;
          expect(start! > before[0]! || (isSame && !short)).toBe(true);
          expect(start! >= before[1]! || isSame).toBe(true);
          expect(from!).toBeGreaterThanOrEqual(before[3]!);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("the buckets between two instants are those that stamps find", () => {
    fc.assert(
      fc.property(
        options,
        place.chain((at) => stampsNear(at, reach / 4)),
        (asked, stamps) => {
          const [from, to] = [stamps[0]!, stamps.at(-1)! + 1];
          const grid = openGrid(asked);
          const starts = [...grid.buckets(from, to, 20_000)].map(({ start }) => start);
          expect(starts.every((start, index) => index === 0 || start > starts[index - 1]!)).toBe(true);
          if (starts.length === 20_000) return;
          const all = new Set(starts);
          for (const at of stamps) if (grid.seek(at)) expect(all.has(grid.start)).toBe(true);
          expect([...grid.buckets(from, to, 3)].map(({ start }) => start)).toEqual(starts.slice(0, 3));
        },
      ),
      { numRuns: 60 },
    );
  });
});

test.each(ZONES)("the wall clock of %s, minute by minute, changes buckets where the grid does", (zone) => {
  for (const text of ["20min", "30min", "1hour", "90min", "4hour"]) {
    const timeframe = parseTimeframe(text);
    const minutes = timeframe.count / 60;
    for (const place of PLACES) {
      const grid = openGrid({ timeframe, zone, align: "clock" });
      let last: string | null = null;
      for (let minute = -300; minute < 300; minute++) {
        const at = place + minute * 60_000_000;
        const wall = Temporal.Instant.fromEpochMilliseconds(at / 1_000).toZonedDateTimeISO(zone);
        const ofDay = wall.hour * 60 + wall.minute;
        const step = `${wall.toPlainDate()} ${Math.floor(ofDay / minutes)}`;
        grid.seek(at);
        if (last !== null)
          expect([text, wall.toString(), grid.from === at]).toEqual([
            text,
            wall.toString(),
            step !== last || ofDay % minutes === 0,
          ]);
        last = step;
      }
    }
  }
});

test("stamps are exact until 2255, and dates before 1970 are found", () => {
  const last = Date.UTC(2254, 11, 30, 15) * 1_000;
  const grid = openGrid({ timeframe: parseTimeframe("1s"), zone: "America/New_York" });
  expect([grid.seek(last + 1_999_999), grid.start - last]).toEqual([true, 1_000_000]);
  const days = openGrid({ timeframe: parseTimeframe("daily"), calendar: "XNYS" });
  const early = Date.parse("1950-07-03T15:00Z") * 1_000;
  expect([days.seek(early), days.date]).toEqual([true, dayOf("1950-07-03")]);
});
