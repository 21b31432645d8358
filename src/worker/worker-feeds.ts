/**
 * A worker's part in feeds: counts the saves of its clients and tells the hub, knows what the hub
 * has told, and tells its subscribers what has changed.
 */
import { type CalendarRule, ruleOf } from "../calendar/calendar-rule.ts";
import type { FeedName, FeedNotice, FeedsCounted, FeedsTold } from "../feeds/feed.ts";
import { FeedCounts } from "../feeds/feed-counts.ts";
import { FeedView } from "../feeds/feed-view.ts";
import type { SaveSender } from "../feeds/writer-counts.ts";
import type { Save } from "../storage/contract.ts";
import { turn } from "../time/pauses.ts";

const TELL_MS = 1_000;
/** So many feeds are told at once: a message of more would hold up the hub. */
const TOLD_MAX = 1_000;
/** Time for notices at a stretch: thousands of feeds may become stale at once. */
const TURN_MS = 5;

export interface WorkerFeedsOptions {
  /** 0: no feed becomes stale. */
  staleAfterMs: number;
  rules: readonly CalendarRule[];
  hub: { readonly connected: boolean; tellFeeds(counted: FeedsCounted): void };
  tellSubscribers(notice: FeedNotice): void;
}

export class WorkerFeeds {
  readonly view = new FeedView();
  readonly staleAfterMs: number;
  readonly #options: WorkerFeedsOptions;
  readonly #counts = new FeedCounts();
  readonly #timer: Timer;
  /** What the hub has told is taken in its order. */
  #taking: Promise<void> = Promise.resolve();
  #isTellingSoon = false;

  constructor(options: WorkerFeedsOptions) {
    this.#options = options;
    this.staleAfterMs = options.staleAfterMs;
    this.#timer = setInterval(() => this.#tell(), TELL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#tell();
  }

  /** A save that was accepted. */
  note(save: Save, sender: SaveSender): void {
    const feed = this.#counts.note(save, sender);
    const isWaitedFor = feed !== null && this.view.staleCount > 0 && this.view.isStale(feed);
    if (isWaitedFor || this.#counts.size >= TOLD_MAX) this.#tellSoon();
  }

  noteRenamed(ticker: string): void {
    this.#counts.noteRenamed(ticker);
  }

  /** What was found of a feed in the database: see FeedLooks. */
  noteLook(feed: FeedName, stamp: string | null): void {
    this.#counts.noteLook(feed, stamp);
    if (stamp !== null) this.#tellSoon();
  }

  /** The hub has told it. */
  take(told: FeedsTold): void {
    this.#taking = this.#taking.then(() => this.#take(told));
  }

  /** Which calendar a ticker has, and whether it is open. */
  sessionOf(ticker: string): { rule: CalendarRule | null; isOpen: boolean } {
    const place = ruleOf(this.#options.rules, ticker);
    return { rule: this.#options.rules[place] ?? null, isOpen: this.view.isOpen(place) };
  }

  async #take(told: FeedsTold): Promise<void> {
    let startMs = performance.now();
    for (const notice of this.view.take(told)) {
      this.#options.tellSubscribers(notice);
      if (performance.now() - startMs < TURN_MS) continue;
      await turn();
      startMs = performance.now();
    }
  }

  /** Subscribers wait for what is alive again. */
  #tellSoon(): void {
    if (this.#isTellingSoon) return;
    this.#isTellingSoon = true;
    setImmediate(() => {
      this.#isTellingSoon = false;
      this.#tell();
    });
  }

  #tell(): void {
    const { hub } = this.#options;
    if (hub.connected && !this.#counts.isEmpty) hub.tellFeeds(this.#counts.take());
  }
}
