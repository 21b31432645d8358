import { expect, test } from "bun:test";
import { marketClock } from "./market-day.ts";

function dayAt(zone: string, moment: string) {
  return marketClock(zone)!.dayAt(Date.parse(moment));
}

test("the day in New York changes at its midnight, in winter and in summer", () => {
  const dateAt = (moment: string): string => dayAt("America/New_York", moment).date;
  expect(dateAt("2024-01-02T04:59:59.999Z")).toBe("2024-01-01");
  expect(dateAt("2024-01-02T05:00:00Z")).toBe("2024-01-02");
  expect(dateAt("2024-07-02T03:59:00Z")).toBe("2024-07-01");
  expect(dateAt("2024-07-02T04:00:00Z")).toBe("2024-07-02");
});

test("a day is told in UTC, with all of its microseconds, also where the clock changes", () => {
  const zone = "America/New_York";
  expect(dayAt(zone, "2024-01-03T01:30:00Z")).toEqual({
    date: "2024-01-02",
    from: "2024-01-02 05:00:00.000000",
    to: "2024-01-03 04:59:59.999999",
    zone,
  });
  const spring = dayAt(zone, "2024-03-10T12:00:00Z");
  expect([spring.from, spring.to]).toEqual(["2024-03-10 05:00:00.000000", "2024-03-11 03:59:59.999999"]);
  // There, the clock goes from 23:59:59 to 01:00.
  const late = dayAt("Africa/Cairo", "2024-04-26T12:00:00Z");
  expect([late.date, late.from]).toEqual(["2024-04-26", "2024-04-25 22:00:00.000000"]);
  const tokyo = dayAt("Asia/Tokyo", "2024-01-02T15:00:00Z");
  expect([tokyo.date, tokyo.from]).toEqual(["2024-01-03", "2024-01-02 15:00:00.000000"]);
});

test("a zone that nobody knows is none", () => {
  for (const zone of ["", "Mars", "America/Springfield", "x".repeat(10_000)])
    expect(marketClock(zone)).toBeNull();
});
