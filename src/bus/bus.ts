/**
 * The bus: servers that share a database tell each other about committed updates, so that these
 * arrive at once. Updates have positions, so a lost message is noticed and read from the database:
 * the bus stores nothing, repeats nothing and never blocks its caller.
 */
import type { FeedCount } from "../feeds/feed.ts";
import type { LogLines } from "../observe/log.ts";
import type { Update } from "../storage/update-contract.ts";

export interface Bus {
  /**
   * Tells the other servers, in order. Never waits, never throws. Updates that can't be sent are
   * dropped and counted, and the other servers hear that some are missing.
   */
  publish(updates: readonly BusUpdate[]): void;
  /** The same of what was counted of feeds. What can't be sent is dropped, without a word. */
  publishFeeds(feeds: readonly BusFeed[]): void;
  figures(): BusFigures;
  /** Sends what waits, for up to `DRAIN_TIMEOUT_MS` of server-bus.ts. Then calls nothing more. */
  close(): Promise<void>;
}

export interface BusUpdate {
  ticker: string;
  update: Update;
}

/** Rows of another server that came just now. */
export type BusFeed = Omit<FeedCount, "heardMs">;

export interface ReceivedUpdate {
  ticker: string;
  position: number;
  /** Null: only the position came; the content is in the database. */
  update: Update | null;
}

/** Updates since the start. */
export interface BusFigures {
  connected: boolean;
  published: number;
  received: number;
  dropped: number;
  /** Connections after the first. */
  reconnects: number;
}

export interface BusOptions {
  url: string;
  dbFile: string;
  /** Names the database on a broker that serves several. Must match `CHANNEL`. */
  channel: string;
  /** Gets updates of other servers only, in the order in which each published them. */
  receive(updates: ReceivedUpdate[]): void;
  receiveFeeds(feeds: BusFeed[]): void;
  /** Updates may be missing, of any ticker. The subscription works when this is called. */
  missed(): void;
  log: LogLines;
}
