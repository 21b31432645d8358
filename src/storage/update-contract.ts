/**
 * Updates: what the subscribers of a ticker see. Every save that changes something is one update of
 * its ticker, stored in the same transaction as its rows, with a position.
 *
 * Positions of a ticker are 1, 2, 3 … without holes, in the order of commits, whichever process
 * committed. They go on over restarts. An epoch names the database that they count in: where it is
 * another, positions mean nothing.
 */
import { type KindName, type SeriesRow, updateTypeOf } from "./model/kinds.ts";

/** What a save brings along to become an update. */
export interface SaveUpdate {
  /**
   * Unique among the saves of all processes, at most 64 characters of ASCII. A save that is
   * repeated because its answer was lost carries the same: if the first try was committed, the
   * second is answered with the first's position and changes nothing.
   */
  saveId: string;
  /** Set for a repetition: only then the database is asked for the saveId. */
  repeated: boolean;
  /** WebSocket text for subscribers, an object, without its position. */
  frame: string;
}

/** An update as subscribers get it: see `positioned` in protocol/frames.ts. */
export interface Update {
  /** Its position, from 1. */
  position: number;
  /** `bar`, or the type of the ticks: what a subscription to types goes by. */
  type: string;
  /**
   * Without the position. Empty where the content is not kept: rows of a copy, which nobody
   * watched.
   */
  frame: string;
}

/** The update that a committed save has become. */
export function updateOf(
  save: { kind: KindName; part: string | null },
  { frame }: SaveUpdate,
  position: number,
): Update {
  return { position, type: updateTypeOf(save), frame };
}

/** An update read back. */
export interface StoredUpdate extends Update {
  /**
   * When it was committed, in ms since 1970, by the clock of whoever did; never earlier than that
   * of the update before it.
   */
  savedAtMs: number;
}

/**
 * From where on updates are asked for: after a position, or committed from a moment on, in ms since
 * 1970.
 */
export type Since = { position: number } | { timeMs: number };

/** Where a ticker is. */
export interface NewestUpdate {
  /** 0: it had no update. */
  position: number;
  /**
   * When its newest update was committed, as in StoredUpdate; null where an older server in front
   * doesn't tell.
   */
  savedAtMs: number | null;
}

/** At least one update is read, however large it is. */
export interface UpdateLimit {
  updates: number;
  /** UTF-16 units of the frames together, roughly. */
  characters: number;
}

/** The newest row of a series. */
export interface NewestRow {
  kind: KindName;
  part: string | null;
  /** The stamp and the values, without a `seq`. */
  row: SeriesRow;
}

/** The newest row of each series, and the position of the ticker in the same moment. */
export interface TickerSnapshot {
  position: number;
  /** Of ticks, only the parts that their kind's `snapshotParts` names. */
  newest: NewestRow[];
}

/**
 * Every method may throw RequestError 503 when the database can't be reached. Nothing here is ever
 * kept by a cache.
 */
export interface UpdateReader {
  /** At most 64 characters of ASCII letters, digits and "-"; changes when positions start anew. */
  epoch(): string | Promise<string>;
  /**
   * The newest position of each ticker. Tickers that had no update yet are left out.
   *
   * @param tickers null: all.
   */
  positions(tickers: readonly string[] | null): Map<string, number> | Promise<Map<string, number>>;
  /** Also where the log no longer holds any update of the ticker. */
  newest(ticker: string): NewestUpdate | Promise<NewestUpdate>;
  /**
   * The updates of the ticker after a position, ascending and without holes among them. The first
   * is later than `after + 1` where those between are no longer kept. Empty: there are none after
   * it, or none of them is kept.
   */
  after(ticker: string, after: number, limit: UpdateLimit): StoredUpdate[] | Promise<StoredUpdate[]>;
  /** Of one moment: holds exactly the updates up to its position. */
  snapshot(ticker: string): TickerSnapshot | Promise<TickerSnapshot>;
}
