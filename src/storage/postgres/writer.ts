/**
 * A worker's saves: a batch is one transaction with a constant number of statements, of new ticks
 * three round trips. What PostgreSQL does to it from outside, a restart or another writer in the
 * way, is answered by doing it again: a save can be repeated without harm.
 */
import { isStorable } from "../../market/storable-text.ts";
import { nowText } from "../../market/timestamp.ts";
import { STATUS } from "../../protocol/codes.ts";
import { hasStatus, RequestError, unavailable } from "../../protocol/errors.ts";
import { messageOf } from "../../protocol/message-of.ts";
import { withoutRows, withRows } from "../column-saves.ts";
import {
  type ColumnSave,
  type Edit,
  type EditOutcome,
  hasChanged,
  type Save,
  type SaveOutcome,
  type SaveRefusal,
  type SaveRows,
  type SaveTicks,
  type StockWriter,
  StorageBusyError,
  type Stored,
} from "../contract.ts";
import {
  editedBefore,
  editedOutcome,
  editedTickers,
  foundOutcome,
  identifiedEntryOf,
  logEntriesOf,
  loggedOutcomes,
} from "../edits.ts";
import { KIND_NAMES, TABLE_NAMES } from "../model/kinds.ts";
import { checkRemovals } from "../removal.ts";
import { takeOutRepeated } from "../repeated-saves.ts";
import {
  commitWithout,
  GroupRefusedError,
  groupOf,
  refusedTogether,
  requireWholeGroups,
} from "../save-groups.ts";
import { editRefused, rowRefused, tablesUnusable } from "../save-refusals.ts";
import { ColumnRows } from "./column-rows.ts";
import type { PostgresConnection } from "./connection.ts";
import { notWidened, tooNarrow, wholeNumberColumns, widenCounts } from "./counts.ts";
import { applyEdit } from "./edits.ts";
import {
  failureOf,
  isLockHeld,
  isServerState,
  isWorthRepeating,
  requestErrorOf,
  UNUSABLE,
} from "./errors.ts";
import { changeNotes } from "./notes.ts";
import type { PostgresPool } from "./pool.ts";
import { runRead } from "./read.ts";
import { saveRows } from "./row-store.ts";
import { asInstant } from "./sql-text.ts";
import { NotNewError, RowIgnoredError, saveTicks } from "./tick-store.ts";
import { describeHolder, HOLDERS_SQL, type LockHolder, lockSql } from "./ticker-locks.ts";
import { findRepeated, isThere, logUpdates, type Witness } from "./update-log.ts";

/** Times that a batch is begun when connections break under it. */
const CONNECTIONS_TRIED = 2;
/**
 * Times that it is begun when other transactions, of programs that know no locks of ours, are in
 * the way.
 */
const CONFLICT_TRIES = 5;
const CONFLICT_PAUSE_MS = 20;
/** How long to look for what became of a commit whose answer was lost, and how often. */
const DOUBT_MAX_MS = 10_000;
const DOUBT_RETRY_MS = 100;
/**
 * For one lock of a ticker or a table. Savers hold theirs for milliseconds; what is held for longer
 * is probably a session that has forgotten it.
 */
const LOCK_WAIT_MS = 5_000;

/** What would only be checked at the commit. */
export const CHECK_NOW_SQL = "SET CONSTRAINTS ALL IMMEDIATE";

export interface WriterCapabilities {
  /**
   * Without them, two writers of one ticker are kept apart by the database, which undoes one of
   * them.
   */
  advisoryLocks: boolean;
  /** Whether there are rules that are checked only at the commit. */
  deferrable: boolean;
  /** Whether settings must go into each transaction. */
  pooled: boolean;
  statementTimeoutMs: number;
  /** Null: as the connection has it. */
  synchronousCommit: "on" | "off" | null;
  /** Whether the wait for a lock can have a bound of its own. */
  lockTimeout: boolean;
  /** `table.column` of counts that can't hold fractions; widened where they have to. */
  wholeNumbers: Set<string>;
}

