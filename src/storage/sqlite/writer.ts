/** The hub's one writing connection: applies a batch of saves in one transaction. */
import { type Database, SQLiteError, type SQLQueryBindings, type Statement } from "bun:sqlite";
import { closeSync, existsSync, openSync, realpathSync } from "node:fs";
import { dirname } from "node:path";
import type { Durability } from "../../config/settings.ts";
import { noteName } from "../../market/rollup-note.ts";
import { nowText } from "../../market/timestamp.ts";
import { messageOf } from "../../protocol/message-of.ts";
import { seqsOf, withoutRows, withRows, withSeqs } from "../column-saves.ts";
import { CompletedRows, ROWS_BEFORE } from "../completed-rows.ts";
import {
  type BarRow,
  type ColumnSave,
  type CommitProgress,
  type Edit,
  type EditOutcome,
  type Save,
  type SaveOutcome,
  type SaveRows,
  type StockWriter,
  StorageBusyError,
  TransferRowError,
  UNHEARD_PROGRESS,
} from "../contract.ts";
import { DiskSpace, NoRoomError } from "../disk-space.ts";
import {
  editedBefore,
  editedOutcome,
  foundOutcome,
  identifiedEntryOf,
  logEntriesOf,
  loggedOutcomes,
  subjectOf,
} from "../edits.ts";
import { EpochWitness, reasonsOf } from "../epoch-witness.ts";
import { type ColumnBatch, cellReaders } from "../model/columns.ts";
import {
  byKind,
  type KindName,
  keyColumns,
  kindOf,
  partName,
  type RowKind,
  type SeriesRow,
  seriesColumns,
  TABLE_NAMES,
} from "../model/kinds.ts";
import { OpenedFile } from "../opened-file.ts";
import { checkRemovals } from "../removal.ts";
import { takeOutRepeated } from "../repeated-saves.ts";
import { mayBeLogged } from "../save-counts.ts";
import { GroupRefusedError, goesOn, groupOf, requireWholeGroups } from "../save-groups.ts";
import { databaseRefuses, editRefused, noteMoved, rowRefused } from "../save-refusals.ts";
import { ofSeries, together } from "../series-saves.ts";
import { chooseRows, StagedRows, type StoredKeys } from "../staged-rows.ts";
import { ColumnInserts, TakenKeyError, valuesSql } from "./column-rows.ts";
import { letShrink, openWriterConnection, useWriteAheadLog } from "./connection.ts";
import { DailyAverages } from "./daily-averages.ts";
import { Edits } from "./edits.ts";
import { SQLITE_FORMAT } from "./file-format.ts";
import { FileRoom, shortenWal } from "./file-room.ts";
import { FileShrink } from "./file-shrink.ts";
import { foreignHooks, mendHooks, structureFault } from "./file-structure.ts";
import { Notes } from "./notes.ts";
import { prepareSchema } from "./schema.ts";
import { rowColumns, storedRow } from "./stored-row.ts";
import { PROGRESS_ROWS, RowIgnoredError, TickSaves } from "./tick-saves.ts";
import { UpdateLog } from "./update-log.ts";
import { setForeignLogAside, WriteAheadLog } from "./write-ahead-log.ts";

/**
 * A transaction begins no further save after this, so that none waits long for many costly ones.
 */
const TRANSACTION_MS = 200;
/** Of the file's companions, the first: what a commit writes to. */
const WAL = 1;
type Params = SQLQueryBindings[];

