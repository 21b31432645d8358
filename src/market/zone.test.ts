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
