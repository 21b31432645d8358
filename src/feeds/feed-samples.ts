/** What the metrics tell of feeds. */
import { labelsText, type Samples } from "../metrics/samples.ts";
import { type FeedFigures, OTHER_TYPES, TYPES_MAX } from "./feed.ts";
import type { FeedView } from "./feed-view.ts";

/** Feeds that have series of their own: those that are stale first, then those known longest. */
const OWN_SERIES_MAX = 1_000;

/** @param sees the tickers that may be named; null: all. */
export function feedSamples(view: FeedView, sees: ((ticker: string) => boolean) | null): Samples {
  const nowMs = Date.now();
  const byType = new Map<string, OfType>();
  for (const figures of view.figures) {
    const of = typeOf(figures, byType);
    of.heardMs = Math.max(of.heardMs, figures.heardMs);
    of.stale += Number(figures.staleSinceMs !== null);
  }
  const own = [...ownSeries(view, sees)].map((figures): [string, number] => [
    labelsText({ ticker: figures.ticker, ...typeLabels(figures) }),
    ageS(figures, nowMs),
  ]);
  const types = [...byType.values()];
  return {
    stock_db_feeds: { "": view.size },
    stock_db_feed_age_seconds: Object.fromEntries(types.map((of) => [of.labels, ageS(of, nowMs)])),
    stock_db_feeds_stale: Object.fromEntries(types.map(({ labels, stale }) => [labels, stale])),
    stock_db_feed_ticker_age_seconds: Object.fromEntries(own),
  };
}

type TypeOfFeed = Pick<FeedFigures, "type" | "interval">;
const OTHERS: TypeOfFeed = { type: OTHER_TYPES, interval: null };

interface OfType {
  labels: string;
  heardMs: number;
  stale: number;
}

function typeOf(figures: TypeOfFeed, byType: Map<string, OfType>): OfType {
  const known = byType.get(keyOf(figures));
  if (known !== undefined) return known;
  const shown = byType.size < TYPES_MAX ? figures : OTHERS;
  const of = byType.get(keyOf(shown)) ?? { labels: labelsText(typeLabels(shown)), heardMs: 0, stale: 0 };
  byType.set(keyOf(shown), of);
  return of;
}

function keyOf({ type, interval }: TypeOfFeed): string {
  return `${type}\0${interval}`;
}

function* ownSeries(view: FeedView, sees: ((ticker: string) => boolean) | null): Generator<FeedFigures> {
  let count = 0;
  for (const isStale of [true, false])
    for (const figures of view.figures) {
      if ((figures.staleSinceMs !== null) !== isStale || sees?.(figures.ticker) === false) continue;
      if (++count > OWN_SERIES_MAX) return;
      yield figures;
    }
}

/** Each worker tells what it has heard of: none of them tells less than before. */
export function staleTimesSamples({ staleTimes }: FeedView): Samples {
  const times = Object.entries(staleTimes).map(([type, count]) => [labelsText({ type }), count]);
  return { stock_db_feed_stale_total: Object.fromEntries(times) };
}

function typeLabels({ type, interval }: TypeOfFeed): Record<string, string> {
  return { type, ...(interval === null ? {} : { interval }) };
}

function ageS({ heardMs }: { heardMs: number }, nowMs: number): number {
  return Math.max(0, nowMs - heardMs) / 1_000;
}
