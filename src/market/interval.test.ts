import { expect, test } from "bun:test";
import { intervalOfSeconds, parseInterval, secondsOfInterval } from "./interval.ts";

test("a length has one name, however it is written", () => {
  const names: Record<string, string> = {
    daily: "daily",
    hourly: "hourly",
    "1min": "1min",
    "5Min": "5min",
    "5m": "5min",
    "15T": "15min",
    "300s": "5min",
    "90 sec": "90s",
    "60min": "hourly",
    "1Hour": "hourly",
    "120min": "2hour",
    "4h": "4hour",
    "1D": "daily",
    "24hour": "daily",
    "36hour": "36hour",
    "7day": "1week",
    "2weeks": "2week",
  };
  for (const [text, name] of Object.entries(names)) expect([text, parseInterval(text)]).toEqual([text, name]);
});

test("what is no length is none", () => {
  for (const text of [
    "",
    "min",
    "0min",
    "1.5min",
    "-1min",
    "1M",
    "1month",
    "1y",
    "5 0min",
    "600week",
    "1e3s",
  ])
    expect([text, parseInterval(text)]).toEqual([text, null]);
});

test("names and seconds lead to each other", () => {
  for (const seconds of [1, 59, 60, 90, 1_800, 7_200, 86_401, 172_800, 604_800, 1_209_600])
    expect(secondsOfInterval(intervalOfSeconds(seconds)!)).toBe(seconds);
  expect([secondsOfInterval("hourly"), secondsOfInterval("daily")]).toEqual([3_600, 86_400]);
});