export class PostgresWriter implements StockWriter {
  readonly #pool: PostgresPool;
  readonly #capabilities: WriterCapabilities;
  readonly #beginSql: string;
  readonly #onBlocked: (reason: string) => void;
  /** The last batch of ticks had some that were stored already; the next probably has too. */
  #ticksRepeat = false;

  /** @param onBlocked called with what holds a lock that a save has waited for in vain. */
  constructor(
    pool: PostgresPool,
    capabilities: WriterCapabilities,
    onBlocked: (reason: string) => void = () => {},
  ) {
    this.#pool = pool;
    this.#capabilities = capabilities;
    this.#onBlocked = onBlocked;
    const { advisoryLocks, pooled, statementTimeoutMs, synchronousCommit, lockTimeout } = capabilities;
    this.#beginSql = [
      // Not READ WRITE: a database that was made read-only is.
      `BEGIN ISOLATION LEVEL ${advisoryLocks ? "READ COMMITTED" : "SERIALIZABLE"}`,
      ...(pooled ? [`SET LOCAL statement_timeout = ${statementTimeoutMs}`] : []),
      ...(lockTimeout ? [`SET LOCAL lock_timeout = ${LOCK_WAIT_MS}`] : []),
      ...(synchronousCommit === null ? [] : [`SET LOCAL synchronous_commit = ${synchronousCommit}`]),
    ].join("; ");
  }

  /**
   * May be called while another commit is under way; of saves of one ticker, which of the two is
   * first is then open.
   *
   * @throws RequestError 503 the database is away, or nobody knows what became of the batch.
   * @throws StorageBusyError other programs were in the way each time.
   */
  async commit(batch: Save[]): Promise<(SaveOutcome | null)[]> {
    const { saves, outcomesOfAll } = takeOutRepeated(batch);
    const outcomes = await this.#refuseUnstorable(saves);
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome === null) continue;
      const { start, end } = groupOf(saves, index);
      outcomes.splice(start, end - start, ...refusedTogether(outcomes.slice(start, end)));
    }
    const storable = saves.map((_, index) => index).filter((index) => outcomes[index] === null);
    const stored =
      storable.length === 0 ? [] : await this.#commitGroups(storable.map((index) => saves[index]!));
    for (const [i, index] of storable.entries()) outcomes[index] = stored[i]!;
    return outcomesOfAll(outcomes);
  }

  async #commitGroups(saves: Save[]): Promise<(SaveOutcome | null)[]> {
    try {
      return await this.#commit(saves);
    } catch (error) {
      if (!(error instanceof GroupRefusedError)) throw error;
      return commitWithout(saves, error, (before) => this.#commitGroups(before));
    }
  }

  /** Without an object for each row where that is plain; see ColumnRows. */
  async commitColumns(save: ColumnSave): Promise<SaveOutcome> {
    const isPlain = isStorable(save.ticker) && isStorable(save.part ?? "");
    const columns = isPlain ? ColumnRows.of(save) : null;
    if (columns !== null && this.#capabilities.wholeNumbers.size === 0) {
      try {
        return (await this.#commit([withoutRows(save)], columns))[0]!;
      } catch (error) {
        if (!(error instanceof NotNewError || isRefusal(error))) throw error;
      }
    }
    return (await this.commit([withRows(save)]))[0]!;
  }

  /** Its tickers are locked meanwhile, as those of saves. */
  async edit(edit: Edit): Promise<EditOutcome> {
    const names = [...editedTickers(edit), ...(edit.what === "removal" ? [edit.part ?? ""] : [])];
    if (!names.every(isStorable)) return unstorable(edit.ticker);
    try {
      const { outcome } = await this.#untilDone<AppliedEdit>(editedTickers(edit), {
        what: "edit",
        apply: (connection) => this.#applyEdit(connection, edit),
        isMet(error) {
          if (isRefusal(error) && !isKeyRace(error)) throw error;
          return false;
        },
      });
      return outcome;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      if (!isServerState(error)) return editRefused(edit.ticker, error.message);
      this.#pool.noteFailure(error);
      return tablesUnusable(UNUSABLE, `${error.message} (${failureOf(error)!.code})`);
    }
  }

  /** @param columns the rows of the one save: NotNewError and refusals are thrown then. */
  async #commit(saves: Save[], columns: ColumnRows | null = null): Promise<SaveOutcome[]> {
    const manner: Manner = { oneByOne: false, areNew: !this.#ticksRepeat, columns };
    const { outcomes } = await this.#untilDone<Applied>(
      saves.map(({ ticker }) => ticker),
      {
        what: "save",
        apply: (connection) => this.#applyIn(connection, saves, manner),
        isMet(error) {
          if (error instanceof GroupRefusedError) throw error;
          if (columns !== null && (error instanceof NotNewError || isRefusal(error))) throw error;
          if (error instanceof NotNewError) manner.areNew = false;
          // One of them breaks a rule that users made with SQL: the others must not suffer.
          else if (isRefusal(error) && !isKeyRace(error) && !manner.oneByOne) manner.oneByOne = true;
          else return false;
          return true;
        },
      },
    );
    return outcomes;
  }

  /**
   * @param work `isMet`: the error is met by what the next attempt does otherwise; it may throw it.
   */
  async #untilDone<A extends Written>(tickers: string[], { what, apply, isMet }: Work<A>): Promise<A> {
    let lost = 0;
    let conflicts = 0;
    let doubt: CommitDoubt<A> | null = null;
    let doubtEndsMs = 0;
    for (;;) {
      try {
        return await this.#transaction(tickers, apply, doubt);
      } catch (error) {
        const failure = failureOf(error);
        if (error instanceof CommitDoubt) {
          doubt = error;
          doubtEndsMs = performance.now() + DOUBT_MAX_MS;
        } else if (isMet(error)) {
          // Another attempt follows.
        } else if (isKeyRace(error) || failure?.kind === "conflict") {
          if (++conflicts >= CONFLICT_TRIES) throw new StorageBusyError(String(error), { cause: error });
          await Bun.sleep(CONFLICT_PAUSE_MS * conflicts * (1 + Math.random()));
        } else if (doubt !== null && isAway(error)) {
          if (performance.now() > doubtEndsMs) throw unknownOutcome(error, what);
          await Bun.sleep(DOUBT_RETRY_MS);
        } else if (isLockHeld(error)) {
          throw await this.#blocked(what);
        } else if (!isWorthRepeating(error) || ++lost >= CONNECTIONS_TRIED) {
          this.#pool.noteFailure(error);
          throw requestErrorOf(error, what);
        }
      }
    }
  }

  async #blocked(what: string): Promise<RequestError> {
    const reason = `another session holds a lock on it for longer than ${LOCK_WAIT_MS / 1_000} s`;
    const holders = await this.#lockHolders();
    this.#onBlocked(`${reason}: ${holders}`);
    return unavailable(`${what}: ${reason}`, holders);
  }

  /** As far as the database tells; they may be gone meanwhile. */
  async #lockHolders(): Promise<string> {
    try {
      const rows = await runRead<LockHolder>(this.#pool, HOLDERS_SQL);
      return rows.length === 0 ? "it is not to be seen any more" : rows.map(describeHolder).join("; ");
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** @throws RequestError 503 */
  async removeCheck(ticker: string): Promise<void> {
    const lease = await this.#pool.acquire("short");
    const { connection } = lease;
    try {
      await this.#begin(connection, [ticker]);
      for (const sql of checkRemovals("$1")) await connection.run(sql, [ticker]);
      await connection.run("COMMIT");
    } catch (error) {
      if (!connection.lost) await rollBack(connection);
      throw requestErrorOf(error, "remove_check");
    } finally {
      lease.release();
    }
  }

  /** Every other worker and server may have, at any time. */
  changedByOthers(): boolean {
    return true;
  }

  async isEmpty(): Promise<boolean> {
    const lease = await this.#pool.acquire("shared");
    try {
      const [row] = await lease.connection.run<{ empty: boolean }>(
        `SELECT NOT (${TABLE_NAMES.map((table) => `EXISTS (SELECT 1 FROM ${table})`).join(" OR ")}) AS empty`,
      );
      return row?.empty === true;
    } catch (error) {
      throw requestErrorOf(error, "read");
    } finally {
      lease.release();
    }
  }

  /** The pool is closed by whoever opened it. */
  close(): void {}

  /** @returns an outcome for each that PostgreSQL can't store, whatever else is stored. */
  async #refuseUnstorable(saves: Save[]): Promise<(SaveOutcome | null)[]> {
    const { wholeNumbers } = this.#capabilities;
    const narrow = new Set(
      saves.map((save) => tooNarrow(save, wholeNumbers)).filter((table) => table !== null),
    );
    let failed: unknown = null;
    if (narrow.size > 0) failed = await this.#widen(narrow);
    return saves.map((save) => {
      const text = textsOf(save).find((each) => !isStorable(each));
      if (text !== undefined) {
        const refusal = unstorable(text);
        return { ...refusal, error: `save of ${JSON.stringify(save.ticker)}: ${refusal.error}` };
      }
      return tooNarrow(save, wholeNumbers) === null ? null : notWidened(save, failed);
    });
  }

  /** @returns why it could not be done; null: it is. */
  async #widen(tables: Parameters<typeof widenCounts>[1]): Promise<unknown> {
    const { wholeNumbers } = this.#capabilities;
    try {
      const lease = await this.#pool.acquire("short");
      let done = false;
      try {
        await widenCounts(lease.connection, tables);
        const left = await wholeNumberColumns(lease.connection);
        for (const column of wholeNumbers) if (!left.has(column)) wholeNumbers.delete(column);
        done = true;
        return null;
      } finally {
        lease.release(!done);
      }
    } catch (error) {
      if (failureOf(error) === null && !(error instanceof RequestError)) throw error;
      return error;
    }
  }

  /**
   * @param doubt of an earlier attempt: once its locks are free, what it has written is there or
   *   never will be.
   * @throws CommitDoubt the commit was sent, and its answer lost.
   * @throws NotNewError ticks were taken to be new, and are not.
   */
  async #transaction<A extends Written>(
    tickers: string[],
    apply: Work<A>["apply"],
    doubt: CommitDoubt<A> | null,
  ): Promise<A> {
    const lease = await this.#pool.acquire("short");
    const { connection } = lease;
    let applied: A | null = null;
    try {
      await this.#begin(connection, tickers);
      if (doubt !== null && (await isThere(connection, doubt.witness))) ({ applied } = doubt);
      else applied = await apply(connection);
      await connection.run("COMMIT");
      return applied;
    } catch (error) {
      if (!connection.lost) await rollBack(connection);
      if (applied === null || failureOf(error)?.kind !== "lost") throw error;
      // What has written nothing is as good without its commit.
      if (applied.witness === null) return applied;
      throw new CommitDoubt(applied, applied.witness, { cause: error });
    } finally {
      lease.release();
    }
  }

  async #begin(connection: PostgresConnection, ofSaves: Iterable<string>): Promise<void> {
    const tickers = new Set(ofSaves);
    // One text, one round trip. What the statements after the locks see was committed before the
    // locks were had.
    await connection.run(
      this.#capabilities.advisoryLocks ? `${this.#beginSql}; ${lockSql(tickers)}` : this.#beginSql,
    );
  }

  async #applyIn(connection: PostgresConnection, saves: Save[], manner: Manner): Promise<Applied> {
    if (manner.columns !== null) return this.#applyColumns(connection, saves[0]!, manner.columns);
    const applied = await (manner.oneByOne
      ? this.#applyEach(connection, saves, manner)
      : this.#apply(connection, saves, manner));
    requireWholeGroups(saves, applied.outcomes);
    return applied;
  }

  async #applyEdit(connection: PostgresConnection, edit: Edit): Promise<AppliedEdit> {
    const identified = identifiedEntryOf(edit);
    const known = await findRepeated(connection, identified === null ? [] : [identified]);
    if (known.size > 0) return { outcome: editedBefore(known.get(0)!), witness: null };
    const [moved = null] = await changeNotes(connection, edit.note === undefined ? [] : [edit.note]);
    const applied = moved ?? (await applyEdit(connection, edit));
    if ("ok" in applied || applied.rows === 0 || edit.dryRun)
      return { outcome: foundOutcome(applied), witness: null };
    const { rows } = applied;
    const entries = logEntriesOf(edit, rows);
    if (entries.length === 0) return { outcome: editedOutcome(entries, rows, []), witness: null };
    const outcomes = loggedOutcomes(entries, rows);
    const { seqs, witness } = await logUpdates(
      connection,
      entries.map((save, index) => ({ save, outcome: outcomes[index]! })),
    );
    if (this.#capabilities.deferrable) await connection.run(CHECK_NOW_SQL);
    return { outcome: editedOutcome(entries, rows, seqs), witness };
  }

  /** All saves together, kind by kind: nothing that one kind stores depends on another. */
  async #apply(connection: PostgresConnection, saves: Save[], { areNew }: Manner): Promise<Applied> {
    const repeated = await findRepeated(connection, saves);
    const outcomes = saves.map((_, index): SaveOutcome | null => repeated.get(index) ?? null);
    const writtenAt = asInstant(nowText());
    const noted = saves.flatMap((save, index) =>
      outcomes[index] !== null || save.kind === "ticks" || save.note === undefined
        ? []
        : [{ note: save.note, index }],
    );
    const refusals = await changeNotes(
      connection,
      noted.map(({ note }) => note),
    );
    for (const [i, { index }] of noted.entries()) outcomes[index] = refusals[i] ?? null;
    const entries = saves
      .map((save, index) => ({ save, index }))
      .filter(({ index }) => outcomes[index] === null);
    for (const kind of KIND_NAMES) {
      if (kind === "ticks") continue;
      const ofKind = entries.filter(({ save }) => save.kind === kind);
      if (ofKind.length === 0) continue;
      const rows = ofKind.map(({ save }) => save) as SaveRows[];
      const stored = await saveRows(connection, kind, rows, writtenAt);
      for (const [i, { index }] of ofKind.entries()) outcomes[index] = stored[i]!;
    }
    const ticks = entries.filter(({ save }) => save.kind === "ticks");
    const saved =
      ticks.length === 0
        ? null
        : await saveTicks(connection, ticks.map(({ save }) => save) as SaveTicks[], { writtenAt, areNew });
    for (const [i, { index }] of ticks.entries()) outcomes[index] = saved!.outcomes[i]!;

    const changing = entries.flatMap(({ save, index }) => {
      const outcome = outcomes[index]!;
      return hasChanged(outcome) ? [{ save, outcome }] : [];
    });
    // Sent together with the ticks: one round trip.
    const [logged] = await Promise.all([
      changing.length === 0 ? null : logUpdates(connection, changing),
      saved?.written,
    ]);
    if (saved !== null && !areNew) this.#ticksRepeat = saved.metStored;
    for (const [i, { outcome }] of changing.entries()) outcome.position = logged!.seqs[i]!;
    return { outcomes: outcomes as SaveOutcome[], witness: logged?.witness ?? null };
  }

  /** @throws NotNewError a stamp is stored already. */
  async #applyColumns(connection: PostgresConnection, save: Save, columns: ColumnRows): Promise<Applied> {
    const repeated = (await findRepeated(connection, [save])).get(0);
    if (repeated !== undefined) return { outcomes: [repeated], witness: null };
    await columns.write(connection, asInstant(nowText()));
    const outcome: Stored = { ok: true, stored: columns.rows, position: null };
    const { seqs, witness } = await logUpdates(connection, [{ save, outcome }]);
    return { outcomes: [{ ...outcome, position: seqs[0]! }], witness };
  }

  async #applyEach(connection: PostgresConnection, saves: Save[], manner: Manner): Promise<Applied> {
    const outcomes: SaveOutcome[] = [];
    let witness: Witness | null = null;
    for (const save of saves) {
      await connection.run("SAVEPOINT one_save");
      try {
        const applied = await this.#apply(connection, [save], manner);
        outcomes.push(...applied.outcomes);
        witness = applied.witness ?? witness;
        if (this.#capabilities.deferrable) await connection.run(CHECK_NOW_SQL);
      } catch (error) {
        if (!isRefusal(error) || isKeyRace(error)) throw error;
        await connection.run("ROLLBACK TO SAVEPOINT one_save");
        if (isServerState(error)) {
          this.#pool.noteFailure(error);
          outcomes.push(tablesUnusable(UNUSABLE, `${error.message} (${failureOf(error)!.code})`));
        } else outcomes.push(rowRefused(save, error.message));
      }
      await connection.run("RELEASE SAVEPOINT one_save");
    }
    return { outcomes, witness };
  }
}

