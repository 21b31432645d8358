/**
 * The interfaces of a storage driver. Readers answer a worker's reads; the hub owns the one writer.
 * A driver encodes its rows to JSON itself, once.
 *
 * Stamps pass here as the canonical text of their type: see model/kinds.ts.
 */

import type { MarketDay } from "../market/market-day.ts";
import type { ColumnBatch, ColumnQuery } from "./model/columns.ts";
import type { AnswerForm, KindName, SeriesRow } from "./model/kinds.ts";
import type { SaveUpdate, Update, UpdateReader } from "./update-contract.ts";

export interface RowRange extends AnswerForm {
  kind: KindName;
  ticker: string;
  /** Null where the kind has no parts. */
  part: string | null;
  /** Inclusive, in the stored form of the kind's stamp; null: unbounded. */
  from: string | null;
  to: string | null;
}

/**
 * A whole answer, `{"data":[{…},{…}]}`, oldest row first. A small one is one text, with its number
 * of rows where that is known. A large one comes in pieces from one snapshot, at the reader's pace;
 * `return()` frees its connection.
 */
export type JsonRows =
  | { empty: true }
  | { empty: false; text: string; rows?: number }
  | { empty: false; chunks: AsyncIterable<string | Uint8Array> };

/** A volume or size. Text holds the digits of a 64-bit integer that a double can't hold. */
export type Count = number | string;

/** Daily or hourly. */
export type BarRow = [
  stamp: string,
  open: number | null,
  high: number | null,
  low: number | null,
  close: number | null,
  volume: Count | null,
  extra: string | null,
];

export type TickRow = [
  stamp: string,
  price: number | null,
  size: Count | null,
  askPrice: number | null,
  askSize: Count | null,
  /** The one that the tick brought, see `SaveTicks`. */
  id: string | null,
  extra: string | null,
  /** Its place in the stamp; null: it gets one. */
  seq: number | null,
];

/**
 * What a save does to a stored row of the same key. `merge`: what the save doesn't bring stays.
 * `complete`: where the one row of the save has null, it takes what is stored of that key, else
 * what the newest earlier row has. `rollup`: it replaces what a roll-up has made, where that is not
 * the same, and keeps every other row.
 */
export type OnDuplicate = "replace" | "keep" | "merge" | "complete" | "rollup" | "error";

/**
 * A text that the server keeps in the database under a name. It changes in the transaction of the
 * save, or edit, that brings the change. Where it isn't `from` any more, that is refused as
 * `noteMoved` and changes nothing; so of two that rely on the same text, one is made.
 */
export interface NoteChange {
  name: string;
  /** Null: there is none. */
  from: string | null;
  to: string;
}

/** A save of a kind without `seq`. */
export interface SaveRows {
  kind: PlainKind;
  ticker: string;
  part: string | null;
  /**
   * The part of each row, where the save has rows of several: `part` is null then, and it replaces
   * or keeps. See series-saves.ts.
   */
  parts?: readonly string[] | undefined;
  /** Of one series ascending, each stamp once. Values at the end that are missing are null. */
  rows: SeriesRow[];
  onDuplicate: OnDuplicate;
  /** Of a "merge": for each row, the values that it doesn't bring, by their place in the row. */
  missing?: readonly (readonly number[])[] | undefined;
  /** The save may have no rows then. */
  note?: NoteChange | undefined;
  /** Saves of one name are stored together or not at all: see save-groups.ts. */
  together?: string | undefined;
  /** Absent for rows of a copy or import: the position goes on, but the log has no content. */
  update?: SaveUpdate | undefined;
}

/**
 * Records in the order sent; tick-placement.ts says which of them are stored already.
 *
 * - "match": a tick is the stored one of its id, which then gets the values that are sent. Without
 *   an id it is a stored one of equal values that no other record of the save stands for.
 * - "request": as "match", but what has no stored id is new, whatever is stored.
 * - "append": as "request", but a stored tick stays as it is.
 * - "keep": as "match", but a stored tick stays as it is.
 * - "replace": a tick without an id overwrites the row of its place within the stamp, unless
 *   another record of the save stands for it.
 * - "error": nothing is stored if an id or a place is taken.
 */
