import { expect, test } from "bun:test";
import { FEEDS_MAX, type FeedCount, WRITERS_MAX } from "./feed.ts";
import { FeedBook } from "./feed-book.ts";

const NOW = Date.parse("2026-07-08T14:30:00Z");

function count(ticker: string, of: Partial<FeedCount> = {}): FeedCount {
  const stamp = "2026-07-08 14:29:59.000000";
  return { ticker, type: "trade", interval: null, rows: 1, saves: 1, heardMs: NOW, stamp, ...of };
}

test("beyond the bound the feed that was heard longest ago goes, and is counted", () => {
  const dropped: string[] = [];
  const book = new FeedBook([], ({ figures }) => void dropped.push(figures.ticker));
  for (let i = 0; i < FEEDS_MAX; i++) book.count(count(`T${i}`), NOW);
  book.count(count("T0"), NOW);
  for (const ticker of ["NEW1", "NEW2"]) book.count(count(ticker), NOW);
  expect([dropped, book.leftOut, [...book.feeds()].length]).toEqual([["T1", "T2"], 2, FEEDS_MAX]);
});

test("writers are bounded, and a count that comes late changes no newer one", () => {
  const book = new FeedBook([], () => undefined);
  const last = { ticker: "A", type: "trade", interval: null };
  const writer = (address: string, heardMs = NOW) => ({
    who: "-",
    address,
    rows: 1,
    saves: 1,
    heardMs,
    last,
    stamp: null,
  });
  for (let i = 0; i <= WRITERS_MAX; i++) book.countWriter(writer(`10.0.${i}`), NOW);
  expect([book.writers().length, book.writers()[0]!.address]).toEqual([WRITERS_MAX, "10.0.1"]);
  expect(book.countWriter(writer("10.0.9", NOW - 5_000), NOW)).toMatchObject({ rows: 2, heardMs: NOW });
});

test("a clock that was set back doesn't leave figures of the future", () => {
  const book = new FeedBook([], () => undefined);
  book.count(count("A", { heardMs: NOW + 3_600_000 }), NOW + 3_600_000);
  expect(book.count(count("A"), NOW).figures.heardMs).toBe(NOW);
  expect(book.count(count("A", { heardMs: NOW - 500 }), NOW).figures.heardMs).toBe(NOW);
});

test("of what several workers tell a new hub, the fullest counts, and all of it once", () => {
  const before = new FeedBook([], () => undefined);
  for (let i = 0; i < 3; i++) before.count(count("A"), NOW);
  const older = [...before.feeds()].map(({ figures }) => ({ ...figures }));
  before.count(count("A"), NOW);
  const newer = [...before.feeds()].map(({ figures }) => ({ ...figures }));
  const told = (feeds: typeof older) => ({
    ...{ isWhole: true, sinceMs: NOW, leftOut: 7, staleTimes: {}, isOpen: [], gone: [], writers: [] },
    feeds,
  });
  const book = new FeedBook([], () => undefined);
  expect(book.adopt(told(older), NOW)).toHaveLength(1);
  expect(book.adopt(told(newer), NOW)).toHaveLength(1);
  expect(book.adopt(told(older), NOW)).toHaveLength(0);
  const [feed] = book.feeds();
  expect([feed!.figures.rows, feed!.figures.isLive, book.leftOut]).toEqual([4, true, 7]);
});
