import { expect, test } from "bun:test";
import { startProgress } from "./progress.ts";

function recorder(isTTY: boolean, columns = 80) {
  const written: string[] = [];
  return { written, isTTY, columns, write: (text: string) => written.push(text) };
}

test("a terminal gets a bar that redraws itself and is taken off at the end", () => {
  const output = recorder(true);
  let now = 0;
  const progress = startProgress(output, () => now);
  now = 1_000;
  progress.update({ rows: 5_000, bytesRead: 50, bytesTotal: 100 });
  progress.end();
  expect(output.written).toEqual([
    "\r\x1b[2K[############............] 5,000 rows, 50 % read, 5,000 rows/s",
    "\r\x1b[2K",
  ]);
});

test("a bar is never wider than the terminal", () => {
  const output = recorder(true, 20);
  let now = 0;
  const progress = startProgress(output, () => now);
  now = 1_000;
  progress.update({ rows: 1, bytesRead: 1, bytesTotal: 2 });
  expect(output.written[0]!.replace("\r\x1b[2K", "").length).toBe(19);
});

test("elsewhere a plain line comes every few seconds, and megabytes where the size isn't known", () => {
  const output = recorder(false);
  let now = 0;
  const progress = startProgress(output, () => now);
  for (now = 0; now <= 11_000; now += 500)
    progress.update({ rows: now, bytesRead: now * 1_000, bytesTotal: null });
  progress.end();
  expect(output.written).toEqual([
    "5,000 rows, 5.0 MB read, 1,000 rows/s\n",
    "10,000 rows, 10.0 MB read, 1,000 rows/s\n",
  ]);
});

test("a copy tells how many series are done", () => {
  const output = recorder(false);
  let now = 0;
  const progress = startProgress(output, () => now);
  now = 5_000;
  progress.update({ rows: 10_000, seriesDone: 3, seriesTotal: 1_200 });
  expect(output.written).toEqual(["10,000 rows, 3 of 1,200 series, 2,000 rows/s\n"]);
});

test("a replay says which moment it plays, and how late", () => {
  const output = recorder(false);
  let now = 0;
  const progress = startProgress(output, () => now);
  now = 10_000;
  progress.update({ rows: 20, at: "2013-10-08T12:47:49.457000Z", behindMs: 1_540 });
  expect(output.written).toEqual(["20 rows, at 2013-10-08T12:47:49.457000Z, 1.5 s behind, 2 rows/s\n"]);
});
