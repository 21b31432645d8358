import { expect, test } from "bun:test";
import { summarizeTimes, summarizeWorkers } from "./load.ts";

test("p99 is a time that was measured", () => {
  const times = Array.from({ length: 200 }, (_, i) => 200 - i);
  expect(summarizeTimes(times)).toEqual({ averageMs: 100.5, p99Ms: 198 });
  expect(summarizeTimes([7])).toEqual({ averageMs: 7, p99Ms: 7 });
  expect(summarizeTimes([])).toEqual({ averageMs: 0, p99Ms: 0 });
});

test("the load is told by worker, and workers that answered nothing are named", () => {
  const answers = [3, 1, 3, 3].map((workerId) => ({ workerId, pid: 100 + workerId }));
  expect(summarizeWorkers(answers)).toEqual({
    workers: [
      { workerId: 1, pid: 101, requests: 1, percent: 25 },
      { workerId: 3, pid: 103, requests: 3, percent: 75 },
    ],
    silentWorkerIds: [0, 2],
  });
});

test("a server of one process has no worker ids", () => {
  expect(summarizeWorkers([{ workerId: null, pid: 7 }])).toEqual({
    workers: [{ workerId: null, pid: 7, requests: 1, percent: 100 }],
    silentWorkerIds: [],
  });
});
