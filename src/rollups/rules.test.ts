import { expect, test } from "bun:test";
import { newCheckTicker } from "../market/check-ticker.ts";
import { changedSpans } from "./changed-spans.ts";
import { RollupRules, readRules } from "./rules.ts";
import { ALL_TIME, joinSpans } from "./spans.ts";

test("a pattern is a ticker in which * stands for any characters", () => {
  const has = (pattern: string, ticker: string): boolean =>
    new RollupRules([{ tickers: pattern, intervals: ["1min"] }]).of(ticker).length > 0;
  for (const [pattern, ticker] of [
    ["*", "A"],
    ["A", "A"],
    ["A*", "A"],
    ["*B*D", "ABCD"],
    ["A*A", "AA"],
    ["a.b*", "a.bc"],
  ] as const)
    expect([pattern, has(pattern, ticker)]).toEqual([pattern, true]);
  for (const [pattern, ticker] of [
    ["A", "AA"],
    ["A*A", "A"],
    ["A*B*", "AC"],
    ["a.b", "axb"],
    ["*", "\ud800"],
    ["*", newCheckTicker()],
  ] as const)
    expect([pattern, has(pattern, ticker)]).toEqual([pattern, false]);
});

test("a ticker has the lengths of all rules that match it, each once, the shortest first", () => {
  const rules = new RollupRules([
    { tickers: "*", intervals: ["5min", "1hour"] },
    { tickers: "A*", intervals: ["1min", "5min"], remade: 10 },
    { tickers: "AB", intervals: ["5min"], remade: 2 },
  ]);
  expect(rules.of("AB").map(({ label }) => label)).toEqual(["1min 10", "5min 10", "hourly"]);
  expect(
    readRules('[{"tickers":"A","intervals":["7min"]},{"tickers":5},{"tickers":"B","intervals":["1s"]}]'),
  ).toEqual([{ tickers: "B", intervals: ["1s"] }]);
  for (const text of [null, "", "{", "{}"]) expect(readRules(text)).toEqual([]);
});

test("spans are joined where they meet, and the nearest where there are too many", () => {
  const spans = [5, 0, 2].map((from) => ({ from, until: from + 2 }));
  expect(joinSpans(spans)).toEqual([
    { from: 0, until: 4 },
    { from: 5, until: 7 },
  ]);
  const many = Array.from({ length: 100 }, (_, n) => ({ from: n * 10 + (n % 2), until: n * 10 + 5 }));
  const joined = joinSpans(many);
  expect(joined).toHaveLength(32);
  for (const { from, until } of many)
    expect(joined.some((span) => span.from <= from && span.until >= until)).toBe(true);
});

test("an update tells where it has changed trades, whatever the records call their stamps", () => {
  const spanOf = (frame: object | string, type = "trade") =>
    changedSpans({ type, frame: typeof frame === "string" ? frame : JSON.stringify(frame) }, ["1min"], 0);
  const second = 1_704_189_600_000_000;
  const trades = (timestamp: unknown, payload: object[]) => ({
    symbol: "A",
    data: { type: "trade", timestamp, payload },
  });
  const text = "2024-01-02T10:00:00Z";
  expect(spanOf(trades(text, [{ When: text, price: 1 }, { WHEN: "2024-01-02T10:00:01Z" }]))).toEqual([
    { from: second, until: second + 1_000_001 },
  ]);
  // The member isn't known where several hold the same: then all of them count.
  expect(
    spanOf(
      trades(text, [
        { t: text, u: text },
        { t: "2024-01-02T09:59:59Z", u: text },
      ]),
    ),
  ).toEqual([{ from: second - 1_000_000, until: second + 1 }]);
  for (const frame of ["", "{", trades(null, [{}]), trades("x", [{ t: "x" }]), trades(text, [])])
    expect(spanOf(frame)).toEqual([ALL_TIME]);
  expect(spanOf("", "quote")).toEqual([]);
  const removal = (interval: string) => ({ data: { interval, start: text, end: null } });
  expect(spanOf(removal("1min"), "bar_delete")).toEqual([{ from: second, until: Number.POSITIVE_INFINITY }]);
  expect(spanOf(removal("5min"), "bar_delete")).toEqual([]);
});
