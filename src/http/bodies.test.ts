import { expect, test } from "bun:test";
import { RequestError } from "../protocol/errors.ts";
import { Bodies } from "./bodies.ts";

const KIB = 1024;
const bounded = (): Bodies => new Bodies({ bytesMax: 1_000 * KIB, bytesPerAddressMax: 500 * KIB });

function statusOf(work: () => void): number {
  try {
    work();
    return 200;
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    return error.status;
  }
}

test("an address has its part, all have the whole, and what ends gives it back", () => {
  const bodies = bounded();
  const [first, second] = [bodies.share({ address: "a" }), bodies.share({ address: "a" })];
  first.add(300 * KIB);
  expect(statusOf(() => second.add(300 * KIB))).toBe(429);
  bodies.share({ address: "b" }).add(500 * KIB);
  expect(statusOf(() => bodies.share({ address: "c" }).add(300 * KIB))).toBe(503);
  first.release();
  second.release();
  expect(statusOf(() => bodies.share({ address: "c" }).add(300 * KIB))).toBe(200);
  expect(bodies.bytes).toBe(800 * KIB);
});

test("what comes piece by piece counts as what comes at once, and small ones always fit", () => {
  const bodies = bounded();
  const share = bodies.share({ address: "a" });
  let status = 200;
  let pieces = 0;
  for (; status === 200; pieces++) status = statusOf(() => share.add(10 * KIB));
  expect({ status, pieces }).toEqual({ status: 429, pieces: 51 });
  expect(statusOf(() => bodies.share({ address: "a" }).add(KIB))).toBe(200);
  share.release();
  expect(bodies.bytes).toBe(KIB);
});