export class SqliteWriter implements StockWriter {
  readonly #db: Database;
  readonly #file: OpenedFile;
  readonly #room: FileRoom;
  readonly #shrink: FileShrink;
  readonly #averages: DailyAverages;
  readonly #updates: UpdateLog;
  readonly #witness: EpochWitness;
  readonly #log: WriteAheadLog;
  readonly #dataVersion: Statement<{ data_version: number }, []>;
  readonly #schemaVersionOf: Statement<{ schema_version: number }, []>;
  #hooksTold: ReadonlySet<string> = new Set();
  #lastDataVersion: number;
  readonly #exists: Record<KindName, Statement<unknown, Params>>;
  readonly #upsert: Record<KindName, Statement<unknown, Params>>;
  readonly #columns: Record<KindName, ColumnInserts>;
  #progress: CommitProgress = UNHEARD_PROGRESS;
  readonly #storedRow: Record<KindName, Statement<unknown, Params>>;
  readonly #newestRow: Record<KindName, Statement<{ stamp: string | null }, Params>>;
  readonly #ticks: TickSaves;
  readonly #edits: Edits;
  readonly #kept: Notes;
  /** Once it has begun, the log is brought to the bound itself. */
  #isTidying = false;
  /** The schema of the file when it was last looked at. */
  #schemaVersion = -1;
  #fault: string | null = null;
  readonly #notes: string[] = [];
  /** What opening the file did to it, for the log. */
  readonly preparation: string | null;
  /** Why a new epoch began, for the log; null where the one before goes on. */
  readonly epochBegun: string | null;

  /**
   * @param updateLogBytes What the update log may hold, roughly; null: it isn't trimmed.
   * @param minFreeBytes as the setting.
   */
  constructor(
    path: string,
    durability: Durability,
    updateLogBytes: number | null,
    minFreeBytes: number | null = null,
  ) {
    if (!existsSync(path)) closeSync(openSync(path, "a"));
    this.#witness = new EpochWitness(path);
    let setAside: string | null;
    try {
      setAside = setForeignLogAside(path, this.#witness.inFile);
      this.#db = openWriterConnection(path, durability);
    } catch (error) {
      this.#witness.abandon();
      throw error;
    }
    try {
      this.#file = new OpenedFile(path, SQLITE_FORMAT);
      letShrink(this.#db);
      this.preparation = prepareSchema(this.#db);
      useWriteAheadLog(this.#db);
      this.#db.transaction(() => this.#notes.push(...mendHooks(this.#db))).immediate();
      this.#hooksTold = new Set(foreignHooks(this.#db));
      this.#notes.push(...this.#hooksTold);
    } catch (error) {
      this.#db.close(false);
      this.#witness.abandon();
      throw error;
    }
    const prepare = <R>(sql: string): Statement<R, Params> => this.#db.prepare<R, Params>(sql);
    const real = realpathSync(path);
    this.#room = new FileRoom(this.#db, real, new DiskSpace(dirname(real), minFreeBytes));
    this.#shrink = new FileShrink(this.#db);
    this.#averages = new DailyAverages(this.#db);
    this.#updates = new UpdateLog(this.#db, {
      boundBytes: updateLogBytes,
      witness: this.#witness,
      note: (text) => this.#notes.push(text),
    });
    this.#log = new WriteAheadLog(path);
    this.epochBegun = reasonsOf(this.#witness.doubt(this.#updates.given), setAside);
    if (this.epochBegun !== null) this.#updates.beginEpoch();
    this.#acceptGiven();
    this.#dataVersion = this.#db.prepare<{ data_version: number }, []>("PRAGMA data_version");
    this.#lastDataVersion = this.#readDataVersion();
    this.#schemaVersionOf = this.#db.prepare<{ schema_version: number }, []>("PRAGMA schema_version");
    this.#exists = byKind((kind) => prepare(existsSql(kind)));
    this.#upsert = byKind((kind) => prepare(upsertSql(kind, 1)));
    this.#columns = byKind(
      (kind, name) => new ColumnInserts(this.#db, name, (rows) => upsertSql(kind, rows)),
    );
    this.#storedRow = byKind((kind) => prepare(storedRowSql(kind)));
    this.#newestRow = byKind((kind) => prepare(newestRowSql(kind)));
    this.#ticks = new TickSaves(this.#db);
    this.#edits = new Edits(this.#db, this.#averages);
    this.#kept = new Notes(this.#db);
  }

  commit(batch: Save[], progress: CommitProgress = UNHEARD_PROGRESS): (SaveOutcome | null)[] {
    this.#file.check(WAL);
    this.#progress = progress;
    const lack = this.#room.lackFor(batch);
    if (lack !== null) throw new NoRoomError(lack);
    const { saves, outcomesOfAll } = takeOutRepeated(batch);
    const outcomes = outcomesOfAll(this.#commit(saves));
    // What went into a file that was lost meanwhile must not be answered as stored.
    this.#file.check(0);
    return outcomes;
  }

  /**
   * Rows that are later than all of their series, but for those with averages: row by row out of
   * the columns. Anything else, and what is refused, is stored as rows.
   */
  commitColumns(save: ColumnSave, progress: CommitProgress = UNHEARD_PROGRESS): SaveOutcome {
    const outcome = this.#commitColumns(save, progress);
    return outcome ?? this.commit([withRows(save)], progress)[0]!;
  }

  edit(edit: Edit, progress: CommitProgress = UNHEARD_PROGRESS): EditOutcome {
    this.#file.check(WAL);
    this.#progress = progress;
    const lack = this.#room.lackFor([]);
    if (lack !== null) throw new NoRoomError(lack);
    let outcome: EditOutcome | null = null;
    try {
      this.#inTransaction(() => {
        const applied = this.#edit(edit);
        outcome = applied.outcome;
        return applied.committed;
      });
    } catch (error) {
      if (!isRefusal(error)) throw error;
      outcome = isOfTheRow(error) ? editRefused(edit.ticker, error.message) : databaseRefuses(error.message);
    }
    this.#file.check(0);
    return outcome!;
  }

  removeCheck(ticker: string): void {
    this.#file.check();
    this.#inTransaction(() => {
      const areForgotten = this.#updates.forget(ticker);
      for (const sql of checkRemovals("?")) this.#db.run(sql, [ticker]);
      return areForgotten;
    });
    this.#file.check();
  }

