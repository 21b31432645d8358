/**
 * What comes in: of one ticker and one type of update, and of one writer. Figures are those of the
 * whole server. See ARCHITECTURE.md, "Feeds".
 */
import { secondsOfInterval } from "../market/interval.ts";
import { microsOfStamp } from "../market/stamp-micros.ts";
import type { MinuteCount } from "./minute-rate.ts";

/** Limits for one server; beyond them the one that was heard longest ago is dropped. */
export const FEEDS_MAX = 20_000;
export const WRITERS_MAX = 1_000;

/** Types with figures of their own; the others are one. Writers may name any. */
export const TYPES_MAX = 200;
export const OTHER_TYPES = "others";

const DAY_SECONDS = 86_400;
/** A feed is live once the newest stamp of a save was so near to the clock. */
const LIVE_STAMP_MS = 3_600_000;
/** They come when something happens, and not at a rhythm. */
const WITHOUT_RHYTHM = new Set(["option", "financial", "corporate_action"]);

export interface FeedName {
  ticker: string;
  /** As updates are called: `trade`, `quote`, `bar`. */
  type: string;
  /** Of bars; else null. */
  interval: string | null;
}

/** What was heard since the last message. */
export interface FeedCount extends FeedName {
  /** All rows of accepted saves, also those that were stored already. */
  rows: number;
  saves: number;
  /** When the last one was stored, in ms since 1970; 0: nothing was heard, though it was looked. */
  heardMs: number;
  /** The newest of the data, in its stored form. */
  stamp: string | null;
}

/** Why a feed isn't stale any more. */
export type StaleEnd = "update" | "session_closed" | "forgotten";

export interface FeedFigures extends FeedCount, MinuteCount {
  /** When it was first heard. */
  sinceMs: number;
  /** Its data was of about now, at least once: rows of history make no feed that can go mute. */
  isLive: boolean;
  /** Null: it isn't stale. */
  staleSinceMs: number | null;
  /** Of the last time that it was stale. */
  staleEnd: StaleEnd | null;
}

export interface WriterCount {
  /** The name of its key; "-" where none is needed. */
  who: string;
  address: string;
  rows: number;
  saves: number;
  heardMs: number;
  /** Of its last save. */
  last: FeedName;
  stamp: string | null;
}

export interface WriterFigures extends WriterCount, MinuteCount {
  sinceMs: number;
}

/** What a worker has counted since its last message. */
export interface FeedsCounted {
  feeds: FeedCount[];
  writers: WriterCount[];
  /** Of feeds for which there was no room. */
  leftOut: number;
  /** Tickers that were renamed: they have no feeds any more. */
  renamed: string[];
}

/** What the hub tells its workers, and they tell the next hub. */
export interface FeedsTold {
  /** All there is; else what has changed. */
  isWhole: boolean;
  sinceMs: number;
  leftOut: number;
  /** How often feeds of each type have become stale. */
  staleTimes: Record<string, number>;
  /** Whether each rule's exchange is open. */
  isOpen: boolean[];
  feeds: FeedFigures[];
  gone: FeedName[];
  writers: WriterFigures[];
}

/** What subscribers are told of a feed. */
export interface FeedNotice extends FeedName {
  isStale: boolean;
  heardMs: number;
  stamp: string | null;
  /** Null while it is stale. */
  reason: StaleEnd | null;
}

/** How many feeds weren't named to subscribers to all tickers. */
export interface LeftOutFeeds {
  stale: number;
  alive: number;
}

export function keyOf({ ticker, type, interval }: FeedName): string {
  return `${ticker}\0${type}\0${interval ?? ""}`;
}

export function writerKeyOf({ who, address }: Pick<WriterCount, "who" | "address">): string {
  return `${who} ${address}`;
}

/** @returns null: it says nothing when such a feed is silent for a while. */
export function muteAfterMs({ type, interval }: FeedName, staleAfterMs: number): number | null {
  if (staleAfterMs === 0 || WITHOUT_RHYTHM.has(type)) return null;
  if (type !== "bar") return staleAfterMs;
  const seconds = secondsOfInterval(interval ?? "daily");
  return seconds < DAY_SECONDS ? staleAfterMs + seconds * 1_000 : null;
}

export function isAboutNow({ stamp, interval }: FeedCount, nowMs: number): boolean {
  if (stamp === null) return false;
  // A bar has the stamp of its start.
  const lengthMs = interval === null ? 0 : secondsOfInterval(interval) * 1_000;
  return Math.abs(microsOfStamp(stamp) / 1_000 - nowMs) <= LIVE_STAMP_MS + lengthMs;
}

/** For people: `AAPL trade`, `AAPL bar 5min`. */
export function labelOf({ ticker, type, interval }: FeedName): string {
  return interval === null ? `${ticker} ${type}` : `${ticker} ${type} ${interval}`;
}
