/**
 * What a worker has counted of its clients' saves since it last told the hub. On the way of every
 * save.
 */
import { isCheckTicker } from "../market/check-ticker.ts";
import type { Save } from "../storage/contract.ts";
import { updateTypeOf } from "../storage/model/kinds.ts";
import { FEEDS_MAX, type FeedCount, type FeedName, type FeedsCounted } from "./feed.ts";
import { newestStampOf } from "./newest-stamp.ts";
import { type SaveSender, WriterCounts } from "./writer-counts.ts";

/** Types of one ticker within one message, which are looked through one by one. */
const TYPES_OF_TICKER_MAX = 64;

export class FeedCounts {
  readonly #writers = new WriterCounts();
  #byTicker = new Map<string, FeedCount[]>();
  #size = 0;
  #renamed = new Set<string>();
  #leftOut = 0;

  /** Of feeds. */
  get size(): number {
    return this.#size;
  }

  /** Nothing has to be told. */
  get isEmpty(): boolean {
    return this.#size === 0 && this.#leftOut === 0 && this.#renamed.size === 0;
  }

  /** A save that was accepted. @returns its feed; null: it has none, or there is no room. */
  note(save: Save, sender: SaveSender, nowMs = Date.now()): FeedName | null {
    const rows = save.rows.length;
    // Some saves only bring a note.
    if (rows === 0) return null;
    const type = updateTypeOf(save);
    const feed = this.#of(save.ticker, type, type === "bar" ? (save.part ?? save.kind) : null);
    if (feed === null) return null;
    const stamp = newestStampOf(save);
    feed.rows += rows;
    feed.saves++;
    takeNewer(feed, stamp, nowMs);
    this.#writers.note(sender, { rows, stamp, feed, nowMs });
    return feed;
  }

  /**
   * Another server may have stored rows: it was looked.
   * @param stamp of what was found; null: nothing new.
   */
  noteLook({ ticker, type, interval }: FeedName, stamp: string | null, nowMs = Date.now()): void {
    const feed = this.#of(ticker, type, interval);
    if (feed !== null && stamp !== null) takeNewer(feed, stamp, nowMs);
  }

  noteRenamed(ticker: string): void {
    this.#size -= this.#byTicker.get(ticker)?.length ?? 0;
    this.#byTicker.delete(ticker);
    this.#renamed.add(ticker);
  }

  /** What was counted, which begins anew. */
  take(): FeedsCounted {
    const counted: FeedsCounted = {
      feeds: [...this.#byTicker.values()].flat(),
      writers: this.#writers.take(),
      leftOut: this.#leftOut,
      renamed: [...this.#renamed],
    };
    this.#byTicker = new Map();
    this.#size = 0;
    this.#renamed = new Set();
    this.#leftOut = 0;
    return counted;
  }

  /** Null: there is no room, or it is no feed. */
  #of(ticker: string, type: string, interval: string | null): FeedCount | null {
    const ofTicker = this.#byTicker.get(ticker);
    if (ofTicker !== undefined)
      for (const feed of ofTicker) if (feed.type === type && feed.interval === interval) return feed;
    if (isCheckTicker(ticker)) return null;
    if (this.#size >= FEEDS_MAX || (ofTicker?.length ?? 0) >= TYPES_OF_TICKER_MAX) {
      this.#leftOut++;
      return null;
    }
    const feed = { ticker, type, interval, rows: 0, saves: 0, heardMs: 0, stamp: null };
    this.#size++;
    if (ofTicker === undefined) this.#byTicker.set(ticker, [feed]);
    else ofTicker.push(feed);
    return feed;
  }
}

function takeNewer(feed: FeedCount, stamp: string | null, nowMs: number): void {
  feed.heardMs = nowMs;
  if (stamp !== null && (feed.stamp === null || stamp > feed.stamp)) feed.stamp = stamp;
}