  roomLack(): string | null {
    return this.#file.lost() === null ? this.#room.lackFor([]) : null;
  }

  lost(): string | null {
    return this.#file.lost();
  }

  changedByOthers(): boolean {
    if (this.#file.lost() !== null) return true;
    const version = this.#readDataVersion();
    if (version === this.#lastDataVersion) return false;
    this.#lastDataVersion = version;
    return true;
  }

  /** Trims the update log by one step, where saves haven't; then gives back free pages. */
  tidy(): boolean {
    if (!this.#updates.isTooLong && !this.#isTidying) return this.#shrinkFile();
    this.#file.check();
    let isMore = false;
    this.#inTransaction(() => {
      const step = this.#updates.trimOneStep();
      ({ isMore } = step);
      return step.committed;
    });
    this.#isTidying = isMore;
    return isMore;
  }

  #shrinkFile(): boolean {
    if (!this.#shrink.isDue) return false;
    this.#file.check();
    this.#inTransaction(() => {
      this.#shrink.step();
      return () => {};
    });
    if (this.#shrink.isDue) return true;
    // The file itself becomes shorter now, not only with the saves to come.
    this.#db.run("PRAGMA wal_checkpoint(PASSIVE)");
    return false;
  }

  findProblem(): string | null {
    try {
      this.#file.check();
      this.#lookAtSchema();
    } catch (error) {
      return messageOf(error);
    }
    return this.#fault;
  }

  takeNotes(): string[] {
    return this.#notes.splice(0);
  }

