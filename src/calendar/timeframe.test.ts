import { expect, test } from "bun:test";
import { parseTimeframe } from "./timeframe.ts";

test("a timeframe has one name, however it is written", () => {
  const names: Record<string, string> = {
    "1Min": "1min",
    "1T": "1min",
    "1m": "1min",
    "5Min": "5min",
    "90s": "90s",
    "1Hour": "hourly",
    "1H": "hourly",
    hourly: "hourly",
    "4Hour": "4hour",
    "1440min": "daily",
    "1Day": "daily",
    "1D": "daily",
    daily: "daily",
    "3day": "3day",
    "7day": "1week",
    "1Week": "1week",
    "1W": "1week",
    Weekly: "1week",
    "1Month": "1month",
    "1M": "1month",
    "3M": "3month",
    "3Month": "3month",
    "1 quarter": "3month",
    "2Q": "6month",
    "12Month": "12month",
    "1Y": "12month",
    " yearly ": "12month",
  };
  for (const [text, name] of Object.entries(names))
    expect([text, parseTimeframe(text).name]).toEqual([text, name]);
});

test("seconds, days, weeks and months are counted", () => {
  expect(parseTimeframe("23hour")).toEqual({ unit: "second", count: 82_800, name: "23hour" });
  expect(parseTimeframe("3D")).toEqual({ unit: "day", count: 3, name: "3day" });
  expect(parseTimeframe("14D")).toEqual({ unit: "week", count: 2, name: "2week" });
  expect(parseTimeframe("10Y")).toEqual({ unit: "month", count: 120, name: "120month" });
});

test("the error for what is no timeframe names the parameter, the value and what was expected", () => {
  for (const text of [
    "",
    "5",
    "min",
    "0min",
    "0M",
    "-1D",
    "1.5h",
    "36hour",
    "25H",
    "11Y",
    "1x",
    "1e3s",
    "5minM",
  ])
    expect(() => parseTimeframe(text)).toThrow(
      `timeframe: got ${JSON.stringify(text)}, expected "daily", "hourly", or a whole number of`,
    );
  expect(() => parseTimeframe("x".repeat(1_000), "every")).toThrow(
    `every: got "${"x".repeat(100)}", expected`,
  );
});
