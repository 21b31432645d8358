/** The position of every known ticker: through its feed, or, while all are watched, as a number. */
import { type FeedOptions, TickerFeed } from "./ticker-feed.ts";

/** Limit for feeds of tickers that only subscribers to all watch. */
const IDLE_FEEDS_MAX = 1_000;
/** Limit for tickers of removed checks; a read of positions under way may still name them. */
const FORGOTTEN_MAX = 100;

export class TickerFeeds {
  readonly #options: FeedOptions;
  readonly #feeds = new Map<string, TickerFeed>();
  #withoutFeed = new Map<string, number>();
  readonly #forgotten = new Set<string>();

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#feeds.size + this.#withoutFeed.size;
  }

  get(ticker: string): TickerFeed | undefined {
    return this.#feeds.get(ticker);
  }

  /** The ticker's feed. A new one begins at the known position. */
  opened(ticker: string, delivered = this.#withoutFeed.get(ticker) ?? 0): TickerFeed {
    let feed = this.#feeds.get(ticker);
    if (feed === undefined) {
      this.#withoutFeed.delete(ticker);
      feed = new TickerFeed(ticker, delivered, this.#options);
      this.#feeds.set(ticker, feed);
    }
    return feed;
  }

  knows(ticker: string): boolean {
    return this.#feeds.has(ticker) || this.#withoutFeed.has(ticker);
  }

  /** Everything up to this position was delivered; 0 if nothing is known. */
  delivered(ticker: string): number {
    return this.#feeds.get(ticker)?.delivered ?? this.#withoutFeed.get(ticker) ?? 0;
  }

  positions(): Map<string, number> {
    const positions = new Map(this.#withoutFeed);
    for (const [ticker, feed] of this.#feeds) {
      if (!this.#forgotten.has(ticker)) positions.set(ticker, feed.delivered);
    }
    return positions;
  }

  /** Tickers with a feed. */
  fed(): Iterable<string> {
    return this.#feeds.keys();
  }

  /**
   * @param positions of all tickers; those with a feed stay where they are. Changed by the call.
   */
  setWithoutFeed(positions: Map<string, number>): void {
    for (const [ticker, feed] of this.#feeds) {
      feed.note(positions.get(ticker) ?? 0);
      positions.delete(ticker);
    }
    for (const ticker of this.#forgotten) positions.delete(ticker);
    this.#withoutFeed = positions;
  }

  forgetWithoutFeed(): void {
    this.#withoutFeed = new Map();
  }

  drop(ticker: string): void {
    this.#feeds.get(ticker)?.close();
    this.#feeds.delete(ticker);
  }

  isForgotten(ticker: string): boolean {
    return this.#forgotten.has(ticker);
  }

  /** Also ignores the ticker's position in a read that is under way. */
  forget(ticker: string, { isWatched }: { isWatched: boolean }): void {
    if (!isWatched) this.drop(ticker);
    this.#withoutFeed.delete(ticker);
    this.#forgotten.add(ticker);
    if (this.#forgotten.size <= FORGOTTEN_MAX) return;
    const [oldest] = this.#forgotten;
    this.#forgotten.delete(oldest!);
  }

  dropAll(isWatched: (ticker: string) => boolean): void {
    for (const ticker of [...this.#feeds.keys()]) if (!isWatched(ticker)) this.drop(ticker);
  }

  /** Subscribers to all need the feeds of tickers that move; a position is enough of others. */
  forgetIdle(isWatched: (ticker: string) => boolean): void {
    if (this.#feeds.size <= IDLE_FEEDS_MAX) return;
    for (const [ticker, feed] of this.#feeds) {
      if (isWatched(ticker) || !feed.idle) continue;
      this.drop(ticker);
      this.#withoutFeed.set(ticker, feed.delivered);
    }
  }

  close(): void {
    for (const feed of this.#feeds.values()) feed.close();
  }
}