  /** True while no command has ever stored a row. */
  isEmpty(): boolean {
    return TABLE_NAMES.every((table) => this.#db.query(`SELECT 1 FROM ${table} LIMIT 1`).get() === null);
  }

  /** @returns the epoch that positions count in from now on. */
  beginEpoch(): string {
    this.#updates.beginEpoch();
    this.#acceptGiven();
    return this.#updates.given.epoch;
  }

  close(): void {
    this.#log.close();
    // Closing would write the pages of the WAL into whatever is left of the file, and remove the
    // WAL.
    if (this.#file.lost() !== null) return;
    shortenWal(this.#db);
    this.#db.close(false);
    this.#witness.close(this.#updates.given);
  }

  /** Null: nothing is stored. */
  #commitColumns(save: ColumnSave, progress: CommitProgress): SaveOutcome | null {
    const { kind, ticker, part, update } = save;
    if (kind === "daily" || (update !== undefined && mayBeLogged(withoutRows(save)))) return null;
    const seqs = kind === "ticks" ? seqsOf(save) : null;
    if (kind === "ticks" && seqs === null) return null;
    this.#file.check(WAL);
    this.#progress = progress;
    const head = withoutRows(save);
    const lack = this.#room.lackFor([head]);
    if (lack !== null) throw new NoRoomError(lack);
    const batch = seqs === null ? save.batch : withSeqs(save.batch, seqs);
    const series = part === null ? [ticker] : [ticker, part];
    const time = kind === "ticks" ? nowText() : `${nowText()}+00:00`;
    const inserts = kind === "ticks" ? this.#ticks.columns : this.#columns[kind];
    const outcome: SaveOutcome = { ok: true, stored: batch.rows, position: null };
    try {
      this.#inTransaction(() => {
        progress.at("rows", head);
        const newest = this.#newestRow[kind].get(...series)?.stamp ?? "";
        if (!areLater(kind, batch, newest)) throw new TakenKeyError("a key may be stored already");
        inserts.run(batch, { series, time, heard: () => progress.at("rows") });
        this.#ticks.forget();
        progress.at("update log");
        return this.#updates.record([head], [outcome]);
      });
    } catch (error) {
      if (error instanceof TakenKeyError || isRefusal(error)) return null;
      throw error;
    }
    this.#file.check(0);
    return outcome;
  }

