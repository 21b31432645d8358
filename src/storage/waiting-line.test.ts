import { expect, test } from "bun:test";
import { WaitingLine } from "./waiting-line.ts";

const LONG_MS = 60_000;

function line(max = 2): WaitingLine<number> {
  return new WaitingLine({ what: "read", max, full: "2 wait", late: "all were in use" });
}

test("the first in line is served first; nobody is served twice", async () => {
  const reads = line();
  expect(reads.give(0)).toBe(false);
  const first = reads.wait(LONG_MS);
  const second = reads.wait(LONG_MS);
  expect([reads.give(1), reads.give(2), reads.give(3)]).toEqual([true, true, false]);
  expect(await Promise.all([first, second])).toEqual([1, 2]);
});

test("more than may wait are refused", async () => {
  const reads = line();
  const waiting = [reads.wait(LONG_MS), reads.wait(LONG_MS)];
  await expect(reads.wait(LONG_MS)).rejects.toMatchObject({ status: 503, message: "read: 2 wait" });
  reads.give(1);
  reads.give(2);
  await Promise.all(waiting);
});

test("who has waited in vain, or has gone, gets nothing any more", async () => {
  const reads = line();
  const gone = new AbortController();
  const left = reads.wait(LONG_MS, gone.signal);
  const late = reads.wait(10);
  gone.abort();
  expect(reads.length).toBe(1);
  await expect(left).rejects.toMatchObject({ status: 499, message: "read: the client is gone" });
  await expect(late).rejects.toMatchObject({ status: 503, message: "read: all were in use for 0.01 s" });
  expect(reads.give(1)).toBe(false);
  await expect(reads.wait(LONG_MS, gone.signal)).rejects.toMatchObject({ status: 499 });
});
