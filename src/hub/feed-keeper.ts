/**
 * Puts together what workers count of feeds, watches which become mute, and tells all workers once
 * a second what has changed. A new hub learns from the workers what was known.
 */
import type { BusFeed } from "../bus/bus.ts";
import type { CalendarRule } from "../calendar/calendar-rule.ts";
import {
  type FeedCount,
  type FeedFigures,
  type FeedName,
  type FeedsCounted,
  type FeedsTold,
  labelOf,
  OTHER_TYPES,
  TYPES_MAX,
  type WriterFigures,
  writerKeyOf,
} from "../feeds/feed.ts";
import { FeedBook, type HeldFeed } from "../feeds/feed-book.ts";
import { endOf, type FeedChange, MuteWatch, type MuteWatchOptions } from "../feeds/mute-watch.ts";
import type { LogLines } from "../observe/log.ts";
import type { ToWorker } from "./messages.ts";

/** How often workers are told, and mute feeds are looked for. */
const TELL_MS = 1_000;
/** Feeds of one message, and the pause before the next: commits go on between them. */
const TOLD_MAX = 1_000;
const REST_MS = 20;
/** Feeds that are logged one by one, of those that change at once. */
const LOGGED_MAX = 20;

export interface FeedKeeperOptions extends MuteWatchOptions {
  rules: readonly CalendarRule[];
}

interface FeedKeeperParts extends FeedKeeperOptions {
  tellAll(message: ToWorker): void;
  /** To servers that share the database; null without a bus. */
  publish: ((feeds: readonly BusFeed[]) => void) | null;
  log: LogLines;
}

export class FeedKeeper {
  readonly #parts: FeedKeeperParts;
  readonly #book: FeedBook;
  readonly #watch: MuteWatch;
  readonly #timer: Timer;
  readonly #staleTimes: Record<string, number> = Object.create(null);
  #sinceMs = Date.now();
  /** What workers haven't been told. */
  readonly #changed = new Set<FeedFigures>();
  #changedWriters = new Map<string, WriterFigures>();
  #gone: FeedName[] = [];
  #toldOpen = "[]";
  /** Set while some are still to be told. */
  #rest: Timer | null = null;

  constructor(parts: FeedKeeperParts) {
    this.#parts = parts;
    this.#book = new FeedBook(parts.rules, (feed) => this.#dropped(feed));
    this.#watch = new MuteWatch(parts, Date.now(), performance.now());
    this.#timer = setInterval(() => this.#look(), TELL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    if (this.#rest !== null) clearTimeout(this.#rest);
  }

  /** @param known what an earlier hub has told a worker. @returns all there is, for this worker. */
  meet(known: FeedsTold): FeedsTold {
    this.#sinceMs = Math.min(this.#sinceMs, known.sinceMs);
    for (const [type, times] of Object.entries(known.staleTimes))
      this.#staleTimes[type] = Math.max(times, this.#staleTimes[type] ?? 0);
    for (const feed of this.#book.adopt(known, Date.now())) {
      // It gets its full time: nobody has watched it meanwhile.
      this.#watch.heard(feed);
      this.#changed.add(feed.figures);
    }
    const feeds = [...this.#book.feeds()].map(({ figures }) => figures);
    return { ...this.#told(), isWhole: true, feeds, writers: this.#book.writers() };
  }

  /** Of a worker. */
  count({ feeds, writers, leftOut, renamed }: FeedsCounted): void {
    const nowMs = Date.now();
    for (const ticker of renamed) this.#forgetTicker(ticker);
    for (const counted of writers)
      this.#changedWriters.set(writerKeyOf(counted), this.#book.countWriter(counted, nowMs));
    this.#book.leftOut += leftOut;
    this.#add(feeds, nowMs);
    // What was only found in the database, the server that has stored it tells.
    this.#parts.publish?.(feeds.filter(({ saves }) => saves > 0));
  }

  /** Of another server. */
  hear(feeds: readonly BusFeed[]): void {
    const heardMs = Date.now();
    this.#add(
      feeds.map((feed) => ({ ...feed, heardMs })),
      heardMs,
    );
  }

  #add(feeds: readonly FeedCount[], nowMs: number): void {
    const ends: FeedChange[] = [];
    for (const counted of feeds) {
      const feed = this.#book.count(counted, nowMs);
      this.#changed.add(feed.figures);
      if (counted.heardMs === 0) this.#watch.looked(feed);
      else if (this.#watch.heard(feed)) ends.push(endOf(feed, "update"));
    }
    this.#log(ends);
    if (ends.length > 0) this.#tell();
  }

  #look(): void {
    const { changes, ended } = this.#watch.look(this.#book, Date.now(), performance.now());
    for (const feed of ended) this.#forget(feed);
    for (const { feed, end } of changes) {
      this.#changed.add(feed.figures);
      if (end === null) this.#countStale(feed.figures.type);
    }
    this.#log(changes);
    this.#tell();
  }