export interface SaveTicks {
  kind: "ticks";
  ticker: string;
  /** The type of the ticks. */
  part: string;
  rows: TickRow[];
  onDuplicate: "match" | "request" | "append" | "keep" | "replace" | "error";
  /**
   * For each row, how many equal rows came before it, where the save is a part of something larger.
   * Absent: those of the save are counted.
   */
  occurrences?: readonly number[] | undefined;
  /**
   * What the rows are, as columns of `rowColumnNames`: `rows` then has nothing but their number.
   * See `commitBatch`.
   */
  columns?: ColumnBatch | undefined;
  /** As in `SaveRows`; a save with `columns` has none. */
  together?: string | undefined;
  update?: SaveUpdate | undefined;
}

/** A save of many rows, as the columns of `rowColumnNames` and in the order of `rows`. */
export type ColumnSave = (Omit<SaveRows, "rows"> | Omit<SaveTicks, "rows">) & { batch: ColumnBatch };

export type PlainKind = Exclude<KindName, "ticks">;

export type Save = SaveRows | SaveTicks;

/** How rows of a range are read: oldest first, or from the newest back. */
export type RangeRead = "rows" | "newest";

/** The newest `limit` rows of a range, ascending. */
export type NewestQuery = RowRange & { limit: number };

/** Values that are within the bounds, inclusive, in the stored form of the column; null is none. */
export interface ValueBounds {
  column: string;
  from: string | number | null;
  to: string | number | null;
}

/** The newest row of each part of a ticker, in order of the parts, as bytes compare. */
export interface NewestOfPartsQuery {
  kind: KindName;
  ticker: string;
  /** Null: all. */
  parts: readonly string[] | null;
  /** Rows with a stamp outside of these don't count. Null: unbounded. */
  from: string | null;
  to: string | null;
  /** `written`: newest is what was written last, then what has the later stamp. */
  by: "stamp" | "written";
  /** A newest row that isn't within all of these is left out. */
  where: readonly ValueBounds[];
  /** Names of columns of an answer; null: all. */
  columns: readonly string[] | null;
}

/** See `NoteChange`. */
export type Note = [name: string, value: string];

/** One request asks these for many tickers. */
export type PriceQuestion = "latestPrice" | "previousClose" | "openingPrice" | "dailyVolume";

/**
 * One worker's reads. Every method may throw RequestError 503: the database can't be reached. When
 * a client has gone, its signal stops a read where the engine can; the error then doesn't matter.
 */
export interface StockReader {
  readonly updates: UpdateReader;
  rows(range: RowRange, signal?: AbortSignal): JsonRows | Promise<JsonRows>;
  newest(query: NewestQuery): JsonRows | Promise<JsonRows>;
  /** Finds the newest row of each part by the key, where the engine has one. */
  newestOfParts(query: NewestOfPartsQuery, signal?: AbortSignal): JsonRows | Promise<JsonRows>;
  /**
   * The newest by date among the last quote, trade, hourly and daily bar; on that date the newest
   * by time among the first three, then the daily bar. At one moment they count in this order.
   * Nulls, and quotes at or below 0 with size 0, don't count.
   */
  latestPrice(ticker: string): number | null | Promise<number | null>;
  /** Close of the second newest daily bar; of the only one if there is one. */
  previousClose(ticker: string): number | null | Promise<number | null>;
  openingPrice(ticker: string, day: MarketDay): number | null | Promise<number | null>;
  /** Volume of the daily bar of that date; without one, the sum of that day's trades. */
  dailyVolume(ticker: string, day: MarketDay): number | null | Promise<number | null>;
  /**
   * Many answers at once, for a database that is far away. Absent: one question each.
   * @param day of opening prices and volumes.
   */
  prices?(question: PriceQuestion, tickers: string[], day: MarketDay | null): Promise<(number | null)[]>;
  /** As in TransferReader. */
  tickers(kind: KindName, after: string | null, limit: number): string[] | Promise<string[]>;
  parts(kind: KindName, ticker: string): string[] | Promise<string[]>;
  /**
   * Many rows, as in TransferReader: in order of ticker, part, stamp and `seq`. Few walks go on at
   * once, and none for long: see column-walks.ts.
   * @throws RequestError 503: too many walk, or the time is over. @throws TransferRowError
   */
  columns(query: ColumnQuery): AsyncIterable<ColumnBatch>;
  /** The first notes with names in the order of bytes from one up to another, inclusive. */
  notes(from: string, to: string, limit: number): Note[] | Promise<Note[]>;
  /** On disk; null where the database doesn't tell. */
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
  /** A request could have so many now. */
  available_connections: number;
  active_connections: number;
  /** Broken or too old, and replaced, since the start. */
  stale_connections: number;
  /** Only where requests can wait for a connection. */
  waiting_requests?: number;
  /** Only where the database is reached over a network. */
  connected?: boolean;
  /** Why the last connection broke or failed; null once a later one succeeded. */
  last_error?: string | null;
}

