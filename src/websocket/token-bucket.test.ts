import { expect, test } from "bun:test";
import { TokenBucket } from "./token-bucket.ts";

test("so many at once, then so many a second, and never more at once than that", () => {
  let nowMs = 0;
  const bucket = new TokenBucket(10, 2, () => nowMs);
  expect(bucket.take(7)).toBe(true);
  expect(bucket.take(4)).toBe(false);
  expect(bucket.take(3)).toBe(true);
  expect(bucket.take(1)).toBe(false);
  nowMs = 499;
  expect(bucket.take(1)).toBe(false);
  nowMs = 500;
  expect(bucket.take(1)).toBe(true);
  nowMs = 3_600_000;
  expect(bucket.take(11)).toBe(false);
  expect(bucket.take(10)).toBe(true);
});

test("what is borrowed is waited for, the later the more", () => {
  let nowMs = 0;
  const bucket = new TokenBucket(10, 2, () => nowMs);
  expect(bucket.borrow(10)).toBe(0);
  expect(bucket.borrow(4)).toBe(2_000);
  expect(bucket.borrow(4)).toBe(4_000);
  nowMs = 4_000;
  expect(bucket.borrow(0)).toBe(0);
  expect(bucket.take(1)).toBe(false);
});
