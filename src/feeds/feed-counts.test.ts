import { expect, test } from "bun:test";
import { newCheckTicker } from "../market/check-ticker.ts";
import type { Save, SaveTicks } from "../storage/contract.ts";
import { FEEDS_MAX } from "./feed.ts";
import { FeedCounts } from "./feed-counts.ts";

const DESK = { who: "desk", address: "10.0.0.1" };

function trades(ticker: string, ...stamps: string[]): SaveTicks {
  const rows = stamps.map((stamp): SaveTicks["rows"][number] => [stamp, 1, 1, null, null, null, null, null]);
  return { kind: "ticks", ticker, part: "trade", rows, onDuplicate: "match" };
}

const minutes = (ticker: string): Save => ({
  ...{ kind: "interval", ticker, part: "5min", onDuplicate: "replace" },
  rows: [["2026-01-02 10:05:00", 1, 1, 1, 1, 1]],
});

test("saves are counted by ticker, type and length, with the newest stamp of all", () => {
  const counts = new FeedCounts();
  counts.note(trades("A", "2026-01-02 10:00:02.000000", "2026-01-02 10:00:01.000000"), DESK, 5_000);
  counts.note(trades("A", "2026-01-02 10:00:00.000000"), DESK, 6_000);
  counts.note(minutes("A"), DESK, 7_000);
  const trade = { ticker: "A", type: "trade", interval: null };
  const bar = { ticker: "A", type: "bar", interval: "5min" };
  expect(counts.take()).toEqual({
    feeds: [
      { ...trade, rows: 3, saves: 2, heardMs: 6_000, stamp: "2026-01-02 10:00:02.000000" },
      { ...bar, rows: 1, saves: 1, heardMs: 7_000, stamp: "2026-01-02 10:05:00" },
    ],
    writers: [
      {
        ...{ who: "desk", address: "10.0.0.1", rows: 4, saves: 3, heardMs: 7_000 },
        ...{ last: expect.objectContaining(bar), stamp: "2026-01-02 10:05:00" },
      },
    ],
    leftOut: 0,
    renamed: [],
  });
  expect(counts.isEmpty).toBe(true);
});

test("a renamed ticker, and that of a check, have no feed", () => {
  const counts = new FeedCounts();
  counts.note(trades(newCheckTicker(), "2026-01-02 10:00:00.000000"), DESK);
  expect(counts.isEmpty).toBe(true);
  counts.note(trades("OLD", "2026-01-02 10:00:00.000000"), DESK);
  counts.noteRenamed("OLD");
  expect(counts.take()).toMatchObject({ feeds: [], renamed: ["OLD"] });
});

test("feeds beyond the bound, and types of one ticker, are left out and counted", () => {
  const counts = new FeedCounts();
  const save = trades("", "2026-01-02 10:00:00.000000");
  for (let i = 0; i < 100; i++) counts.note({ ...save, ticker: "A", part: `type ${i}` }, DESK);
  for (let i = 0; i < FEEDS_MAX; i++) counts.note({ ...save, ticker: `T${i}` }, DESK);
  const { feeds, leftOut } = counts.take();
  expect([feeds.length, leftOut]).toEqual([FEEDS_MAX, 100]);
});

test("beyond so many looks at addresses, the shares of writers are estimates and their sum is exact", () => {
  const counts = new FeedCounts();
  let looks = 0;
  const from = (address: string) => ({
    who: "desk",
    get address() {
      looks++;
      return address;
    },
  });
  const save = trades("A", "2026-01-02 10:00:00.000000");
  for (let i = 0; i < 10_000; i++)
    for (const address of ["10.0.0.1", "10.0.0.2"]) counts.note(save, from(address));
  const { writers, feeds } = counts.take();
  expect(feeds[0]!.rows).toBe(20_000);
  expect(looks).toBeLessThan(6_000);
  const [one, two] = writers.map(({ rows }) => rows) as [number, number];
  expect(Math.abs(one - two)).toBeLessThan(2_000);
  // The last ones count for whoever is seen next.
  counts.note(save, from("10.0.0.2"));
  expect(one + two + counts.take().writers[0]!.rows).toBe(20_001);
});
