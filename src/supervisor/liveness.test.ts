import { expect, test } from "bun:test";
import { countedMs } from "./liveness.ts";

test("time between punctual ticks counts whole", () => {
  expect(countedMs(1_000, 1_000)).toBe(1_000);
  expect(countedMs(1_400, 1_000)).toBe(1_400);
});

test("of a stall of this process only one interval counts", () => {
  expect(countedMs(3_600_000, 1_000)).toBe(1_000);
});
