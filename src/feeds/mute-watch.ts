/**
 * Which feeds have become mute in their session. Time counts only while it is watched, and by a
 * clock that nobody sets: after a stop of the process, or of the machine, no feed is older than
 * before.
 */
import { muteAfterMs, type StaleEnd } from "./feed.ts";
import type { FeedBook, HeldFeed } from "./feed-book.ts";

/** A look that comes later than this was no watching: what has come meanwhile is read first. */
const STEP_MAX_MS = 2_000;
/** A feed that is silent for so long has ended. */
const FORGOTTEN_MS = 7 * 86_400_000;

export interface MuteWatchOptions {
  /** 0: no feed becomes stale. */
  staleAfterMs: number;
  /** Of each rule: whether the exchange is open at the moment. */
  openHours: readonly { isOpen(atMs: number): boolean }[];
  /** Other servers save into the database: somebody looks there before a feed counts as mute. */
  isShared: boolean;
}

export interface FeedChange {
  feed: HeldFeed;
  /** Null: it is stale now. */
  end: StaleEnd | null;
}

/** What a look has found. */
export interface Looked {
  changes: FeedChange[];
  /** Silent for so long that they are dropped. */
  ended: HeldFeed[];
}

export class MuteWatch {
  readonly #options: MuteWatchOptions;
  readonly #openedAt: number[];
  /** Milliseconds that were watched. */
  #clock = 0;
  #lookedMs: number;
  isOpen: boolean[];

  /** @param monotonicMs of `performance.now`. */
  constructor(options: MuteWatchOptions, nowMs: number, monotonicMs: number) {
    this.#options = options;
    this.#lookedMs = monotonicMs;
    this.isOpen = options.openHours.map((hours) => hours.isOpen(nowMs));
    this.#openedAt = this.isOpen.map(() => 0);
  }

  /** Rows of it have come, or it has just become known. @returns whether it was stale. */
  heard(feed: HeldFeed): boolean {
    feed.heardAt = this.#clock;
    return feed.figures.staleSinceMs !== null;
  }

  /** Nothing of it was found in the database. */
  looked(feed: HeldFeed): void {
    feed.lookedAt = this.#clock;
  }

  look(book: FeedBook, nowMs: number, monotonicMs: number): Looked {
    const stepMs = monotonicMs - this.#lookedMs;
    this.#lookedMs = monotonicMs;
    const looked: Looked = { changes: [], ended: [] };
    if (stepMs > STEP_MAX_MS) return looked;
    this.#clock += stepMs;
    this.#lookAtSessions(nowMs);
    for (const feed of book.feeds()) {
      const { figures } = feed;
      const isStale = figures.staleSinceMs !== null;
      const isOpen = this.isOpen[feed.rule] ?? true;
      if (this.#clock - feed.heardAt > FORGOTTEN_MS) looked.ended.push(feed);
      else if (isStale && !isOpen) looked.changes.push(endOf(feed, "session_closed"));
      else if (!isStale && isOpen && this.#isMute(feed)) {
        figures.staleSinceMs = nowMs;
        figures.staleEnd = null;
        looked.changes.push({ feed, end: null });
      }
    }
    return looked;
  }

  #lookAtSessions(nowMs: number): void {
    this.isOpen = this.#options.openHours.map((hours, rule) => {
      const isOpen = hours.isOpen(nowMs);
      if (isOpen && !this.isOpen[rule]) this.#openedAt[rule] = this.#clock;
      return isOpen;
    });
  }

  #isMute(feed: HeldFeed): boolean {
    const { staleAfterMs, isShared } = this.#options;
    const afterMs = feed.figures.isLive ? muteAfterMs(feed.figures, staleAfterMs) : null;
    if (afterMs === null) return false;
    const muteAt = Math.max(feed.heardAt, this.#openedAt[feed.rule] ?? 0) + afterMs;
    return this.#clock > muteAt && (!isShared || feed.lookedAt > muteAt);
  }
}

/** Changes its figures. */
export function endOf(feed: HeldFeed, end: StaleEnd): FeedChange {
  feed.figures.staleSinceMs = null;
  feed.figures.staleEnd = end;
  return { feed, end };
}
