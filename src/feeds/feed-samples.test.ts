import { expect, test } from "bun:test";
import type { FeedFigures } from "./feed.ts";
import { feedSamples, staleTimesSamples } from "./feed-samples.ts";
import { FeedView } from "./feed-view.ts";

function view(feeds: (Partial<FeedFigures> & { ticker: string })[], staleTimes = {}): FeedView {
  const all = feeds.map(
    (feed): FeedFigures => ({
      ...{ type: "trade", interval: null, rows: 1, saves: 1, heardMs: Date.now(), stamp: null, sinceMs: 1 },
      ...{ minute: 0, inMinute: 1, inMinuteBefore: 0, isLive: true, staleSinceMs: null, staleEnd: null },
      ...feed,
    }),
  );
  const made = new FeedView();
  const last = { sinceMs: 1, leftOut: 0, staleTimes, isOpen: [] };
  for (const _ of made.take({ ...last, isWhole: true, feeds: all, gone: [], writers: [] }));
  return made;
}

test("the age of a type is that of its newest rows, of whatever ticker", () => {
  const oldMs = Date.now() - 60_000;
  const bar = { ticker: "A", type: "bar", interval: "5min", heardMs: oldMs, staleSinceMs: 1 };
  const samples = feedSamples(view([{ ticker: "A", heardMs: oldMs }, { ticker: "B" }, bar]), null);
  expect(samples.stock_db_feed_age_seconds!['{type="trade"}']).toBeLessThan(30);
  expect(samples.stock_db_feed_age_seconds!['{type="bar",interval="5min"}']).toBeGreaterThanOrEqual(60);
  expect(samples.stock_db_feeds_stale).toEqual({ '{type="trade"}': 0, '{type="bar",interval="5min"}': 1 });
  expect(samples.stock_db_feeds).toEqual({ "": 3 });
});

test("tickers are named up to a bound, stale ones first, and only those that may be seen", () => {
  const feeds = Array.from({ length: 1_500 }, (_, i) => ({
    ticker: `T${i}`,
    ...(i === 1_499 ? { staleSinceMs: 1 } : {}),
  }));
  const named = Object.keys(feedSamples(view(feeds), null).stock_db_feed_ticker_age_seconds!);
  expect([named.length, named[0], named.at(-1)]).toEqual([
    1_000,
    '{ticker="T1499",type="trade"}',
    '{ticker="T998",type="trade"}',
  ]);
  const seen = feedSamples(view(feeds), (ticker) => ticker === "T7").stock_db_feed_ticker_age_seconds;
  expect(Object.keys(seen!)).toEqual(['{ticker="T7",type="trade"}']);
});

test("types beyond the bound are one", () => {
  const feeds = Array.from({ length: 300 }, (_, i) => ({ ticker: "A", type: `type ${i}`, staleSinceMs: 1 }));
  const { stock_db_feeds_stale: stale, stock_db_feed_age_seconds: ages } = feedSamples(view(feeds), null);
  expect([Object.keys(stale!).length, Object.keys(ages!).length]).toEqual([201, 201]);
  expect(stale!['{type="others"}']).toBe(100);
  expect(staleTimesSamples(view([], { trade: 3 }))).toEqual({
    stock_db_feed_stale_total: { '{type="trade"}': 3 },
  });
});
