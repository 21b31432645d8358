import { expect, test } from "bun:test";
import { round4 } from "./round4.ts";

test("a tie goes to the even decimal", () => {
  expect([0.03125, 0.09375, -0.03125, 1.03125, 3.84375].map(round4)).toEqual([
    0.0312, 0.0938, -0.0312, 1.0312, 3.8438,
  ]);
  expect(round4(2 ** 40 + 0.03125)).toBe(1099511627776.0312);
});

test("what only looks like a tie goes to the nearer decimal", () => {
  // 1.0000500000000001 and 2.0000499999999999 are the doubles of these.
  expect(round4(1.00005)).toBe(1.0001);
  expect(round4(2.00005)).toBe(2);
});

test("keeps whole numbers, huge numbers and zero, and knows no negative zero", () => {
  expect([0, 7, -7, 1e15, 1.5e300, 123456789012.3456].map(round4)).toEqual([
    0, 7, -7, 1e15, 1.5e300, 123456789012.3456,
  ]);
  expect(Object.is(round4(-0.00001), 0)).toBe(true);
});

test("agrees with exact decimal rounding, ties apart", () => {
  for (let i = 0; i < 50_000; i += 1) {
    const value = (Math.random() - 0.5) * 10 ** (Math.random() * 16 - 4);
    if (Math.abs((value * 32) % 2) === 1) continue;
    expect(round4(value)).toBe(Number(value.toFixed(4)) + 0);
  }
});

test("ties of every size go to even", () => {
  for (let i = 0; i < 5_000; i += 1) {
    const odd = 2 * Math.floor(Math.random() * 2 ** (4 + Math.random() * 40)) + 1;
    const halves = BigInt(odd) * 625n;
    const below = halves / 2n;
    const even = below % 2n === 0n ? below : below + 1n;
    expect(round4(odd / 32)).toBe(Number(`${even}e-4`));
  }
});
