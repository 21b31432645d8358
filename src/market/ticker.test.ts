import { expect, test } from "bun:test";
import { readTicker, TICKER_LENGTH_MAX, TickerError } from "./ticker.ts";

test("keeps any text as it is", () => {
  for (const text of ["AAPL", "aapl", " AAPL ", "BRK.B", "O'NEIL; --", "日経", " "])
    expect(readTicker(text)).toBe(text);
});

test("numbers and true become text", () => {
  expect([5, 1.5, -1, true, 12n].map(readTicker)).toEqual(["5", "1.5", "-1", "True", "12"]);
});

test("what the wire counts as missing is null", () => {
  for (const value of [undefined, null, "", 0, -0, 0n, false, Number.NaN, [], {}])
    expect(readTicker(value)).toBeNull();
});

test("refuses lists, objects and what is too long", () => {
  expect(() => readTicker([1])).toThrow(new TickerError("cannot use a list as a ticker: expected a text"));
  expect(() => readTicker({ a: 1 })).toThrow(TickerError);
  expect(readTicker("x".repeat(TICKER_LENGTH_MAX))).toHaveLength(TICKER_LENGTH_MAX);
  expect(() => readTicker("x".repeat(TICKER_LENGTH_MAX + 1))).toThrow(
    "expected at most 1024 characters, got 1025",
  );
});
