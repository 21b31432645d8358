/**
 * A worker's saves: a batch is one transaction with a constant number of statements. What PostgreSQL does to it from outside,
 * a restart or another writer in the way, is answered by doing it again: a save can be repeated without harm.
 */
import { nowText } from "../../market/timestamp.ts";
import { RequestError, unavailable } from "../../protocol/errors.ts";
import {
  type BarInterval,
  type Save,
  type SaveBars,
  type SaveOutcome,
  type SaveTicks,
  type StockWriter,
  StorageBusyError,
} from "../contract.ts";
import { rowRefused } from "../save-refusals.ts";
import { saveBars } from "./bar-store.ts";
import type { PostgresConnection } from "./connection.ts";
import type { PostgresPool } from "./pool.ts";
import { ConnectionLostError, failureOf, requestErrorOf } from "./postgres-errors.ts";
import { asInstant } from "./sql-text.ts";
import { RowIgnoredError, saveTicks } from "./tick-store.ts";
import { LOCK_SQL, lockParameters } from "./ticker-locks.ts";
import { unstorable } from "./unstorable.ts";

/** Times that a batch is begun when connections break under it. */
const CONNECTIONS_TRIED = 2;
/** Times that it is begun when other transactions, of programs that know no locks of ours, are in the way. */
const CONFLICT_TRIES = 5;
const CONFLICT_PAUSE_MS = 20;
/** How long to look for what became of a commit whose answer was lost, and how often. */
const FATE_WAIT_MS = 10_000;
const FATE_POLL_MS = 100;

export interface WriterCapabilities {
  advisoryLocks: boolean;
  transactionStatus: boolean;
  /** Whether settings must go into each transaction. */
  pooled: boolean;
  statementTimeoutMs: number;
  /** Null: as the connection has it. */
  synchronousCommit: "on" | "off" | null;
  /** `table.column` of counts that can't hold fractions. */
  wholeNumbers: Set<string>;
}

export class PostgresWriter implements StockWriter {
  readonly #pool: PostgresPool;
  readonly #capabilities: WriterCapabilities;
  readonly #beginSql: string;

