import { expect, test } from "bun:test";
import { zoneOf } from "./zone.ts";

const utc = (text: string): number => Date.parse(`${text}Z`);
const written = (times: number[]): string[] => times.map((ms) => new Date(ms).toISOString().slice(0, 16));

test("wall clocks are read in winter and in summer", () => {
  const newYork = zoneOf("America/New_York")!;
  expect(written(newYork.instantsOf(utc("2024-01-02T09:30")))).toEqual(["2024-01-02T14:30"]);
  expect(written(newYork.instantsOf(utc("2024-07-02T09:30")))).toEqual(["2024-07-02T13:30"]);
  expect(newYork.offsetAt(utc("2024-03-10T06:59")) / 3_600_000).toBe(-5);
  expect(newYork.offsetAt(utc("2024-03-10T07:00")) / 3_600_000).toBe(-4);
  expect(written(zoneOf("Asia/Kolkata")!.instantsOf(utc("2024-01-02T09:15")))).toEqual(["2024-01-02T03:45"]);
});

test("the hour that is shown twice has two times, the one left out has none", () => {
  for (const [zone, twice, first, second, never] of [
    ["America/New_York", "2024-11-03T01:30", "2024-11-03T05:30", "2024-11-03T06:30", "2024-03-10T02:30"],
    ["Europe/London", "2024-10-27T01:30", "2024-10-27T00:30", "2024-10-27T01:30", "2024-03-31T01:30"],
    ["Australia/Lord_Howe", "2024-04-07T01:45", "2024-04-06T14:45", "2024-04-06T15:15", "2024-10-06T02:15"],
  ] as const) {
    expect(written(zoneOf(zone)!.instantsOf(utc(twice)))).toEqual([first, second]);
    expect(zoneOf(zone)!.instantsOf(utc(never))).toEqual([]);
  }
});

test("what is no zone by its IANA name is none", () => {
  for (const name of ["EST", "EST5EDT", "America/Nowhere", "+05:00", "", "nonsense", "../etc"])
    expect(zoneOf(name)).toBeNull();
  for (const name of ["US/Eastern", "UTC", "Etc/GMT+5", "America/Argentina/Buenos_Aires"])
    expect(zoneOf(name)?.name).toBe(name);
});

test("offsets and wall clocks are those of Temporal, from the first ones to the year 9999", () => {
  for (const name of ["America/New_York", "Europe/Dublin", "Australia/Lord_Howe", "Africa/Casablanca"]) {
    const zone = zoneOf(name)!;
    // Some 500 moments, in no order.
    for (let year = 1800, step = 0; year < 10_000; year += step < 400 ? 1 : 150, step++) {
      const day = (step * 11) % 365;
      const utcMs = new Date(0).setUTCFullYear(step % 2 === 0 ? year : 9_999 - (year - 1800), 0, day);
      const zoned = Temporal.Instant.fromEpochMilliseconds(utcMs).toZonedDateTimeISO(name);
      const wallMs = utcMs + zoned.offsetNanoseconds / 1e6;
      expect([utcMs, zone.offsetAt(utcMs)]).toEqual([utcMs, zoned.offsetNanoseconds / 1e6]);
      expect(zone.instantsOf(wallMs)).toContain(utcMs);
    }
  }
});

test("the periods of an offset follow each other, and a wall clock that is left out starts with the jump", () => {
  const newYork = zoneOf("America/New_York")!;
  let at = utc("2023-12-01T00:00");
  const changes: string[] = [];
  for (let count = 0; count < 4; count++) {
    const { from, until, offset } = newYork.periodAt(at);
    expect(from <= at && at < until).toBe(true);
    changes.push(`${written([from])[0]} ${offset / 3_600_000}`);
    at = until;
  }
  expect(changes).toEqual([
    "2023-11-05T06:00 -5",
    "2024-03-10T07:00 -4",
    "2024-11-03T06:00 -5",
    "2025-03-09T07:00 -4",
  ]);
  expect(written([newYork.startOf(utc("2024-03-10T02:30"))])).toEqual(["2024-03-10T07:00"]);
  expect(written([newYork.startOf(utc("2024-11-03T01:30"))])).toEqual(["2024-11-03T05:30"]);
  expect(written([zoneOf("Africa/Cairo")!.startOf(utc("2024-04-26T00:00"))])).toEqual(["2024-04-25T22:00"]);
});
