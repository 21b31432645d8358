/** What a worker knows of the feeds of its server: all that the hub has told. */
import {
  type FeedFigures,
  type FeedName,
  type FeedNotice,
  type FeedsTold,
  keyOf,
  WRITERS_MAX,
  type WriterFigures,
  writerKeyOf,
} from "./feed.ts";

export class FeedView {
  readonly #feeds = new Map<string, FeedFigures>();
  readonly #writers = new Map<string, WriterFigures>();
  /** Those that are stale, by ticker. */
  readonly #stale = new Map<string, Map<string, FeedFigures>>();
  #staleCount = 0;
  #last: Omit<FeedsTold, "feeds" | "gone" | "writers" | "isWhole"> = {
    sinceMs: Date.now(),
    leftOut: 0,
    staleTimes: {},
    isOpen: [],
  };

  get size(): number {
    return this.#feeds.size;
  }

  get staleCount(): number {
    return this.#staleCount;
  }

  get figures(): Iterable<FeedFigures> {
    return this.#feeds.values();
  }

  get writers(): Iterable<WriterFigures> {
    return this.#writers.values();
  }

  get sinceMs(): number {
    return this.#last.sinceMs;
  }

  get leftOut(): number {
    return this.#last.leftOut;
  }

  get staleTimes(): Readonly<Record<string, number>> {
    return this.#last.staleTimes;
  }

  /** @param rule -1: there is none. */
  isOpen(rule: number): boolean {
    return this.#last.isOpen[rule] ?? true;
  }

  isStale(feed: FeedName): boolean {
    return this.#stale.get(feed.ticker)?.has(keyOf(feed)) === true;
  }

  /** Of one ticker. */
  *staleOf(ticker: string): Generator<FeedNotice> {
    for (const figures of this.#stale.get(ticker)?.values() ?? []) yield noticeOf(figures);
  }

  *allStale(): Generator<FeedNotice> {
    for (const ticker of this.#stale.keys()) yield* this.staleOf(ticker);
  }

  /**
   * Takes the figures one by one, each with the notice of what has changed: whoever asks between
   * two sees a state that was told.
   */
  *take({ isWhole, feeds, gone, writers, ...last }: FeedsTold): Generator<FeedNotice> {
    this.#last = last;
    for (const name of isWhole ? this.#missingIn(feeds) : gone) yield* this.#forget(name);
    for (const figures of feeds) {
      const isStale = figures.staleSinceMs !== null;
      const wasStale = this.#setStale(figures, isStale);
      this.#feeds.set(keyOf(figures), figures);
      if (isStale !== wasStale) yield noticeOf(figures);
    }
    if (isWhole) this.#writers.clear();
    for (const writer of writers) this.#setWriter(writer);
  }

  /** For the next hub. */
  known(): FeedsTold {
    return {
      ...this.#last,
      isWhole: true,
      feeds: [...this.#feeds.values()],
      gone: [],
      writers: [...this.#writers.values()],
    };
  }

  *#forget(name: FeedName): Generator<FeedNotice> {
    const key = keyOf(name);
    const figures = this.#feeds.get(key);
    if (figures === undefined) return;
    this.#feeds.delete(key);
    if (this.#setStale(figures, false)) yield { ...noticeOf(figures), isStale: false, reason: "forgotten" };
  }

  #missingIn(feeds: readonly FeedFigures[]): FeedFigures[] {
    const kept = new Set(feeds.map(keyOf));
    return [...this.#feeds].filter(([key]) => !kept.has(key)).map(([, figures]) => figures);
  }

  /** @returns whether it was stale. */
  #setStale(figures: FeedFigures, isStale: boolean): boolean {
    const key = keyOf(figures);
    const ofTicker = this.#stale.get(figures.ticker);
    const wasStale = ofTicker?.has(key) === true;
    if (isStale)
      this.#stale.set(figures.ticker, (ofTicker ?? new Map<string, FeedFigures>()).set(key, figures));
    else if (wasStale && ofTicker!.delete(key) && ofTicker!.size === 0) this.#stale.delete(figures.ticker);
    this.#staleCount += Number(isStale) - Number(wasStale);
    return wasStale;
  }

  /** The hub has as many; those that it has dropped were heard longest ago. */
  #setWriter(writer: WriterFigures): void {
    const key = writerKeyOf(writer);
    this.#writers.delete(key);
    this.#writers.set(key, writer);
    if (this.#writers.size <= WRITERS_MAX) return;
    const [oldest] = this.#writers.keys();
    this.#writers.delete(oldest!);
  }
}

function noticeOf({
  ticker,
  type,
  interval,
  heardMs,
  stamp,
  staleSinceMs,
  staleEnd,
}: FeedFigures): FeedNotice {
  const isStale = staleSinceMs !== null;
  return { ticker, type, interval, heardMs, stamp, isStale, reason: isStale ? null : (staleEnd ?? "update") };
}