/** Its names, and the ids of its ticks. Saves as columns have no rows here. */
function textsOf(save: Save): string[] {
  const ofRows =
    save.kind === "ticks"
      ? save.rows.flatMap(([, , , , , id]) => (id === null ? [] : [id]))
      : (save.parts ?? []);
  return [save.ticker, save.part ?? "", ...ofRows];
}

interface Manner {
  oneByOne: boolean;
  /** Ticks are taken to be new. */
  areNew: boolean;
  /** The rows of the one save. */
  columns: ColumnRows | null;
}

interface Written {
  /** Null: nothing was written. */
  witness: Witness | null;
}

interface Applied extends Written {
  outcomes: SaveOutcome[];
}

interface AppliedEdit extends Written {
  outcome: EditOutcome;
}

interface Work<A extends Written> {
  /** Begins error messages. */
  what: "save" | "edit";
  apply(connection: PostgresConnection): Promise<A>;
  isMet(error: unknown): boolean;
}

/** The connection broke between a COMMIT and its answer. */
class CommitDoubt<A extends Written> extends Error {
  override name = "CommitDoubt";
  readonly applied: A;
  readonly witness: Witness;

  constructor(applied: A, witness: Witness, options: ErrorOptions) {
    super("whether it was committed is not known", options);
    this.applied = applied;
    this.witness = witness;
  }
}

