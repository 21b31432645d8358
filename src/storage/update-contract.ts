/**
 * Updates are what subscribers of a ticker see. Every save that changes something is one update of
 * its ticker, stored with a position in the transaction of its rows.
 *
 * Positions of a ticker are 1, 2, 3 … without holes, in the order of commits, whichever process
 * committed, and go on over restarts. They count in an epoch, which names the database.
 */
import { type KindName, type SeriesRow, type UpdateOf, updateTypeOf } from "./model/kinds.ts";

/** A save with it becomes an update. */
export interface SaveUpdate {
  /**
   * Unique among the saves of all processes, at most 64 characters of ASCII. A save that is sent
   * again because its answer was lost carries the same: if the first was committed, the second
   * changes nothing and gets the first's position.
   */
  saveId: string;
  /** The save was sent again. Only then is the database asked for the saveId. */
  repeated: boolean;
  /**
   * WebSocket text for subscribers, an object, without its position; on its way to the log it may
   * be packed (packed-frames.ts).
   */
  frame: string;
  /** Absent: the client gave the request no identity. */
  request?: RequestIdentity | undefined;
}

/** What the log makes an update of: a save, or what an edit has changed of a ticker. */
export type LogEntry = UpdateOf & { ticker: string; update?: SaveUpdate | undefined };

/**
 * What a client says that its request is. A second request of the same identity changes nothing,
 * and gets the answer of the first, for as long as the log holds the first one's update.
 */
export interface RequestIdentity {
  /** Of the ticker, the kind, its part and the client's text, at most 64 characters of ASCII. */
  key: string;
  /** Of the rows: another print under the same key is another save. No comma is in it. */
  print: string;
  /** As the client gave it, for a database that is another server. */
  text: string;
}

/** See `positioned` in protocol/frames.ts. */
export interface Update {
  /** From 1. */
  position: number;
  /** `bar`, or the type of the ticks: subscriptions filter by it. */
  type: string;
  /** Without the position. Empty where the content is not kept, such as rows of a copy. */
  frame: string;
}

/**
 * The update that a committed save has become, for subscribers; null: there is none to tell. What a
 * client repeats they have seen; what a worker repeats, perhaps not.
 */
export function updateOf(
  save: { kind: KindName; part: string | null; update?: SaveUpdate | undefined },
  outcome: { position: number | null; isRepetition?: true | undefined },
): Update | null {
  const { update } = save;
  const { position, isRepetition } = outcome;
  if (update === undefined || position === null || (isRepetition && !update.repeated)) return null;
  return { position, type: updateTypeOf(save), frame: update.frame };
}

export interface StoredUpdate extends Update {
  /**
   * In ms since 1970, by the clock of the committing process; never before the update before it.
   */
  savedAtMs: number;
}

/** Updates after a position, or committed from a moment on, in ms since 1970. */
export type Since = { position: number } | { timeMs: number };

export interface NewestUpdate {
  /** 0: it had no update. */
  position: number;
  /** As in StoredUpdate; null where an older server in front doesn't tell. */
  savedAtMs: number | null;
}

/** At least one update is read, however large it is. */
export interface UpdateLimit {
  updates: number;
  /** UTF-16 units of all frames, roughly. */
  characters: number;
}

/** The newest row of a series. */
export interface NewestRow {
  kind: KindName;
  part: string | null;
  /** The stamp and the values, without a `seq`. */
  row: SeriesRow;
}

/** The newest row of each series, and the ticker's position at the same moment. */
export interface TickerSnapshot {
  position: number;
  /** Ticks of the parts that the kind's `snapshotParts` names. */
  newest: NewestRow[];
}

/**
 * Every method may throw RequestError 503: the database can't be reached. No cache keeps anything.
 */
export interface UpdateReader {
  /** At most 64 characters of ASCII letters, digits and "-"; changes when positions start anew. */
  epoch(): string | Promise<string>;
  /** @param tickers null: all. Those without updates are left out of the answer. */
  positions(tickers: readonly string[] | null): Map<string, number> | Promise<Map<string, number>>;
  /** Also where the log no longer holds any update of the ticker. */
  newest(ticker: string): NewestUpdate | Promise<NewestUpdate>;
  /**
   * The updates after a position, ascending, without holes among them. The first is later than
   * `after + 1` where those between are no longer kept. Empty: there are none, or none is kept.
   */
  after(ticker: string, after: number, limit: UpdateLimit): StoredUpdate[] | Promise<StoredUpdate[]>;
  /**
   * When the oldest kept update was committed, in ms since 1970: the identities of requests since
   * then are known. Null: none is kept.
   */
  keptSinceMs(): number | null | Promise<number | null>;
  /** Roughly, as its bound counts them. Null: the database doesn't tell. */
  logBytes(): number | null | Promise<number | null>;
  /** From one moment: holds exactly the updates up to its position. */
  snapshot(ticker: string): TickerSnapshot | Promise<TickerSnapshot>;
}
