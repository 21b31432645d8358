/**
 * Applies batches of saves, each in one transaction, with a number of statements that doesn't grow
 * with the batch. DuckDB syncs its WAL at every commit and can't be told not to, so `--durability
 * normal` is as durable as `full`.
 */
import { nowText } from "../../market/timestamp.ts";
import { messageOf } from "../../protocol/message-of.ts";
import { withoutRows, withRows } from "../column-saves.ts";
import { CompletedRows } from "../completed-rows.ts";
import {
  type ColumnSave,
  DatabaseGoneError,
  type Edit,
  type EditOutcome,
  type Save,
  type SaveOutcome,
  type SaveRows,
  type SaveTicks,
  type StockWriter,
  StorageBusyError,
} from "../contract.ts";
import { NoRoomError } from "../disk-space.ts";
import {
  editedBefore,
  editedOutcome,
  foundOutcome,
  identifiedEntryOf,
  logEntriesOf,
  loggedOutcomes,
} from "../edits.ts";
import { byKind, KIND_NAMES, kindOf, TABLE_NAMES } from "../model/kinds.ts";
import { checkRemovals } from "../removal.ts";
import { takeOutRepeated } from "../repeated-saves.ts";
import { mayBeLogged } from "../save-counts.ts";
import {
  commitWithout,
  firstRefusedGroup,
  GroupRefusedError,
  inGroups,
  requireWholeGroups,
} from "../save-groups.ts";
import { databaseRefuses, editRefused, rowRefused } from "../save-refusals.ts";
import { bySeries } from "../series-saves.ts";
import { ascending, fitsTable, insertColumns, spanOf } from "./column-saves.ts";
import { CountRoom } from "./count-room.ts";
import { DailySaves } from "./daily-saves.ts";
import type { DuckDbFile } from "./duckdb-file.ts";
import { applyEdit } from "./edits.ts";
import { hasNoTransaction, isConflict, isFatal, isOutOfMemory, isRefusal, wordsOf } from "./errors.ts";
import { storable } from "./lines.ts";
import { NewestStored } from "./newest-stored.ts";
import { changeNote, planNotes, writeNotes } from "./notes.ts";
import { planPlainSaves } from "./plain-saves.ts";
import { rowsBefore } from "./row-texts.ts";
import type { Session } from "./session.ts";
import { planTickSaves } from "./tick-saves.ts";
import type { NewUpdates, UpdateLog } from "./update-log.ts";

/**
 * Tries of one batch, when transactions of users are in its way: they are stopped before the next.
 */
const ATTEMPTS_MAX = 3;

/** Those that plain-saves.ts stores. */
const PLAIN_KINDS = KIND_NAMES.filter((name) => name !== "daily" && name !== "ticks");

export class DuckDbWriter implements StockWriter {
  readonly #file: DuckDbFile;
  readonly #session: Session;
  readonly #daily: DailySaves;
  readonly #counts: CountRoom;
  readonly #newest = byKind((kind) => new NewestStored(kind));
  readonly #log: UpdateLog;
  readonly #notes: string[];
  /** The session is still in a transaction that has failed. */
  #mustRollBack = false;
  #foreignCommitsSeen: number;
  /** Why a new epoch began; null where the one before goes on. */
  epochBegun: string | null = null;

  private constructor(file: DuckDbFile, session: Session, log: UpdateLog) {
    this.#file = file;
    this.#log = log;
    this.#session = session;
    this.#daily = new DailySaves(session);
    this.#counts = new CountRoom(file, session);
    this.#foreignCommitsSeen = file.foreignCommits;
    this.#notes = file.foreign === null ? [] : [file.foreign];
  }

  /** @param reason why a new epoch begins in any case; null: that is to be found out. */
  static async open(file: DuckDbFile, log: UpdateLog, reason: string | null): Promise<DuckDbWriter> {
    const writer = new DuckDbWriter(file, await file.connect(), log);
    await writer.#refresh();
    writer.epochBegun = await log.settleEpoch(writer.#session, reason);
    return writer;
  }

  commit(saves: Save[]): Promise<(SaveOutcome | null)[]> {
    return this.#inTurn(() => this.#commitRepeated(saves));
  }

  /**
   * Rows that are newer than all of their series and of types that the table has; anything else,
   * and what is refused, is stored as rows.
   */
  async commitColumns(save: ColumnSave): Promise<SaveOutcome> {
    return (await this.commitColumnsTogether([save]))[0]!;
  }

  commitColumnsTogether(saves: ColumnSave[]): Promise<SaveOutcome[]> {
    return this.#inTurn(async () => {
      const together = await this.#commitColumns(saves);
      if (together !== null) return together;
      const alone = saves.length > 1 ? (save: ColumnSave) => this.#commitColumns([save]) : () => null;
      return eachUntilFailure(
        saves,
        async (save) => (await alone(save))?.[0] ?? (await this.#commitRepeated([withRows(save)]))[0]!,
        (_, reason) => databaseRefuses(reason),
      );
    });
  }

