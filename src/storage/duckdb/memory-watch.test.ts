import { afterEach, expect, jest, test } from "bun:test";
import { MemoryWatch } from "./memory-watch.ts";

const MB = 2 ** 20;
const LIMIT = (100 + 1536) * MB;

let bytes = 0;
let told: string[] = [];

function watchWith({
  mayEnd,
  serverMemoryBytes = null,
}: {
  mayEnd: boolean;
  serverMemoryBytes?: number | null;
}): MemoryWatch {
  jest.useFakeTimers();
  bytes = 200 * MB;
  told = [];
  return new MemoryWatch({
    memoryLimitMb: 100,
    serverMemoryBytes,
    residentBytes: () => bytes,
    stop: (reason) => told.push(`stop: ${reason}`),
    endProcess: mayEnd ? (reason) => told.push(`end: ${reason}`) : null,
  });
}

afterEach(() => {
  jest.useRealTimers();
});

function after(ms: number, newBytes: number): string[] {
  told = [];
  bytes = newBytes;
  jest.advanceTimersByTime(ms);
  return told;
}

test("statements are stopped beyond the limit; the process ends only if its memory goes on growing after that", () => {
  const watch = watchWith({ mayEnd: true });
  watch.begin();
  expect(after(1_000, LIMIT)).toEqual([]);
  expect(after(25, LIMIT + 2_000 * MB)).toEqual([
    "stop: the server's process took more than 1636 MB of memory while it ran",
  ]);
  expect(after(25, LIMIT + 1_999 * MB)).toHaveLength(1);
  expect(after(25, LIMIT + 1_025 * MB)).toHaveLength(1);
  expect(after(25, LIMIT + 1_026 * MB)).toEqual([
    "end: SQL that was stopped goes on taking memory, 2662 MB by now",
  ]);
  watch.end();
  expect(after(1_000, LIMIT + 2_000 * MB)).toEqual([]);
});

test("the bound of the whole server binds it too", () => {
  const watch = watchWith({ mayEnd: true, serverMemoryBytes: 1_000 * MB });
  watch.begin();
  expect(after(25, 601 * MB)).toEqual([
    "stop: the server's process took more than 600 MB of memory while it ran",
  ]);
  expect(after(25, 799 * MB)).toHaveLength(1);
  expect(after(25, 801 * MB)).toEqual(["end: SQL that was stopped goes on taking memory, 801 MB by now"]);
  watch.end();
});

test("a process with other work stays; what it had taken before counts for nobody", () => {
  const watch = watchWith({ mayEnd: false });
  bytes = LIMIT + 1_000 * MB;
  watch.begin();
  expect(after(1_000, LIMIT + 1_128 * MB)).toEqual([]);
  watch.begin();
  watch.end();
  for (const reason of after(75, LIMIT + 5_000 * MB)) expect(reason).toStartWith("stop:");
  expect(told).toHaveLength(3);
  watch.end();
});