function unstorable(text: string): SaveRefusal {
  return {
    ok: false,
    status: STATUS.badRequest,
    error: `PostgreSQL can't store a text with a NUL character or half of a surrogate pair: ${JSON.stringify(text)}`,
  };
}

function unknownOutcome(cause: unknown, what: string): RequestError {
  return unavailable(
    `${what}: the connection was lost during the commit, and whether it was stored is not known; the same ${what} can be sent again`,
    messageOf(cause),
  );
}

function isAway(error: unknown): boolean {
  const kind = failureOf(error)?.kind;
  return kind === "lost" || kind === "away" || hasStatus(error, STATUS.unavailable);
}

/**
 * One save's rows or its table are at fault, and those beside it may be stored; not the disk, a
 * lock, or memory, which each would meet.
 */
function isRefusal(error: unknown): error is Error {
  return error instanceof RowIgnoredError || failureOf(error)?.kind === "refused";
}

/** Another program has stored a row of that key since it was looked for. */
function isKeyRace(error: unknown): boolean {
  if (failureOf(error)?.code !== "23505") return false;
  const { constraint, message } = error as Error & { constraint?: string };
  // A part of a hypertable has the key with numbers in front of its name, and once compressed names
  // it in the message only.
  return (constraint ?? message).includes("realtime_data_pkey");
}

async function rollBack(connection: PostgresConnection): Promise<void> {
  try {
    await connection.run("ROLLBACK");
  } catch (error) {
    // Then the transaction ends with its connection.
    if (failureOf(error) === null) throw error;
    await connection.close();
  }
}