/** Of one worker; see `--read-replicas`. */
export interface ReplicaFigures {
  /** Host and port. */
  replica: string;
  used: boolean;
  /** Why it isn't used. */
  reason: string | null;
  /** Since when it has lacked something that the primary has; null: nobody knows. */
  lag_seconds: number | null;
  behind_bytes: number | null;
  /** Since the start. */
  reads: number;
}

export interface ReplicaReads {
  replicas: ReplicaFigures[];
  /** Reads that could have gone to a replica, if one had been well and level. */
  by_primary: number;
}

/** What became of the rows of a save. */
export interface SaveCounts {
  /** New. */
  stored: number;
  /** They have changed stored ones. Here and below, absent is none. */
  replaced?: number | undefined;
  /** They were stored already. */
  repeated?: number | undefined;
  /** Others of their key were stored, and stay. */
  skipped?: number | undefined;
}

export type SaveOutcome = Stored | SaveRefusal;

export interface Stored extends SaveCounts {
  ok: true;
  /** That of its update; null where the save changed nothing and so is no update. */
  position: number | null;
  /** In which the position counts. Absent: the reader of updates tells it. */
  epoch?: string | undefined;
  /** The save was stored before, with these counts. */
  isRepetition?: true | undefined;
  /** The counts are of all records of the request, also of those that are no rows. */
  countsRecords?: true | undefined;
}

export interface SaveRefusal {
  ok: false;
  status: number;
  error: string;
  details?: string | undefined;
  noteMoved?: true | undefined;
  rowsMoved?: true | undefined;
}

/** Rows of one ticker and kind that are within all of these. */
export interface Removal {
  what: "removal";
  kind: KindName;
  ticker: string;
  /** Null: all, where the kind has parts. */
  part: string | null;
  /** Inclusive, in the stored form of the kind's stamp; null: unbounded. */
  from: string | null;
  to: string | null;
  /** Those that the rows have brought; null: whatever they are. */
  ids: readonly string[] | null;
  /** Only rows with exactly this `extra`. */
  extra?: string | undefined;
  /** They are too old to be kept: nobody is told, and it is no update. Not of daily bars. */
  isAgeing?: true | undefined;
  /**
   * Of `isAgeing`: only where a dry run finds what it has found before, its `found`. Else it is
   * refused as `rowsMoved`.
   */
  asFound?: string | undefined;
}

/** All rows of a ticker, of every kind, and the note of its roll-ups. */
export interface Renaming {
  what: "renaming";
  ticker: string;
  /** It must have no rows. */
  newTicker: string;
}

export type Edit = (Removal | Renaming) & {
  /** The rows are counted, and nothing changes. */
  dryRun: boolean;
  identity: Omit<SaveUpdate, "frame">;
  note?: NoteChange | undefined;
};

interface EditedTicker {
  ticker: string;
  update: Update;
}

export interface Edited {
  ok: true;
  /** Rows that were removed or renamed, or would be. */
  rows: number;
  /** Of the update, of a renaming that of the new ticker; null: there is none. */
  position: number | null;
  /** As in `Stored`. */
  epoch?: string | undefined;
  /** The edit was made before, of so many rows. */
  isRepetition?: true | undefined;
  /**
   * Of a dry run of `isAgeing`: how many rows there are, and when one of them was written last.
   * Every save that changes one of them changes it.
   */
  found?: string | undefined;
  /** For subscribers; those of a repetition have been told, or find it in the log. */
  updates: EditedTicker[];
}

export type EditOutcome = Edited | SaveRefusal;

/** Whether the save becomes an update; a repetition became one before. */
export function hasChanged(outcome: SaveOutcome): outcome is Stored {
  return outcome.ok && !outcome.isRepetition && outcome.stored + (outcome.replaced ?? 0) > 0;
}

