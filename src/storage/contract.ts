/**
 * What a storage driver offers, whatever its engine. Readers answer a worker's reads; the one
 * writer belongs to the hub. A driver encodes its rows to JSON itself, once.
 *
 * Stamps cross this border as the canonical text of their type: see model/kinds.ts.
 */

import type { ColumnBatch, ColumnQuery } from "./model/columns.ts";
import type { KindName, SeriesRow } from "./model/kinds.ts";
import type { SaveUpdate, UpdateReader } from "./update-contract.ts";

/** Rows of one series. */
export interface RowRange {
  kind: KindName;
  ticker: string;
  /** Null for a kind without parts. */
  part: string | null;
  /** Inclusive, in the stored form of the kind's stamp; null is unbounded. */
  from: string | null;
  to: string | null;
  /** Each row of an answer ends with its `seq`, where the kind has one. */
  withSeq?: boolean | undefined;
}

/**
 * A whole answer, `{"data":[{…},{…}]}`, oldest row first. A small one is one text; a large one
 * comes in pieces that together make it, read from one snapshot, at the pace of whoever iterates;
 * `return()` frees its connection.
 */
export type JsonRows =
  | { empty: true }
  | { empty: false; text: string }
  | { empty: false; chunks: AsyncIterable<string | Uint8Array> };

/** A volume or size; text holds the digits of an integer of 64 bits that a double can't. */
export type Count = number | string;

/** A row of daily or hourly bars: stamp, open, high, low, close, volume. */
export type BarRow = [
  stamp: string,
  open: number | null,
  high: number | null,
  low: number | null,
  close: number | null,
  volume: Count | null,
];

/** A row of ticks. `seq` null: the record sent none, see `SaveTicks`. */
export type TickRow = [
  stamp: string,
  price: number | null,
  size: Count | null,
  askPrice: number | null,
  askSize: Count | null,
  seq: number | null,
];

/** What a save does to a stored row of the same key. */
export type OnDuplicate = "replace" | "keep" | "error";

/** A save of a kind without `seq`. */
export interface SaveRows {
  kind: PlainKind;
  ticker: string;
  part: string | null;
  /** Ascending by stamp, each stamp once. */
  rows: SeriesRow[];
  onDuplicate: OnDuplicate;
  /**
   * Absent for rows of a copy or an import into a file, which nobody watches: then the position
   * goes on, and the content isn't kept.
   */
  update?: SaveUpdate | undefined;
}

/**
 * Records in the order sent. Those without `seq` that share a stamp count 0, 1, 2 … within this
 * save. A record whose key is taken is dropped if its values are those stored, else takes the next
 * free `seq`; with `replace` it overwrites the row of its key.
 */
export interface SaveTicks {
  kind: "ticks";
  ticker: string;
  /** The type of the ticks. */
  part: string;
  rows: TickRow[];
  onDuplicate: "append" | "replace" | "error";
  /** As in SaveRows. */
  update?: SaveUpdate | undefined;
}

/** A save of many rows, as the columns of `rowColumnNames` and in the order of `rows`. */
export type ColumnSave = (Omit<SaveRows, "rows"> | Omit<SaveTicks, "rows">) & { batch: ColumnBatch };

export type PlainKind = Exclude<KindName, "ticks">;

export type Save = SaveRows | SaveTicks;

/** The newest `limit` rows of a range, ascending. */
export type NewestQuery = Omit<RowRange, "withSeq"> & { limit: number };

/** Questions of which one request asks many. Of today's opening and volume, the date is today's. */
export type PriceQuestion = "latestPrice" | "previousClose" | "openingPrice" | "dailyVolume";

/**
 * Reads of one worker. Every method may throw RequestError 503 when the database can't be reached.
 * The signal of a client that has gone stops a read where the engine can; what it then throws
 * nobody reads.
 */
export interface StockReader {
  readonly updates: UpdateReader;
  rows(range: RowRange, signal?: AbortSignal): JsonRows | Promise<JsonRows>;
  newest(query: NewestQuery): JsonRows | Promise<JsonRows>;
  /**
   * Newest calendar date among last quote, trade, hourly bar, daily bar; on one date in that order.
   * Nulls don't count.
   */
  latestPrice(ticker: string): number | null | Promise<number | null>;
  /** Close of the second newest daily bar; of the only one if there is one. */
  previousClose(ticker: string): number | null | Promise<number | null>;
  /** Open of the daily bar of that date, `YYYY-MM-DD`. */
  openingPrice(ticker: string, date: string): number | null | Promise<number | null>;
  /** Volume of the daily bar of that date; without one, the sizes of that day's trades together. */
  dailyVolume(ticker: string, date: string): number | null | Promise<number | null>;
  /**
   * One answer for each ticker, as the method of that name gives it, for a database that is far
   * away: one question instead of one a ticker. Without it each is asked for by itself.
   */
  prices?(question: PriceQuestion, tickers: string[]): Promise<(number | null)[]>;
  /** As those of TransferReader. */
  tickers(kind: KindName, after: string | null, limit: number): string[] | Promise<string[]>;
  parts(kind: KindName, ticker: string): string[] | Promise<string[]>;
  /** Of the database on its disk; null where it doesn't tell. */
  sizeBytes(): number | Promise<number | null>;
  /**
   * Throws if the database doesn't answer.
   *
   * @throws DatabaseGoneError
   * @param via of the asking request, for a database that is another server: see protocol/via.ts.
   */
  probe(via?: string | null): void | Promise<void>;
  pool(): PoolFigures | Promise<PoolFigures>;
  close(): void | Promise<void>;
}

