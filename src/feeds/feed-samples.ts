/** What the metrics tell of feeds. */
import { labelsText, type Samples } from "../metrics/samples.ts";
import type { FeedFigures } from "./feed.ts";
import type { FeedView } from "./feed-view.ts";

/** Feeds that have series of their own: those that are stale first, then those known longest. */
const OWN_SERIES_MAX = 1_000;

/** @param sees the tickers that may be named; null: all. */
export function feedSamples(view: FeedView, sees: ((ticker: string) => boolean) | null): Samples {
  const nowMs = Date.now();
  const ages: Record<string, number> = {};
  const stale: Record<string, number> = {};
  for (const figures of view.figures) {
    const labels = labelsText(typeLabels(figures));
    ages[labels] = Math.min(ages[labels] ?? Number.POSITIVE_INFINITY, ageS(figures, nowMs));
    stale[labels] = (stale[labels] ?? 0) + Number(figures.staleSinceMs !== null);
  }
  const named = [...view.figures].filter(({ ticker }) => sees === null || sees(ticker));
  named.sort(
    (a, b) => Number(a.staleSinceMs === null) - Number(b.staleSinceMs === null) || a.sinceMs - b.sinceMs,
  );
  return {
    stock_db_feeds: { "": view.size },
    stock_db_feed_age_seconds: ages,
    stock_db_feeds_stale: stale,
    stock_db_feed_ticker_age_seconds: Object.fromEntries(
      named
        .slice(0, OWN_SERIES_MAX)
        .map((figures) => [
          labelsText({ ticker: figures.ticker, ...typeLabels(figures) }),
          ageS(figures, nowMs),
        ]),
    ),
  };
}

/** Each worker tells what it has heard of: none of them tells less than before. */
export function staleTimesSamples({ staleTimes }: FeedView): Samples {
  const times = Object.entries(staleTimes).map(([type, count]) => [labelsText({ type }), count]);
  return { stock_db_feed_stale_total: Object.fromEntries(times) };
}

function typeLabels({ type, interval }: FeedFigures): Record<string, string> {
  return { type, ...(interval === null ? {} : { interval }) };
}

function ageS({ heardMs }: FeedFigures, nowMs: number): number {
  return Math.max(0, nowMs - heardMs) / 1_000;
}