  constructor(pool: PostgresPool, capabilities: WriterCapabilities) {
    this.#pool = pool;
    this.#capabilities = capabilities;
    const { pooled, statementTimeoutMs, synchronousCommit } = capabilities;
    this.#beginSql = [
      "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
      ...(pooled ? [`SET LOCAL statement_timeout = ${statementTimeoutMs}`] : []),
      ...(synchronousCommit === null ? [] : [`SET LOCAL synchronous_commit = ${synchronousCommit}`]),
    ].join("; ");
  }

  /**
   * May be called while another commit is under way; of saves of one ticker, which of the two is first is then open.
   *
   * @throws RequestError 503 the database is away, or nobody knows what became of the batch.
   * @throws StorageBusyError other programs were in the way each time.
   */
  async commit(saves: Save[]): Promise<SaveOutcome[]> {
    let oneByOne = false;
    let lost = 0;
    let conflicts = 0;
    for (;;) {
      try {
        return await this.#transaction(saves, (connection) =>
          oneByOne ? this.#applyEach(connection, saves) : this.#apply(connection, saves),
        );
      } catch (error) {
        const failure = failureOf(error);
        if (isKeyRace(error) || failure?.kind === "conflict") {
          if (++conflicts >= CONFLICT_TRIES) throw new StorageBusyError(String(error), { cause: error });
          await Bun.sleep(CONFLICT_PAUSE_MS * conflicts * (1 + Math.random()));
        } else if (isRefusal(error) && !oneByOne) {
          // One of them breaks a rule that users made with SQL: the others must not suffer.
          oneByOne = true;
        } else if (failure?.kind !== "lost" || ++lost >= CONNECTIONS_TRIED) {
          throw requestErrorOf(error, "save");
        }
      }
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
        `SELECT NOT (EXISTS (SELECT 1 FROM daily_prices) OR EXISTS (SELECT 1 FROM hourly_prices)
           OR EXISTS (SELECT 1 FROM realtime_data)) AS empty`,
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

  async #transaction<T>(saves: Save[], work: (connection: PostgresConnection) => Promise<T>): Promise<T> {
    const lease = await this.#pool.acquire("short");
    const { connection } = lease;
    let id: string | null = null;
    let done: { result: T } | null = null;
    try {
      id = await this.#begin(connection, saves);
      done = { result: await work(connection) };
      await connection.run("COMMIT");
      return done.result;
    } catch (error) {
      if (!connection.lost) await rollBack(connection);
      if (done === null || failureOf(error)?.kind !== "lost") throw error;
    } finally {
      lease.release();
    }
    // The answer to the COMMIT was lost, and with it the knowledge of what became of it.
    if (await this.#hasCommitted(id)) return done.result;
    throw new ConnectionLostError("the connection was lost before the commit");
  }

  /** @returns the transaction's number, by which it can be found again. */
  async #begin(connection: PostgresConnection, saves: Save[]): Promise<string | null> {
    const { advisoryLocks, transactionStatus } = this.#capabilities;
    const tickers = new Set(saves.map((save) => save.ticker));
    // Sent together: one round trip. What the statements after the locks see was committed before the locks were had.
    const [, , numbers] = await Promise.all([
      connection.run(this.#beginSql),
      advisoryLocks ? connection.run(LOCK_SQL, lockParameters(tickers)) : null,
      transactionStatus ? connection.run<{ id: string }>("SELECT pg_current_xact_id()::text AS id") : null,
    ]);
    return numbers?.[0]?.id ?? null;
  }

  /**
   * @returns false: it has not, or the database can't tell.
   * @throws RequestError 503 no answer to that within FATE_WAIT_MS.
   */
  async #hasCommitted(id: string | null): Promise<boolean> {
    if (id === null) return false;
    const deadline = performance.now() + FATE_WAIT_MS;
    for (;;) {
      const status = await this.#statusOf(id);
      if (status === "committed") return true;
      if (status === "aborted") return false;
      if (performance.now() > deadline) {
        throw unavailable(
          "save: the connection was lost during the commit, and whether it was stored is not known; the same save can be sent again",
        );
      }
      await Bun.sleep(FATE_POLL_MS);
    }
  }

  /** Null while the database is away. */
  async #statusOf(id: string): Promise<string | null> {
    try {
      const lease = await this.#pool.acquire("short");
      try {
        const sql = "SELECT pg_xact_status($1::text::xid8) AS status";
        const [row] = await lease.connection.run<{ status: string | null }>(sql, [id]);
        return row?.status ?? "aborted";
      } finally {
        lease.release();
      }
    } catch (error) {
      const kind = failureOf(error)?.kind;
      if (error instanceof RequestError || (kind !== undefined && kind !== "refused")) return null;
      throw error;
    }
  }

  /** All saves together, kind by kind: nothing that one kind stores depends on another. */
  async #apply(connection: PostgresConnection, saves: Save[]): Promise<SaveOutcome[]> {
    const outcomes = saves.map((save) => unstorable(save, this.#capabilities.wholeNumbers));
    const writtenAt = asInstant(nowText());
    const storable = saves
      .map((save, index) => ({ save, index }))
      .filter(({ index }) => outcomes[index] === null);
    const put = (entries: { index: number }[], found: SaveOutcome[]): void => {
      for (const [i, { index }] of entries.entries()) outcomes[index] = found[i]!;
    };
    const ticks = storable.filter(({ save }) => save.kind === "ticks");
    if (ticks.length > 0)
      put(ticks, await saveTicks(connection, ticks.map(({ save }) => save) as SaveTicks[], writtenAt));
    for (const interval of ["daily", "hourly"] satisfies BarInterval[]) {
      const bars = storable.filter(({ save }) => save.kind === "bars" && save.interval === interval);
      if (bars.length === 0) continue;
      put(bars, await saveBars(connection, interval, bars.map(({ save }) => save) as SaveBars[], writtenAt));
    }
    return outcomes as SaveOutcome[];
  }

  async #applyEach(connection: PostgresConnection, saves: Save[]): Promise<SaveOutcome[]> {
    const outcomes: SaveOutcome[] = [];
    for (const save of saves) {
      await connection.run("SAVEPOINT one_save");
      try {
        outcomes.push(...(await this.#apply(connection, [save])));
        // What would only be checked at the commit.
        await connection.run("SET CONSTRAINTS ALL IMMEDIATE");
      } catch (error) {
        if (!isRefusal(error) || isKeyRace(error)) throw error;
        await connection.run("ROLLBACK TO SAVEPOINT one_save");
        outcomes.push(rowRefused(save, error.message));
      }
      await connection.run("RELEASE SAVEPOINT one_save");
    }
    return outcomes;
  }
}

/** The rows are at fault, by a rule of the database; not the disk, a lock, or memory, which the next save would meet too. */
function isRefusal(error: unknown): error is Error {
  return error instanceof RowIgnoredError || failureOf(error)?.kind === "refused";
}

/** Another program has stored a row of that key since it was looked for. */
function isKeyRace(error: unknown): boolean {
  if (failureOf(error)?.code !== "23505") return false;
  return (error as { constraint?: string }).constraint === "realtime_data_pkey";
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
