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

test("whoever is put ahead is the first, past the bound; refusing one leaves the others", async () => {
  const line = new WaitingLine<number, string>({ max: 1, full: "1 waits", gone: (reason) => reason });
  const second = line.wait(LONG_MS, undefined, { want: "second" });
  const first = line.wait(LONG_MS, undefined, { want: "first", ahead: true });
  expect([line.first, line.length]).toEqual(["first", 2]);
  expect(line.fail(new Error("refused"))).toBe(true);
  await expect(first).rejects.toThrow("refused");
  expect(line.first).toBe("second");
  line.give(Promise.resolve(2));
  expect([await second, line.first, line.fail(new Error("nobody"))]).toEqual([2, undefined, false]);
});

test("errors of one's own stand for those of the line", async () => {
  const line = new WaitingLine({ gone: (reason) => reason });
  const late = line.wait(1, undefined, { late: () => new Error("too late") });
  await expect(late).rejects.toThrow("too late");
  const client = new AbortController();
  const gone = line.wait(LONG_MS, client.signal);
  client.abort(new Error("hung up"));
  await expect(gone).rejects.toThrow("hung up");
});
