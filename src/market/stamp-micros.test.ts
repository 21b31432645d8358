import { expect, test } from "bun:test";
import { microsOfStamp, stampOfMicros } from "./stamp-micros.ts";

test("stamps go to microseconds and back, before 1970 too", () => {
  for (const stamp of [
    "2013-10-08 12:47:49.457001",
    "1970-01-01 00:00:00.000000",
    "1969-12-31 23:59:59.999999",
    "1700-01-01 00:00:00.000001",
  ]) {
    expect(stampOfMicros(microsOfStamp(stamp))).toBe(stamp);
  }
  expect(microsOfStamp("1970-01-01 00:00:01.000002")).toBe(1_000_002);
});

test("dates, seconds and the form of the wire are read alike", () => {
  const noon = Date.UTC(2024, 0, 2, 12) * 1_000;
  expect(microsOfStamp("2024-01-02 12:00:00")).toBe(noon);
  expect(microsOfStamp("2024-01-02T12:00:00.000000Z")).toBe(noon);
  expect(microsOfStamp("2024-01-02")).toBe(noon - 12 * 3_600e6);
  expect(microsOfStamp("yesterday")).toBeNaN();
});