  #acceptGiven(): void {
    const { log, checkpointed } = this.#db
      .query<{ busy: number; log: number; checkpointed: number }, []>("PRAGMA wal_checkpoint(PASSIVE)")
      .get()!;
    this.#log.hasBegunAnew(); // what is there now is not news
    const { given } = this.#updates;
    this.#witness.accept(given, log === checkpointed ? given.newestId : null);
  }

  #commit(saves: Save[]): (SaveOutcome | null)[] {
    try {
      return this.#transaction(saves, () => this.#applyAll(saves));
    } catch (error) {
      if (error instanceof GroupRefusedError) return this.#commitWithout(saves, error);
      if (!isRefusal(error)) throw error;
    }
    // One of them breaks a rule that users made with SQL, a unique index or a trigger: the others
    // must not suffer.
    try {
      return this.#transaction(saves, () => this.#applyOneByOne(saves));
    } catch (error) {
      if (error instanceof GroupRefusedError) return this.#commitWithout(saves, error);
      if (!(error instanceof AllUndoneError)) throw error;
      const { index, outcome } = error;
      const refused = saves.map((_, i) => (i === index ? outcome : null));
      return this.#commitWithout(saves, new GroupRefusedError(groupOf(saves, index), refused));
    }
  }

  /**
   * A refusal of the ones has rolled back the whole transaction. Those before them were fine; those
   * after them come in the next.
   */
  #commitWithout(saves: Save[], { start, end, outcomes }: GroupRefusedError): (SaveOutcome | null)[] {
    const before = start === 0 ? [] : this.#commit(saves.slice(0, start));
    return saves.map((_, i) => (i < start ? (before[i] ?? null) : i < end ? outcomes[i - start]! : null));
  }

  #transaction(saves: Save[], apply: () => (SaveOutcome | null)[]): (SaveOutcome | null)[] {
    let outcomes: (SaveOutcome | null)[] = [];
    this.#inTransaction(() => {
      outcomes = apply();
      requireWholeGroups(saves, outcomes);
      this.#progress.at("update log");
      return this.#updates.record(saves, outcomes);
    });
    return outcomes;
  }

  /** @param work returns what is to be called once it is committed. @throws StorageBusyError */
  #inTransaction(work: () => () => void): void {
    const { newestId } = this.#updates.given;
    try {
      this.#db.run("BEGIN IMMEDIATE");
      this.#lookAtSchema();
      if (this.#fault !== null) throw new StructureError(this.#fault);
      if (this.#updates.begin()) this.#ticks.forget();
      const committed = work();
      this.#progress.at("commit");
      this.#db.run("COMMIT");
      committed();
      if (this.#log.hasBegunAnew()) this.#witness.holdsTo(newestId);
    } catch (error) {
      if (this.#db.inTransaction) this.#db.run("ROLLBACK");
      this.#ticks.forget();
      if (error instanceof SQLiteError && error.code === "SQLITE_BUSY") {
        throw new StorageBusyError(error.message, { cause: error });
      }
      if (error instanceof SQLiteError && error.code === "SQLITE_FULL")
        throw new NoRoomError(`No space left on the database's disk: ${error.message}`, { cause: error });
      throw error;
    }
  }

  /**
   * Saves that were not stored within TRANSACTION_MS keep a null outcome. Daily bars of one ticker
   * are stored together: their averages are computed once.
   */
  #applyAll(saves: Save[]): (SaveOutcome | null)[] {
    const outcomes: (SaveOutcome | null)[] = saves.map(() => null);
    const started = performance.now();
    for (const [index, save] of saves.entries()) {
      if (outcomes[index] !== null) continue; // stored with an earlier one of its ticker
      const isOver = performance.now() - started > TRANSACTION_MS;
      if (isOver && !goesOn(saves[index - 1], save)) break;
      this.#progress.at("rows", save);
      outcomes[index] = this.#updates.findRepeated(save);
      if (outcomes[index] !== null) continue;
      if (save.kind !== "daily") {
        outcomes[index] = this.#apply(save);
        continue;
      }
      const daily = this.#stagedDaily(save.ticker);
      for (let other = index; other < saves.length; other++) {
        const sibling = saves[other]!;
        if (sibling.kind !== "daily" || sibling.ticker !== save.ticker) continue;
        // The rest of another group may be left for the next transaction.
        if (sibling.together !== save.together) break;
        outcomes[other] = this.#updates.findRepeated(sibling) ?? daily.stage(sibling);
      }
      this.#storeDaily(save.ticker, daily);
    }
    return outcomes;
  }

  /**
   * Its position is set when all of the transaction are applied: positions follow the order of the
   * batch.
   */
  #apply(save: Save): SaveOutcome {
    if (save.kind === "ticks") return this.#ticks.save(save, () => this.#progress.at("rows"));
    if (save.note !== undefined && !this.#kept.change(save.note)) return noteMoved(save.note);
    if (save.kind !== "daily") return this.#savePlain(save);
    const daily = this.#stagedDaily(save.ticker);
    const outcome = daily.stage(save);
    this.#storeDaily(save.ticker, daily);
    return outcome;
  }

  /** @returns call `committed` after the commit. */
  #edit(edit: Edit): { outcome: EditOutcome; committed: () => void } {
    const { epoch } = this.#updates.given;
    const identified = identifiedEntryOf(edit);
    const known = identified === null ? null : this.#updates.findRepeated(identified);
    const told = (outcome: EditOutcome) => ({ outcome, committed: () => {} });
    if (known !== null) return told(editedBefore(known));
    if (edit.note !== undefined && !this.#kept.change(edit.note)) return told(noteMoved(edit.note));
    const applied = this.#edits.apply(edit, this.#progress);
    if ("ok" in applied || applied.rows === 0 || edit.dryRun) return told(foundOutcome(applied, epoch));
    const { rows } = applied;
    if (edit.what === "renaming") this.#kept.rename(noteName(edit.ticker), noteName(edit.newTicker));
    this.#progress.at("update log", { ...subjectOf(edit), rows: { length: rows } });
    const entries = logEntriesOf(edit, rows);
    const outcomes = loggedOutcomes(entries, rows);
    const logged = this.#updates.record(entries, outcomes);
    const positions = outcomes.map(({ position }) => position!);
    return {
      outcome: editedOutcome(entries, rows, positions, epoch),
      committed: () => {
        logged();
        this.#ticks.forget();
      },
    };
  }

  #stagedDaily(ticker: string): StagedRows {
    return new StagedRows(this.#keysOf("daily", [ticker]));
  }

  #storeDaily(ticker: string, daily: StagedRows): void {
    const rows = daily.rows();
    if (rows.length > 0) this.#averages.save(ticker, rows as BarRow[], `${nowText()}+00:00`);
  }

  #keysOf(kind: KindName, series: string[]): StoredKeys {
    return {
      has: (row) => this.#exists[kind].get(...series, ...keyIn(kind, row)) !== null,
      row: (row) => {
        const [values] = this.#storedRow[kind].values(...series, ...keyIn(kind, row));
        return values === undefined ? null : storedRow(values, kind, series.join(" "));
      },
    };
  }

  #lookAtSchema(): void {
    const version = this.#schemaVersionOf.get()?.schema_version ?? 0;
    if (version === this.#schemaVersion) return;
    this.#fault = structureFault(this.#db);
    if (this.#schemaVersion !== -1 && this.#fault === null) this.#noteNewHooks();
    this.#schemaVersion = version;
  }

  /** Of those that another program has put on the tables while the server runs. */
  #noteNewHooks(): void {
    const hooks = foreignHooks(this.#db);
    this.#notes.push(...hooks.filter((hook) => !this.#hooksTold.has(hook)));
    this.#hooksTold = new Set(hooks);
  }

  #applyOneByOne(saves: Save[]): (SaveOutcome | null)[] {
    const started = performance.now();
    const outcomes: (SaveOutcome | null)[] = saves.map(() => null);
    for (const [index, save] of saves.entries()) {
      const isOver = index > 0 && performance.now() - started > TRANSACTION_MS;
      if (isOver && !goesOn(saves[index - 1], save)) break;
      outcomes[index] = this.#applyOrUndo(save, index);
    }
    return outcomes;
  }

  #applyOrUndo(save: Save, index: number): SaveOutcome {
    const repeated = this.#updates.findRepeated(save);
    if (repeated !== null) return repeated;
    this.#progress.at("rows", save);
    this.#db.run("SAVEPOINT one_save");
    try {
      return this.#apply(save);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      const outcome = isOfTheRow(error) ? rowRefused(save, error.message) : databaseRefuses(error.message);
      // RAISE(ROLLBACK) of a trigger has undone the others as well.
      if (!this.#db.inTransaction) throw new AllUndoneError(index, outcome);
      this.#db.run("ROLLBACK TO one_save");
      return outcome;
    } finally {
      if (this.#db.inTransaction) this.#db.run("RELEASE one_save");
    }
  }

  #readDataVersion(): number {
    return this.#dataVersion.get()?.data_version ?? 0;
  }

  #savePlain(save: SaveRows): SaveOutcome {
    try {
      return together(ofSeries(save).map((each) => this.#saveSeries(this.#completed(each))));
    } catch (error) {
      // Another program has stored what can't be taken over.
      if (error instanceof TransferRowError) return rowRefused(save, error.message);
      throw error;
    }
  }

  /** What is stored before the row fills it up. */
  #completed(save: SaveRows): SaveRows {
    if (save.onDuplicate !== "complete") return save;
    const { kind, ticker, part, rows } = save;
    const series = part === null ? [ticker] : [ticker, part];
    const statement = this.#db.query<unknown, Params>(beforeSql(kindOf(kind)));
    const found = statement.values(...series, rows[0]![0], ROWS_BEFORE);
    const before = found.map((values) => storedRow(values, kind, `${ticker} ${partName(kind, part)}`));
    return new CompletedRows().complete(save, before);
  }

  #saveSeries(save: SaveRows): SaveOutcome {
    const { kind, ticker, part } = save;
    const series = part === null ? [ticker] : [ticker, part];
    const { rows, outcome } = chooseRows(save, this.#keysOf(kind, series));
    const writeTimestamp = `${nowText()}+00:00`;
    for (const [index, row] of rows.entries()) {
      if (index % PROGRESS_ROWS === 0) this.#progress.at("rows");
      this.#upsert[kind].run(...series, ...whole(kind, row), writeTimestamp);
    }
    return outcome;
  }
}