/** Another program holds the database's write lock; the same commit may work later. */
export class StorageBusyError extends Error {
  override name = "StorageBusyError";
}

/** The opened database is not the one that is there now. */
export class DatabaseGoneError extends Error {
  override name = "DatabaseGoneError";
}

/** `rows` are those of one save. */
export type CommitStep = "begin" | "rows" | "update log" | "commit";

/** Hears which step a commit is at. If the writer hangs, that can be told. */
export interface CommitProgress {
  /** Comes often, also within a large save. @param save Absent: the same as before. */
  at(step: CommitStep, save?: CommitSubject): void;
}

/** A save, or what an edit is at. */
export interface CommitSubject {
  kind: KindName;
  ticker: string;
  rows: { readonly length: number };
}

export const UNHEARD_PROGRESS: CommitProgress = { at() {} };

/** The hub owns it, one per database. */
export interface StockWriter {
  /**
   * Does some 10 ms of the work that can wait, such as trimming the update log, in a transaction of
   * its own between commits. @returns whether there is more.
   */
  tidy?(): boolean | Promise<boolean>;
  /**
   * Applies the saves in one transaction: those of one ticker in order, each whole or not at all,
   * and so all that are to be stored together.
   * Once it returns, they are as durable as `--durability` says. It throws if the transaction
   * failed: then nothing is stored.
   *
   * @returns An outcome for each save, at least one; null: the save is left for the next
   *   transaction.
   * @throws StorageBusyError worth another try.
   */
  commit(saves: Save[], progress?: CommitProgress): (SaveOutcome | null)[] | Promise<(SaveOutcome | null)[]>;
  /** Stores what `commit` would store of the batch, without an object for each row. */
  commitColumns?(save: ColumnSave, progress?: CommitProgress): SaveOutcome | Promise<SaveOutcome>;
  /** The same of several saves, for an engine that large transactions cost less a row. */
  commitColumnsTogether?(saves: ColumnSave[]): Promise<SaveOutcome[]>;
  /**
   * Makes the edit in one transaction, whole or not at all; it is as durable as a save then. Not
   * while a commit is under way, but for a database that workers write themselves.
   * @throws StorageBusyError as `commit`.
   */
  edit(edit: Edit, progress?: CommitProgress): EditOutcome | Promise<EditOutcome>;
  /** Whether another program has changed the database since the last call. */
  changedByOthers(): boolean;
  /**
   * Removes all of a ticker of `check` in one transaction. @throws StorageBusyError as `commit`.
   */
  removeCheck(ticker: string): void | Promise<void>;
  /** Why saves are refused until the disk has more room; null: they aren't. */
  roomLack?(): string | null;
  /** Why the opened database is gone, so that every commit is refused; null: it is there. */
  lost?(): string | null;
  /**
   * A fault that keeps every save out and shows without one, such as a missing table; null: none.
   */
  findProblem?(): string | null;
  /** For the log, a sentence each: what it has found or mended since the last call. */
  takeNotes?(): string[];
  /** True while no command has ever stored a row. */
  isEmpty(): boolean | Promise<boolean>;
  close(): void | Promise<void>;
}

/**
 * Reads rows as they are stored, for a copy into another database and to read it back. A driver
 * gives batches of its own size, so memory is bounded. Rows that are committed behind the walk must
 * not disturb it. It may miss rows that are committed ahead.
 */
export interface TransferReader {
  /** The next tickers with rows of the kind, each once, in the engine's order; null begins. */
  tickers(kind: KindName, after: string | null, limit: number): string[] | Promise<string[]>;
  /** Every part of the kind that has rows of the ticker, such as types of ticks. */
  parts(kind: KindName, ticker: string): string[] | Promise<string[]>;
  /**
   * Ascending by stamp, then by `seq`, which is never null here; stamps in canonical text, numbers
   * exact.
   * @throws TransferRowError
   */
  rows(range: RowRange): AsyncIterable<SeriesRow[]>;
  /**
   * Rows as columns in order of ticker, part, stamp and `seq`, from one snapshot, in bounded memory
   * and short turns. `return()` or the signal ends it.
   * @throws TransferRowError
   */
  columns?(query: ColumnQuery): AsyncIterable<ColumnBatch>;
  close(): void | Promise<void>;
}

/** Another program has stored a row that no save could store, such as text in a price. */
export class TransferRowError extends Error {
  override name = "TransferRowError";
}
