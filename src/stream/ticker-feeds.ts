/**
 * Where every ticker is: those with a feed; and, while all are watched, the others, of which only
 * the position is kept.
 */
import { type FeedOptions, TickerFeed } from "./ticker-feed.ts";

/** Feeds of tickers that nobody watches but with all others. */
const IDLE_FEEDS_MAX = 1_000;
/** Tickers of checks that are gone, of which a position may still be under way. */
const FORGOTTEN_MAX = 100;

export class TickerFeeds {
  readonly #options: FeedOptions;
  readonly #feeds = new Map<string, TickerFeed>();
  #others = new Map<string, number>();
  readonly #forgotten = new Set<string>();

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#feeds.size + this.#others.size;
  }

  get(ticker: string): TickerFeed | undefined {
    return this.#feeds.get(ticker);
  }

  /** Its feed, which begins where the ticker is known to be unless it is there already. */
  opened(ticker: string, delivered = this.#others.get(ticker) ?? 0): TickerFeed {
    let feed = this.#feeds.get(ticker);
    if (feed === undefined) {
      this.#others.delete(ticker);
      feed = new TickerFeed(ticker, delivered, this.#options);
      this.#feeds.set(ticker, feed);
    }
    return feed;
  }

  knows(ticker: string): boolean {
    return this.#feeds.has(ticker) || this.#others.has(ticker);
  }

  /** The position that everything up to was delivered; 0 where nothing is known. */
  delivered(ticker: string): number {
    return this.#feeds.get(ticker)?.delivered ?? this.#others.get(ticker) ?? 0;
  }

  /** Of every ticker. */
  positions(): Map<string, number> {
    const positions = new Map(this.#others);
    for (const [ticker, feed] of this.#feeds) {
      if (!this.#forgotten.has(ticker)) positions.set(ticker, feed.delivered);
    }
    return positions;
  }

  /** Those with a feed. */
  fed(): Iterable<string> {
    return this.#feeds.keys();
  }

  /** @param positions of all tickers; those with a feed stay where they are. */
  setOthers(positions: Map<string, number>): void {
    for (const [ticker, feed] of this.#feeds) {
      feed.note(positions.get(ticker) ?? 0);
      positions.delete(ticker);
    }
    for (const ticker of this.#forgotten) positions.delete(ticker);
    this.#others = positions;
  }

  forgetOthers(): void {
    this.#others = new Map();
  }

  drop(ticker: string): void {
    this.#feeds.get(ticker)?.close();
    this.#feeds.delete(ticker);
  }

  isForgotten(ticker: string): boolean {
    return this.#forgotten.has(ticker);
  }

  /** Its position too, also where that is being read at this moment. */
  forget(ticker: string, { isWatched }: { isWatched: boolean }): void {
    if (!isWatched) this.drop(ticker);
    this.#others.delete(ticker);
    this.#forgotten.add(ticker);
    if (this.#forgotten.size <= FORGOTTEN_MAX) return;
    const [oldest] = this.#forgotten;
    this.#forgotten.delete(oldest!);
  }

  dropAll(isWatched: (ticker: string) => boolean): void {
    for (const ticker of [...this.#feeds.keys()]) if (!isWatched(ticker)) this.drop(ticker);
  }

  /**
   * A subscriber to all tickers needs the feeds of those that move; of the others only their
   * position.
   */
  forgetIdle(isWatched: (ticker: string) => boolean): void {
    if (this.#feeds.size <= IDLE_FEEDS_MAX) return;
    for (const [ticker, feed] of this.#feeds) {
      if (isWatched(ticker) || !feed.idle) continue;
      this.drop(ticker);
      this.#others.set(ticker, feed.delivered);
    }
  }

  close(): void {
    for (const feed of this.#feeds.values()) feed.close();
  }
}
