/**
 * The feeds and writers of a server, as its hub puts them together of what workers count. Bounded:
 * what was heard longest ago goes first.
 */
import { type CalendarRule, ruleOf } from "../calendar/calendar-rule.ts";
import { RecentlyUsed } from "../storage/recently-used.ts";
import {
  FEEDS_MAX,
  type FeedCount,
  type FeedFigures,
  type FeedsTold,
  isAboutNow,
  keyOf,
  WRITERS_MAX,
  type WriterCount,
  type WriterFigures,
  writerKeyOf,
} from "./feed.ts";
import { addRows } from "./minute-rate.ts";

export interface HeldFeed {
  readonly key: string;
  readonly figures: FeedFigures;
  /** The place of its rule; -1: it has none. */
  readonly rule: number;
  /** By the clock of `MuteWatch`. */
  heardAt: number;
  /** The same, of the last look for what other servers have stored. */
  lookedAt: number;
}

export class FeedBook {
  readonly #feeds = new RecentlyUsed<HeldFeed>(FEEDS_MAX);
  readonly #writers = new RecentlyUsed<WriterFigures>(WRITERS_MAX);
  readonly #rules: readonly CalendarRule[];
  /** Called for a feed that is dropped, as there is no room. */
  readonly #dropped: (feed: HeldFeed) => void;
  leftOut = 0;

  constructor(rules: readonly CalendarRule[], dropped: (feed: HeldFeed) => void) {
    this.#rules = rules;
    this.#dropped = dropped;
  }

  /** Those that were heard longest ago first. */
  *feeds(): Generator<HeldFeed> {
    for (const [, feed] of this.#feeds.entries()) yield feed;
  }

  writers(): WriterFigures[] {
    return [...this.#writers.entries()].map(([, writer]) => writer);
  }

  /** Adds what was counted. */
  count(count: FeedCount, nowMs: number): HeldFeed {
    const feed = this.#held(count, nowMs);
    const { figures } = feed;
    figures.rows += count.rows;
    figures.saves += count.saves;
    addRows(figures, count.rows, nowMs);
    if (count.heardMs > 0 && isLater(count, figures, nowMs)) figures.heardMs = count.heardMs;
    if (count.stamp !== null && (figures.stamp === null || count.stamp > figures.stamp))
      figures.stamp = count.stamp;
    figures.isLive ||= isAboutNow(figures, nowMs);
    return feed;
  }

  countWriter(count: WriterCount, nowMs: number): WriterFigures {
    const writer = this.#writer(count, nowMs);
    writer.rows += count.rows;
    writer.saves += count.saves;
    addRows(writer, count.rows, nowMs);
    const { heardMs, last, stamp } = count;
    if (isLater(count, writer, nowMs)) Object.assign(writer, { heardMs, last, stamp });
    return writer;
  }

  /** What an earlier hub has told; several workers may tell the same. @returns what was new. */
  adopt({ feeds, writers, leftOut }: FeedsTold, nowMs: number): HeldFeed[] {
    const adopted: HeldFeed[] = [];
    for (const told of feeds) {
      const feed = this.#held(told, nowMs);
      if (told.saves <= feed.figures.saves) continue;
      Object.assign(feed.figures, told);
      adopted.push(feed);
    }
    for (const told of writers) {
      const writer = this.#writer(told, nowMs);
      if (told.saves > writer.saves) Object.assign(writer, told);
    }
    this.leftOut = Math.max(this.leftOut, leftOut);
    return adopted;
  }

  delete({ key }: HeldFeed): void {
    this.#feeds.delete(key);
  }

  #held(count: FeedCount, nowMs: number): HeldFeed {
    const key = keyOf(count);
    const known = this.#feeds.get(key);
    if (known !== undefined) return known;
    if (this.#feeds.size >= FEEDS_MAX) {
      const [oldest] = this.#feeds.entries();
      this.leftOut++;
      this.#feeds.delete(oldest![0]);
      this.#dropped(oldest![1]);
    }
    const { ticker, type, interval } = count;
    const figures: FeedFigures = {
      ...{ ticker, type, interval, rows: 0, saves: 0, heardMs: 0, stamp: null, sinceMs: nowMs },
      ...{ minute: 0, inMinute: 0, inMinuteBefore: 0, isLive: false, staleSinceMs: null, staleEnd: null },
    };
    const feed: HeldFeed = { key, figures, rule: ruleOf(this.#rules, ticker), heardAt: 0, lookedAt: 0 };
    this.#feeds.set(key, feed);
    return feed;
  }

  #writer(count: WriterCount, nowMs: number): WriterFigures {
    const key = writerKeyOf(count);
    const known = this.#writers.get(key);
    if (known !== undefined) return known;
    const { who, address, last, stamp, heardMs } = count;
    const writer: WriterFigures = {
      ...{ who, address, last, stamp, heardMs, rows: 0, saves: 0, sinceMs: nowMs },
      ...{ minute: 0, inMinute: 0, inMinuteBefore: 0 },
    };
    this.#writers.set(key, writer);
    return writer;
  }
}

/** Another worker may have told a later one. What is later than now, a clock that was set back. */
function isLater(count: { heardMs: number }, known: { heardMs: number }, nowMs: number): boolean {
  return count.heardMs >= known.heardMs || known.heardMs > nowMs;
}