  edit(edit: Edit): Promise<EditOutcome> {
    return this.#inTurn(async () => {
      const lack = this.#file.room.lackFor([]);
      if (lack !== null) throw new NoRoomError(lack);
      return this.#again(
        () => this.#edit(edit),
        ({ cause }) => editRefused(edit.ticker, wordsOf(cause).message),
      );
    });
  }

  removeCheck(ticker: string): Promise<void> {
    return this.#file.commits.run(async () => {
      const lost = this.#file.lost();
      if (lost !== null) throw new DatabaseGoneError(lost);
      await this.#transaction(async () => {
        for (const sql of checkRemovals("$1")) await this.#session.run(sql, [ticker]);
      });
      this.#log.forget(ticker);
      this.#file.committed();
    });
  }

  /** Told once, by whoever logs. */
  takeNotes(): string[] {
    return this.#notes.splice(0);
  }

  roomLack(): string | null {
    return this.#file.lost() === null ? this.#file.room.lackFor([]) : null;
  }

  lost(): string | null {
    return this.#file.lost();
  }

  /** Nobody else can open the file: others are users and their SQL. */
  changedByOthers(): boolean {
    const changed = this.#foreignCommitsSeen !== this.#file.foreignCommits;
    this.#foreignCommitsSeen = this.#file.foreignCommits;
    return changed;
  }

  /** @returns the epoch that positions count in from now on. */
  beginEpoch(): Promise<string> {
    return this.#file.commits.run(() => this.#log.beginEpoch(this.#session));
  }

  tidy(): Promise<boolean> {
    return this.#file.commits.run(async () => {
      if (!this.#log.isTooLong || this.#file.room.lackFor([]) !== null) return false;
      const isTrimmed = await this.#trim({ idle: true });
      this.#file.checkpointIfLong();
      return isTrimmed && this.#log.isTooLong;
    });
  }

  async isEmpty(): Promise<boolean> {
    const found = await this.#file.commits.run(() =>
      this.#session.rows(TABLE_NAMES.map((table) => `(SELECT 1 FROM ${table} LIMIT 1)`).join(" UNION ALL ")),
    );
    return found.length === 0;
  }

  /** Waits for the commit under way. */
  async close(): Promise<void> {
    await this.#file.commits.run(async () => this.#session.close());
  }

  #inTurn<T>(commit: () => Promise<T>): Promise<T> {
    return this.#file.commits.run(async () => {
      const lost = this.#file.lost();
      if (lost !== null) throw new DatabaseGoneError(lost);
      if (this.#log.isTooLong && this.#file.room.lackFor([]) === null) await this.#trim();
      const result = await commit();
      this.#file.checkpointIfLong();
      return result;
    });
  }

  /** Null: nothing is stored. */
  async #commitColumns(sent: ColumnSave[]): Promise<SaveOutcome[] | null> {
    const saves: ColumnSave[] = [];
    for (const save of sent) {
      const counted = ascending(save);
      if (counted === null) return null;
      saves.push(counted);
    }
    const heads = saves.map(withoutRows);
    if (this.#file.room.lackFor(heads) !== null) return null;
    if (this.#mustRollBack) await this.#rollBack();
    await this.#refresh();
    const spans = saves.map(spanOf);
    const ends = new Map<string, string>();
    for (const [index, { kind, ticker, part, first, last }] of spans.entries()) {
      const series = JSON.stringify([kind, ticker, part]);
      const before = ends.get(series);
      const isLater =
        before === undefined ? !this.#newest[kind].mayHold(ticker, part, first) : before < first;
      if (!isLater || !fitsTable(saves[index]!, this.#file.countTypes)) return null;
      ends.set(series, last);
    }
    const session = this.#session;
    await this.#log.learn(session, heads);
    const stored = saves.map(({ batch }): SaveOutcome => ({ ok: true, stored: batch.rows, position: null }));
    const planned = this.#log.plan(heads, stored);
    try {
      await this.#transaction(async () => {
        const now = nowText();
        for (const save of saves) await insertColumns(session, save, now);
        await this.#log.write(session, planned);
      });
    } catch (error) {
      // As rows, it is tried again or refused for a reason.
      if (!isFatal(error)) return null;
      this.#file.reportFatal(error);
      throw error;
    }
    this.#file.committed();
    this.#log.committed(planned);
    for (const { kind, ticker, part, last } of spans) this.#newest[kind].note(ticker, part, last);
    return planned.outcomes;
  }

  /** Leaves out what was committed before, and what the batch has twice. */
  async #commitRepeated(batch: Save[]): Promise<(SaveOutcome | null)[]> {
    if (!batch.some(mayBeLogged)) return this.#commitWithRoom(batch);
    const { saves, outcomesOfAll } = takeOutRepeated(batch);
    return outcomesOfAll(await this.#commitUnknown(saves));
  }

  /** Those that the log doesn't know. */
  async #commitUnknown(saves: Save[]): Promise<(SaveOutcome | null)[]> {
    await this.#refresh();
    const known = await this.#log.findRepeated(this.#session, saves);
    const fresh = saves.map((_, index) => index).filter((index) => !known.has(index));
    const outcomes = saves.map((_, index): SaveOutcome | null => known.get(index) ?? null);
    const refused = firstRefusedGroup(saves, outcomes);
    if (refused !== null) return commitWithout(saves, refused, (before) => this.#commitUnknown(before));
    if (fresh.length > 0) {
      const committed = await this.#commitWithRoom(fresh.map((index) => saves[index]!)).catch((error) => {
        if (known.size === 0) throw error;
        return fresh.map(() => databaseRefuses(messageOf(error)));
      });
      for (const [place, index] of fresh.entries()) outcomes[index] = committed[place]!;
    }
    return outcomes;
  }

  async #commitWithRoom(saves: Save[]): Promise<(SaveOutcome | null)[]> {
    const { room } = this.#file;
    if (room.lackFor(saves) !== null) {
      await this.#file.shortenWal();
      const lack = room.lackFor(saves);
      if (lack !== null) throw new NoRoomError(lack);
    }
    return this.#commitInTurn(saves);
  }

  async #commitInTurn(saves: Save[]): Promise<(SaveOutcome | null)[]> {
    try {
      return await this.#again<(SaveOutcome | null)[]>(
        () => this.#apply(saves),
        // One of them breaks a rule that users made with SQL, a unique index or another column:
        // the others must not suffer.
        async ({ cause }) => {
          const groups = inGroups(saves);
          if (groups.length > 1) return this.#applyEach(groups);
          return saves.map((save) => rowRefused(save, wordsOf(cause).message));
        },
      );
    } catch (error) {
      if (!(error instanceof GroupRefusedError)) throw error;
      return commitWithout(saves, error, (before) => this.#commitInTurn(before));
    }
  }

  /** @param refused what comes of it then. */
  async #again<T>(apply: () => Promise<T>, refused: (error: RowsRefused) => T | Promise<T>): Promise<T> {
    let alone = false;
    for (let attempt = 1; ; attempt++) {
      try {
        return await (alone ? this.#file.withoutUserSql(apply) : apply());
      } catch (error) {
        if (isFatal(error)) this.#file.reportFatal(error);
        alone = isOutOfMemory(error);
        if (alone || isConflict(error)) {
          if (attempt === ATTEMPTS_MAX)
            throw new StorageBusyError((error as Error).message, { cause: error });
          if (!alone) await this.#file.stopUserWrites();
        } else if (error instanceof RowsRefused) {
          return refused(error);
        } else {
          throw error;
        }
      }
    }
  }

  /** DuckDB has no savepoints, so each group is a transaction of its own. */
  async #applyEach(groups: Save[][]): Promise<(SaveOutcome | null)[]> {
    const outcomes = await eachUntilFailure<Save[], (SaveOutcome | null)[]>(
      groups,
      (group) => this.#commitInTurn(group),
      (group, reason) => group.map(() => databaseRefuses(reason)),
    );
    return outcomes.flat();
  }

  async #apply(saves: Save[]): Promise<SaveOutcome[]> {
    if (this.#mustRollBack) await this.#rollBack();
    await this.#refresh();
    const refused: Map<Save, SaveOutcome> = await this.#counts.makeFor(saves);
    const notes = await planNotes(
      this.#session,
      saves.filter((save) => !refused.has(save)),
    );
    for (const [save, refusal] of notes.refused) refused.set(save, refusal);
    requireWholeGroups(
      saves,
      saves.map((save) => refused.get(save) ?? null),
    );
    if (refused.size === 0) return this.#store(saves, notes.writes);
    const left = saves.filter((save) => !refused.has(save));
    const stored = (left.length === 0 ? [] : await this.#store(left, notes.writes)).values();
    return saves.map((save) => refused.get(save) ?? stored.next().value!);
  }

  async #store(saves: Save[], notes: ReadonlyMap<string, string>): Promise<SaveOutcome[]> {
    await this.#log.learn(this.#session, saves);
    const session = this.#session;
    const now = nowText();
    const ticks = saves.filter((save): save is SaveTicks => save.kind === "ticks");
    const daily = saves.filter((save): save is SaveRows => save.kind === "daily");
    const { countTypes } = this.#file;
    const tickPlan = await planTickSaves(ticks, { session, newest: this.#newest.ticks, countTypes, now });
    const outcomes = new Map<Save, SaveOutcome>();
    const note = (of: Save[], found: SaveOutcome[]): void =>
      of.forEach((save, index) => void outcomes.set(save, found[index]!));
    const { writes } = tickPlan;
    note(ticks, tickPlan.outcomes);
    const plain: SaveRows[] = [];
    for (const kind of PLAIN_KINDS) {
      const ofKind = saves.filter((save): save is SaveRows => save.kind === kind);
      if (ofKind.length === 0) continue;
      const { saves: ofSeries, outcomesOfAll } = bySeries(await this.#completed(ofKind));
      plain.push(...ofSeries);
      const newest = this.#newest[kind];
      const planned = await planPlainSaves(kindOf(kind), ofSeries, { session, newest, now });
      note(ofSeries, planned.outcomes);
      note(ofKind, outcomesOfAll(planned.outcomes));
      writes.push(...planned.writes);
    }
    const plan = (dailyOutcomes: SaveOutcome[]): NewUpdates => {
      note(daily, dailyOutcomes);
      const ofSaves = saves.map((save) => outcomes.get(save)!);
      requireWholeGroups(saves, ofSaves);
      return this.#log.plan(saves, ofSaves);
    };
    const updates =
      writes.length === 0 && daily.length === 0 && notes.size === 0
        ? plan([])
        : await this.#transaction(async () => {
            const { foreignCommits } = this.#file;
            const dailyOutcomes = await refusingRows(async () => {
              for (const { kind, sql, params } of writes) {
                if (kind === "insert") await session.insert(sql, params);
                else await session.run(sql, params);
              }
              return daily.length === 0 ? [] : await this.#daily.save(daily, { now, foreignCommits });
            });
            await writeNotes(session, notes);
            const planned = plan(dailyOutcomes);
            if (planned.rows.length > 0) await this.#log.write(session, planned);
            return planned;
          });
    if (writes.length > 0 || daily.length > 0 || notes.size > 0) this.#file.committed();
    this.#log.committed(updates);
    for (const save of [...ticks, ...plain]) {
      if (!outcomes.get(save)!.ok) continue;
      const newest = this.#newest[save.kind];
      const [ticker, part] = [storable(save.ticker), storable(save.part ?? "")];
      for (const [stamp] of save.rows) newest.note(ticker, part, stamp);
    }
    this.#daily.committed(daily);
    return updates.outcomes;
  }

  async #edit(edit: Edit): Promise<EditOutcome> {
    if (this.#mustRollBack) await this.#rollBack();
    await this.#refresh();
    const session = this.#session;
    const { epoch } = this.#log;
    const identified = identifiedEntryOf(edit);
    const known = await this.#log.findRepeated(session, identified === null ? [] : [identified]);
    if (known.size > 0) return editedBefore(known.get(0)!);
    const options = { session, daily: this.#daily, foreignCommits: this.#file.foreignCommits };
    if (edit.dryRun) return foundOutcome(await applyEdit(edit, options), epoch);
    await this.#log.learn(session, logEntriesOf(edit, 0));
    const { applied, planned } = await this.#transaction(async () => {
      const moved = edit.note === undefined ? null : await changeNote(session, edit.note);
      if (moved !== null) return { applied: moved, planned: null };
      const applied = await refusingRows(() => applyEdit(edit, options));
      if ("ok" in applied || applied.rows === 0) return { applied, planned: null };
      const entries = logEntriesOf(edit, applied.rows);
      const planned = this.#log.plan(entries, loggedOutcomes(entries, applied.rows));
      if (planned.rows.length > 0) await this.#log.write(session, planned);
      return { applied, planned };
    });
    if (planned === null || "ok" in applied) return foundOutcome(applied, epoch);
    this.#file.committed();
    this.#log.committed(planned);
    if (edit.what === "renaming")
      for (const kind of KIND_NAMES)
        this.#newest[kind].rename(storable(edit.ticker), storable(edit.newTicker));
    const entries = logEntriesOf(edit, applied.rows);
    return editedOutcome(
      entries,
      applied.rows,
      planned.rows.map(({ update }) => update.position),
      epoch,
    );
  }

  /** What is stored before their rows fills them up. */
  async #completed(saves: SaveRows[]): Promise<SaveRows[]> {
    if (!saves.some(({ onDuplicate }) => onDuplicate === "complete")) return saves;
    const rows = new CompletedRows();
    const completed: SaveRows[] = [];
    for (const save of saves) {
      const isWhole = save.onDuplicate !== "complete";
      const before = isWhole ? [] : await rowsBefore(this.#session, save, this.#file.countTypes);
      completed.push(rows.complete(save, before));
    }
    return completed;
  }

  /**
   * A log that stays too long is tried again after the next commit.
   *
   * @returns whether it is shorter.
   */
  async #trim({ idle = false } = {}): Promise<boolean> {
    try {
      const trimmed = await this.#transaction(() => this.#log.trim(this.#session, { idle }));
      return trimmed();
    } catch (error) {
      if (isFatal(error)) this.#file.reportFatal(error);
      else if (!isConflict(error) && !isOutOfMemory(error))
        console.error(`the log of updates can't be trimmed: ${wordsOf(error).message}`);
      return false;
    }
  }

  async #transaction<T>(work: () => Promise<T>): Promise<T> {
    await this.#session.run("BEGIN TRANSACTION");
    try {
      const result = await work();
      await this.#session.run("COMMIT");
      return result;
    } catch (error) {
      // A rollback that finds no memory makes DuckDB refuse everything.
      const rollBack = () => this.#rollBack();
      if (isOutOfMemory(error)) await this.#file.withoutUserSql(rollBack).catch(rollBack);
      else await rollBack();
      throw error;
    }
  }

  /** It may fail too: then it is done before anything else is. */
  async #rollBack(): Promise<void> {
    try {
      await this.#session.run("ROLLBACK");
      this.#mustRollBack = false;
    } catch (error) {
      // A commit that failed has ended the transaction already.
      this.#mustRollBack = !hasNoTransaction(error);
      if (isFatal(error)) this.#file.reportFatal(error);
    }
  }

  async #refresh(): Promise<void> {
    const { foreignCommits } = this.#file;
    await this.#log.refresh(this.#session, foreignCommits);
    for (const kind of [...PLAIN_KINDS, "ticks"] as const)
      await this.#newest[kind].refresh(this.#session, foreignCommits);
  }
}

/** What a save brings can't be stored; its cause is what DuckDB says. */
class RowsRefused extends Error {
  override name = "RowsRefused";
}

/**
 * @throws RowsRefused the rows that are being written are at fault. Other errors are the server's
 *   state, whatever the rows.
 */
async function refusingRows<T>(write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    throw isRefusal(error) ? new RowsRefused("rows refused", { cause: error }) : error;
  }
}

/** What follows a save that failed for another reason than its rows is not tried. */
async function eachUntilFailure<S, O>(
  saves: S[],
  commit: (save: S) => Promise<O>,
  failed: (save: S, reason: string) => O,
): Promise<O[]> {
  const outcomes: O[] = [];
  for (const save of saves) {
    try {
      outcomes.push(await commit(save));
    } catch (error) {
      if (outcomes.length === 0) throw error;
      for (const left of saves.slice(outcomes.length)) outcomes.push(failed(left, messageOf(error)));
      break;
    }
  }
  return outcomes;
}
