import { expect, test } from "bun:test";
import { dateAt, startOfDate } from "./session-date.ts";

test("a date begins at midnight there, in summer and winter", () => {
  expect(startOfDate("2014-06-09", "America/New_York")).toBe("2014-06-09T04:00:00.000000Z");
  expect(startOfDate("2020-11-06", "America/New_York")).toBe("2020-11-06T05:00:00.000000Z");
  expect(startOfDate("2024-01-02", "Asia/Tokyo")).toBe("2024-01-01T15:00:00.000000Z");
  // Midnight is left out when the clocks go forward.
  expect(startOfDate("2018-11-04", "America/Sao_Paulo")).toBe("2018-11-04T03:00:00.000000Z");
});

test("a moment has the date of the clock there", () => {
  const evening = Date.parse("2024-01-03T01:30:00Z");
  expect(dateAt(evening, "America/New_York")).toBe("2024-01-02");
  expect(dateAt(evening, "UTC")).toBe("2024-01-03");
});
