import { expect, test } from "bun:test";
import type { FeedFigures, FeedsTold } from "./feed.ts";
import { FeedView } from "./feed-view.ts";

function figures(ticker: string, staleSinceMs: number | null = null): FeedFigures {
  return {
    ...{ ticker, type: "trade", interval: null, rows: 1, saves: 1, heardMs: 1, stamp: null, sinceMs: 1 },
    ...{ minute: 0, inMinute: 1, inMinuteBefore: 0, isLive: true, staleSinceMs, staleEnd: null },
  };
}

const NAME = { type: "trade", interval: null };

function told(feeds: FeedFigures[], of: Partial<FeedsTold> = {}): FeedsTold {
  const last = { sinceMs: 1, leftOut: 0, staleTimes: {}, isOpen: [] };
  return { ...last, isWhole: false, feeds, gone: [], writers: [], ...of };
}

const notices = (view: FeedView, of: FeedsTold): string[] =>
  [...view.take(of)].map(({ ticker, isStale, reason }) => `${ticker} ${isStale ? "stale" : reason}`);

test("each change is told once, whoever tells it again", () => {
  const view = new FeedView();
  expect(notices(view, told([figures("A"), figures("B")]))).toEqual([]);
  expect(notices(view, told([figures("A", 5)]))).toEqual(["A stale"]);
  expect(notices(view, told([figures("A", 5), figures("B")], { isWhole: true }))).toEqual([]);
  expect([...view.staleOf("A")]).toMatchObject([{ ticker: "A", isStale: true }]);
  const alive = { ...figures("A"), staleEnd: "session_closed" as const };
  expect(notices(view, told([alive]))).toEqual(["A session_closed"]);
  expect(notices(view, told([alive]))).toEqual([]);
  expect([view.isStale({ ticker: "A", ...NAME }), view.staleCount]).toEqual([false, 0]);
});

test("a stale feed that is gone, or that another hub doesn't know, is told as forgotten", () => {
  const view = new FeedView();
  notices(view, told([figures("A", 5), figures("B", 5), figures("C")]));
  expect(
    notices(
      view,
      told([], {
        gone: [
          { ticker: "A", ...NAME },
          { ticker: "C", ...NAME },
        ],
      }),
    ),
  ).toEqual(["A forgotten"]);
  expect(notices(view, told([], { isWhole: true }))).toEqual(["B forgotten"]);
  expect([view.size, view.staleCount]).toEqual([0, 0]);
});

test("what is known goes to the next hub as it came", () => {
  const view = new FeedView();
  notices(view, told([figures("A", 5)], { staleTimes: { trade: 3 }, leftOut: 7 }));
  expect(view.known()).toMatchObject({ isWhole: true, staleTimes: { trade: 3 }, leftOut: 7 });
  const next = new FeedView();
  expect(notices(next, view.known())).toEqual(["A stale"]);
});
