import { expect, test } from "bun:test";
import { addRows, rowsPerSecond } from "./minute-rate.ts";

const BEGIN = 60_000 * 29_000_000 + 17_000;

/** A feed of so many rows a second. */
function fed(perSecond: number, seconds: number) {
  const count = { minute: 0, inMinute: 0, inMinuteBefore: 0 };
  for (let i = 0; i < seconds; i++) addRows(count, perSecond, BEGIN + i * 1_000 + 999);
  return count;
}

test("a steady feed has its rate from its first seconds on", () => {
  for (const seconds of [2, 5, 43, 44, 60, 61, 90, 119, 600]) {
    const rate = rowsPerSecond(fed(10, seconds), BEGIN, BEGIN + seconds * 1_000);
    expect([seconds, Math.abs(rate - 10) < 1]).toEqual([seconds, true]);
  }
});

test("a feed that has ended falls to nothing within two minutes", () => {
  const count = fed(10, 300);
  const end = BEGIN + 300_000;
  const after = (seconds: number): number => rowsPerSecond(count, BEGIN, end + seconds * 1_000);
  expect(after(30)).toBeLessThan(after(10));
  expect(after(120)).toBe(0);
  expect(after(86_400)).toBe(0);
});

test("a clock that goes back counts from there", () => {
  const count = fed(10, 300);
  addRows(count, 5, BEGIN - 3_600_000);
  const rate = rowsPerSecond(count, BEGIN, BEGIN - 3_600_000);
  expect(rate).toBeGreaterThan(0);
  expect(rate).toBeLessThanOrEqual(5);
});