export interface PoolFigures {
  pool_enabled: boolean;
  pool_max_size: number;
  /** That a request could have now. */
  available_connections: number;
  active_connections: number;
  /** Broken or grown too old, and replaced, since the start. */
  stale_connections: number;
  /** Where requests can wait for a connection: how many do. */
  waiting_requests?: number;
  /** Where the database is reached over a network: whether it is there. */
  connected?: boolean;
  /** Why the last connection broke or could not be had; null since the next one was. */
  last_error?: string | null;
}

/**
 * The outcome of one save of a batch. `position` is that of its update; null where the save
 * changed nothing, and so is no update: every tick was there already, or every bar was kept.
 */
export type SaveOutcome =
  | { ok: true; stored: number; position: number | null }
  | { ok: false; status: number; error: string; details?: string | undefined };

/**
 * A program other than the server holds the database's write lock; the same commit may work later.
 */
export class StorageBusyError extends Error {
  override name = "StorageBusyError";
}

/** The database that was opened is not the one that is there now. */
export class DatabaseGoneError extends Error {
  override name = "DatabaseGoneError";
}

/** A part of a commit: `rows` are those of one save. */
export type CommitStep = "begin" | "rows" | "update log" | "commit";

/**
 * Hears what a commit is at, so that of a writer that hangs can be said where. Told several times
 * for each save.
 */
export interface CommitProgress {
  /**
   * @param save without it: as told before. Also told from time to time within the rows of a large
   *   save.
   */
  at(step: CommitStep, save?: Save): void;
}

export const UNHEARD_PROGRESS: CommitProgress = { at() {} };

/** Owned by the hub, one per database. */
export interface StockWriter {
  /**
   * A little of the work that can wait until nobody saves, such as bringing the update log back to
   * its bound: some 10 ms, in a transaction of its own. Called between commits, like them never
   * beside another.
   *
   * @returns whether there is more of it.
   */
  tidy?(): boolean | Promise<boolean>;
  /**
   * Applies the saves in one transaction, those of one ticker in order, each whole or not at all.
   * When this returns, they are as durable as `--durability` says. Throws when the transaction as a
   * whole failed: then nothing is stored.
   *
   * @returns An outcome for each save; null for one that was left for the next transaction. At
   *   least one is not null.
   * @throws StorageBusyError worth another try.
   */
  commit(saves: Save[], progress?: CommitProgress): (SaveOutcome | null)[] | Promise<(SaveOutcome | null)[]>;
  /**
   * Stores what `commit` would store of the rows of the batch, by the same rules and in one
   * transaction of its own, without an object for each row.
   */
  commitColumns?(save: ColumnSave, progress?: CommitProgress): SaveOutcome | Promise<SaveOutcome>;
  /** True when somebody outside of this writer has changed the database since the last call. */
  changedByOthers(): boolean;
  /**
   * Removes the rows, updates and position of a ticker of `check`, in one transaction.
   *
   * @throws StorageBusyError worth another try.
   */
  removeCheck(ticker: string): void | Promise<void>;
  /** Why saves are refused until the disk has more room; null: they aren't. */
  roomLack?(): string | null;
  /**
   * Why what was opened is not there any more, for one that can see it: every commit is refused
   * then. Null: all is well.
   */
  lost?(): string | null;
  /**
   * What keeps every save out and can be seen without one, such as a missing table; null if there
   * is nothing.
   */
  findProblem?(): string | null;
  /**
   * What it has found or mended in the database since the last call, a sentence each, for the log.
   */
  takeNotes?(): string[];
  /** True while no command has ever stored a row. */
  isEmpty(): boolean | Promise<boolean>;
  close(): void | Promise<void>;
}

/**
 * Rows as they are stored, for a copy from one database to another and for reading back what it
 * wrote. Bounded in memory however many rows there are: a driver gives them in batches of its own
 * size. Rows that are committed meanwhile at keys that were passed must not disturb a walk; whether
 * later ones are seen doesn't matter.
 */
export interface TransferReader {
  /**
   * The next tickers that have rows of the kind, each once, in an order of the engine's own; null
   * begins.
   */
  tickers(kind: KindName, after: string | null, limit: number): string[] | Promise<string[]>;
  /** Every part of the kind that the ticker has rows of, such as types of ticks. */
  parts(kind: KindName, ticker: string): string[] | Promise<string[]>;
  /**
   * Ascending by stamp, then by `seq`, which is never null here; stamps in canonical text, doubles
   * and 64-bit integers exactly.
   *
   * @throws TransferRowError
   */
  rows(range: RowRange): AsyncIterable<SeriesRow[]>;
  /**
   * Rows as columns, in order of ticker, part, stamp and `seq`, from one snapshot, in bounded
   * memory, in turns that don't hold up the event loop. Given up with `return()`, or by the
   * signal.
   *
   * @throws TransferRowError
   */
  columns?(query: ColumnQuery): AsyncIterable<ColumnBatch>;
  close(): void | Promise<void>;
}

/**
 * A stored row that no save could have stored, such as text in a price, which other programs may
 * have written.
 */
export class TransferRowError extends Error {
  override name = "TransferRowError";
}