/** With nulls for the values that it lacks at its end. */
function whole(kind: KindName, row: SeriesRow): SeriesRow {
  const { values, hasSeq } = kindOf(kind);
  const missing = 1 + values.length + (hasSeq ? 1 : 0) - row.length;
  return missing === 0 ? row : [...row, ...new Array(missing).fill(null)];
}

/** Its stamp, and its seq where it has one. */
function keyIn(kind: KindName, row: SeriesRow): Params {
  return kindOf(kind).hasSeq ? [row[0], row.at(-1)!] : [row[0]];
}

function existsSql(kind: RowKind): string {
  const key = keyColumns(kind).map((column) => `${column} = ?`);
  return `SELECT 1 FROM ${kind.table} WHERE ${key.join(" AND ")}`;
}

/** Parameters: the series, a stamp, how many. */
function beforeSql(kind: RowKind): string {
  const series = seriesColumns(kind).map((column) => `${column} = ?`);
  return `SELECT ${rowColumns(kind).join(", ")} FROM ${kind.table}
    WHERE ${series.join(" AND ")} AND ${kind.stamp.name} <= ? ORDER BY ${kind.stamp.name} DESC LIMIT ?`;
}

function storedRowSql(kind: RowKind): string {
  const key = keyColumns(kind).map((column) => `${column} = ?`);
  return `SELECT ${rowColumns(kind).join(", ")} FROM ${kind.table} WHERE ${key.join(" AND ")} LIMIT 1`;
}