  #countStale(type: string): void {
    const isKnown = Object.hasOwn(this.#staleTimes, type);
    const name = isKnown || Object.keys(this.#staleTimes).length < TYPES_MAX ? type : OTHER_TYPES;
    this.#staleTimes[name] = (this.#staleTimes[name] ?? 0) + 1;
  }

  #forgetTicker(ticker: string): void {
    const renamed = [...this.#book.feeds()].filter(({ figures }) => figures.ticker === ticker);
    for (const feed of renamed) this.#forget(feed);
  }

  #forget(feed: HeldFeed): void {
    this.#book.delete(feed);
    this.#dropped(feed);
  }

  #dropped({ figures }: HeldFeed): void {
    const { ticker, type, interval } = figures;
    this.#changed.delete(figures);
    this.#gone.push({ ticker, type, interval });
  }

  #told(): FeedsTold {
    return {
      ...{ isWhole: false, sinceMs: this.#sinceMs, leftOut: this.#book.leftOut },
      ...{ staleTimes: this.#staleTimes, isOpen: this.#watch.isOpen, gone: [], feeds: [], writers: [] },
    };
  }

  #tell(): void {
    const open = JSON.stringify(this.#watch.isOpen);
    const isNothing = this.#changed.size + this.#gone.length + this.#changedWriters.size === 0;
    if (isNothing && open === this.#toldOpen) return;
    const feeds = this.#takeChanged();
    const told = {
      ...this.#told(),
      feeds,
      gone: this.#gone,
      writers: [...this.#changedWriters.values()],
    };
    this.#changedWriters = new Map();
    this.#gone = [];
    this.#toldOpen = open;
    this.#parts.tellAll({ type: "feeds", told });
  }

  #takeChanged(): FeedFigures[] {
    const taken = [...this.#changed.values().take(TOLD_MAX)];
    for (const figures of taken) this.#changed.delete(figures);
    if (this.#changed.size > 0)
      this.#rest ??= setTimeout(() => {
        this.#rest = null;
        this.#tell();
      }, REST_MS);
    return taken;
  }

  #log(changes: readonly FeedChange[]): void {
    const { log } = this.#parts;
    for (const { feed, end } of changes.slice(0, LOGGED_MAX)) {
      const { figures } = feed;
      const last = new Date(figures.heardMs).toISOString();
      if (end === null) log.warning(`Feed ${labelOf(figures)} is stale: the last rows came at ${last}`);
      else if (end === "update") log.info(`Feed ${labelOf(figures)} is alive again`);
      else log.info(`Feed ${labelOf(figures)} isn't stale any more: its session has closed`);
    }
    const more = changes.slice(LOGGED_MAX);
    const stale = more.filter(({ end }) => end === null).length;
    if (stale > 0) log.warning(`${stale} more feeds are stale: GET /v1/feeds?stale=true names them`);
    if (more.length > stale) log.info(`${more.length - stale} more feeds are stale no more`);
  }
}