function newestRowSql(kind: RowKind): string {
  const series = seriesColumns(kind).map((column) => `${column} = ?`);
  return `SELECT max(${kind.stamp.name}) AS stamp FROM ${kind.table} WHERE ${series.join(" AND ")}`;
}

/** Ascending, from a stamp that is later than all that are stored. */
function areLater(kind: KindName, batch: ColumnBatch, newest: string): boolean {
  const stampAt = cellReaders(kind, batch)[0]!;
  let last = newest;
  for (let row = 0; row < batch.rows; row++) {
    const stamp = String(stampAt(row));
    if (row === 0 ? stamp <= last : stamp < last) return false;
    last = stamp;
  }
  return true;
}

/** Parameters of each row: the series, the row, the time. */
function upsertSql(kind: RowKind, rows: number): string {
  const values = kind.values.map(({ name }) => name);
  const columns = [
    ...seriesColumns(kind),
    kind.stamp.name,
    ...values,
    ...(kind.hasSeq ? ["seq"] : []),
    "write_timestamp",
  ];
  return `INSERT INTO ${kind.table} (${columns.join(", ")}) VALUES ${valuesSql(columns.length, rows)}
    ON CONFLICT (${keyColumns(kind).join(", ")}) DO UPDATE SET
    ${[...values, "write_timestamp"].map((name) => `${name} = excluded.${name}`).join(", ")}`;
}

/** A save has ended the transaction of all. */
class AllUndoneError extends Error {
  override name = "AllUndoneError";
  readonly index: number;
  readonly outcome: SaveOutcome;

  constructor(index: number, outcome: SaveOutcome) {
    super("a save has undone those that were committed with it");
    this.index = index;
    this.outcome = outcome;
  }
}

/** Another program has changed the server's own tables. */
class StructureError extends Error {
  override name = "StructureError";
}

/**
 * SQLite's words for what a trigger or an index of a user's needs and isn't there: no row could be
 * stored, whatever it holds.
 */
const OF_THE_DATABASE =
  /^(no such |cannot modify |table .* has no column |unknown |wrong number of arguments)/;

function isOfTheRow(error: Error): boolean {
  return !OF_THE_DATABASE.test(error.message);
}

/**
 * This save is refused and another may not be, by a rule of the database; not the disk, a lock, or
 * memory, which the next save would meet too.
 */
function isRefusal(error: unknown): error is Error {
  if (error instanceof RowIgnoredError) return true;
  if (!(error instanceof SQLiteError)) return false;
  return error.code === "SQLITE_ERROR" || (error.code ?? "").startsWith("SQLITE_CONSTRAINT");
}
