/**
 * Runs users' SQL, each statement on its own connection. PostgreSQL stops it at its limit, or when
 * its client leaves. A reading statement runs in a READ ONLY transaction, which is rolled back.
 */
import { MIB } from "../../config/units.ts";
import { STATUS } from "../../protocol/codes.ts";
import { badRequest, hasStatus, RequestError, unavailable } from "../../protocol/errors.ts";
import { unlessAborted } from "../../time/within.ts";
import { AnswerRows, refusedWith } from "../sql-answer.ts";
import { stoppedAsClientLeft, stoppedAtLimit } from "../stopped-sql.ts";
import type {
  EncodedRows,
  InterruptibleSql,
  SqlParam,
  UserSqlOutcome,
  UserSqlRequest,
} from "../user-sql-contract.ts";
import type { PostgresConnection } from "./connection.ts";
import { failureOf, isWorthRepeating, requestErrorOf, unlessRefused } from "./errors.ts";
import type { Lease, PostgresPool } from "./pool.ts";
import { mayHaveEffects } from "./refused-sql.ts";
import type { Replicas } from "./replicas.ts";
import { literal } from "./sql-text.ts";
import { StatementReader } from "./statement-reader.ts";
import { refuseChanges, type TableGuard, type TableState } from "./table-guard.ts";
import { addRows, sizeOf } from "./user-sql-rows.ts";
import type { Statement } from "./user-sql-statement.ts";
import { CHECK_NOW_SQL } from "./writer.ts";

/**
 * A fetch is in memory as a whole. So the first one has one row, and each at most twice as many as
 * the one before, as far as the largest row allows.
 */
const FETCH_BYTES = 4 * MIB;
const FETCH_ROWS_MAX = 512;
const CURSOR = "user_rows";
const DECLARE = `DECLARE ${CURSOR} NO SCROLL CURSOR FOR `;
const READ_ONLY_TRANSACTION = "25006";
const UNUSED_PARAMETER = 0;
/** Locks of the session outlive a transaction. */
const RELEASE_LOCKS = "SELECT pg_advisory_unlock_all()";
/** Deallocates what functions prepared; statements of a pool in between must stay. */
const FORGET_PREPARED = `DO $forget$ DECLARE left_over text; BEGIN
  FOR left_over IN SELECT name FROM pg_catalog.pg_prepared_statements WHERE from_sql LOOP
    EXECUTE pg_catalog.format('DEALLOCATE %I', left_over);
  END LOOP; END $forget$`;
/** Undoes what a pool in between would hand on with the session. */
const LEAVE_NOTHING = `RESET ALL; DISCARD TEMP; ${FORGET_PREPARED}`;
/** Statements that functions prepared outlive a transaction, and may have the server's names. */
const LEFT_SQL = "SELECT 1 AS one FROM pg_catalog.pg_prepared_statements WHERE from_sql LIMIT 1";
/** PostgreSQL's own functions that may have effects. */
const VOLATILE_SQL = `SELECT DISTINCT p.proname::text AS name FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  WHERE n.nspname = 'pg_catalog' AND p.provolatile = 'v'`;
/** A cursor WITH HOLD runs at the commit, after the look at the catalog. */
const NO_CURSORS = "CLOSE ALL";
const ROLLED_BACK = "; rolled back, nothing changed";

interface Limits {
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

export interface UserSqlOptions {
  advisoryLocks: boolean;
  /** The database has checks that run only at the commit. */
  deferrable: boolean;
  schema: string;
  /** Users' names are looked up with this path; the server's sessions have another. */
  searchPath: string;
  /** Null: the database has too little of PostgreSQL's catalog. */
  guard: TableGuard | null;
  /** For what reads. Null: there are none. */
  replicas?: Replicas | null;
}

export class PostgresUserSql implements InterruptibleSql {
  readonly #pool: PostgresPool;
  readonly #options: UserSqlOptions;
  readonly #statements = new StatementReader();
  #volatile: ReadonlySet<string> | null = null;

  constructor(pool: PostgresPool, options: UserSqlOptions) {
    this.#pool = pool;
    this.#options = options;
  }

  async run(request: UserSqlRequest, limits: Limits): Promise<UserSqlOutcome> {
    const deadline = new Deadline(limits, request.mode === "write" ? ROLLED_BACK : "");
    let statement: Statement | null = null;
    try {
      statement = await this.#readStatement(request, deadline);
      if (request.mode === "write") return await this.#write(statement, request, deadline);
      if (needsWrite(statement)) return { status: "needs-write" };
      const read = (lease: Lease) => this.#read(lease, statement!, request, deadline);
      const found = await this.#readOnReplica(read, deadline);
      if (found !== null) return found;
      try {
        return await read(await this.#pool.acquire("sql", deadline.signal));
      } catch (error) {
        // The connection may have died unseen; a read can begin again.
        if (!isWorthRepeating(error) || deadline.signal.aborted) throw error;
        return await read(await this.#pool.acquire("sql", deadline.signal));
      }
    } catch (error) {
      // The deadline is the reason for any such failure.
      if (deadline.signal.aborted && isNoMistake(error)) throw deadline.signal.reason;
      const shift = statement !== null && usesCursor(statement) ? DECLARE.length : 0;
      return outcomeOf(error, shift);
    } finally {
      deadline.clear();
    }
  }

  /** @throws RequestError 400 as `readStatement`; 503 it waited too long to be read. */
  async #readStatement({ sql, params }: UserSqlRequest, { signal, timeoutMs }: Deadline): Promise<Statement> {
    const read = this.#statements.read(sql, params.length, this.#options.schema);
    return await unlessAborted(read, signal, () => {
      throw signal.reason instanceof RequestError && signal.reason.status === STATUS.clientGone
        ? signal.reason
        : unavailable(`execute_sql: did not run: others were being read for ${timeoutMs / 1_000} s`);
    });
  }

  close(): void {
    this.#statements.close();
  }

  /** @returns null: the primary has to be asked, also where a replica refuses the statement. */
  async #readOnReplica(
    read: (lease: Lease) => Promise<UserSqlOutcome>,
    { signal }: Deadline,
  ): Promise<UserSqlOutcome | null> {
    const { replicas = null } = this.#options;
    // Behind a pool in between, sessions have the users' path already; those of replicas don't.
    if (replicas === null || this.#pool.pooled) return null;
    const found = await replicas.read("sql", signal, read);
    return found?.status === "rows" ? found : null;
  }

  async #read(
    lease: Lease,
    statement: Statement,
    request: UserSqlRequest,
    deadline: Deadline,
  ): Promise<UserSqlOutcome> {
    deadline.begin();
    const { connection } = lease;
    let clean = false;
    try {
      if (mayHaveEffects(statement.functions, await this.#volatileNames(connection))) {
        clean = true;
        return { status: "needs-write" };
      }
      await connection.run(this.#beginSql(" READ ONLY", deadline), [], deadline.options());
      const outcome = await readOnly(connection, statement, request, deadline);
      clean = await this.#rollBack(connection, outcome.status === "rows");
      return outcome;
    } catch (error) {
      // A late cancellation could hit the connection's next statement.
      if (!deadline.signal.aborted && !connection.lost) {
        clean = await this.#rollBack(connection, false);
      }
      throw error;
    } finally {
      lease.release(!clean);
    }
  }

  /**
   * Even a read may have changed settings of the session, or taken locks. It is cleaned within the
   * transaction, since a pool in between may pass the session on at its end.
   * @returns whether the session may be used again.
   */
  async #rollBack(connection: PostgresConnection, isSound: boolean): Promise<boolean> {
    const cleaning = this.#pool.pooled ? [RELEASE_LOCKS, FORGET_PREPARED] : [RELEASE_LOCKS];
    const statements = isSound ? [...cleaning, "ROLLBACK"] : ["ROLLBACK", ...cleaning];
    const ended = connection.run(this.#inOneText(...statements));
    // One round trip for all.
    const [, left] = await Promise.all([
      ended,
      this.#pool.pooled ? [] : unlessRefused<unknown[]>(connection.run(LEFT_SQL), []),
    ]);
    return left.length === 0;
  }

  async #volatileNames(connection: PostgresConnection): Promise<ReadonlySet<string>> {
    if (this.#volatile === null) {
      const asked = connection.run<{ name: string }>(VOLATILE_SQL);
      const rows = await unlessRefused<{ name: string }[]>(asked, []);
      this.#volatile = new Set(rows.map(({ name }) => name));
    }
    return this.#volatile;
  }

  /** @param access empty: the database's default, maybe read-only. */
  #beginSql(access: "" | " READ ONLY", deadline: Deadline): string {
    return `BEGIN${access}; SET LOCAL statement_timeout = ${limitOf(deadline)}${this.#searchPathSql(true)}`;
  }

  /** Behind a pool in between, the search path is the users' already. */
  #searchPathSql(local: boolean): string {
    if (this.#pool.pooled) return "";
    return `; SELECT pg_catalog.set_config('search_path', ${literal(this.#options.searchPath)}, ${local})`;
  }

  /** A pool in between gives one message to one session. */
  #inOneText(...statements: string[]): string {
    return statements
      .filter((statement) => this.#options.advisoryLocks || statement !== RELEASE_LOCKS)
      .join("; ");
  }

  /** @throws RequestError 400 the transaction must not be committed. */
  async #guarded<T>(
    connection: PostgresConnection,
    deadline: Deadline,
    { before, run }: { before: TableState | null; run: () => Promise<T> },
  ): Promise<T> {
    const { guard, deferrable } = this.#options;
    const done = await run();
    deadline.check();
    // Deferred checks run first: no code of the user may run between the look and the commit.
    const ending = deferrable ? [CHECK_NOW_SQL] : [];
    if (before !== null) ending.push(NO_CURSORS);
    ending.push("RESET ROLE");
    if (this.#pool.pooled) ending.push(LEAVE_NOTHING, RELEASE_LOCKS);
    await connection.run(this.#inOneText(...ending) + this.#searchPathSql(true), [], deadline.options());
    if (before !== null) refuseChanges(before, await guard!.look(connection, deadline.options()));
    return done;
  }

  /** A rollback doesn't undo setval. */
  async #restoreNumber(before: TableState): Promise<void> {
    try {
      const lease = await this.#pool.acquire("short");
      try {
        await this.#options.guard?.restoreNumber(lease.connection, before);
      } finally {
        lease.release();
      }
    } catch (error) {
      // If the database is away, or the role has no right to it, nothing was set either.
      if (failureOf(error) === null && !(error instanceof RequestError)) throw error;
    }
  }

  /**
   * Prepares a session without a transaction. VACUUM and REINDEX run functions of users' indexes; a
   * read-only session keeps those from writing.
   * @throws RequestError 400 a pool in between has no such session.
   */
  async #prepareOutside(
    connection: PostgresConnection,
    { kind }: Statement,
    deadline: Deadline,
  ): Promise<void> {
    if (this.#pool.pooled && kind === "concurrent") return;
    if (this.#pool.pooled)
      throw badRequest(
        "execute_sql: VACUUM, REINDEX and CLUSTER need a session of their own, and there is a pool in between; send it to the database",
      );
    const readOnly = kind === "maintenance" ? "; SET default_transaction_read_only = on" : "";
    await connection.run(
      `SET statement_timeout = ${limitOf(deadline)}${readOnly}${this.#searchPathSql(false)}`,
    );
  }

  /** `release` closes the connection, which ends settings and locks of the session. */
  async #write(statement: Statement, request: UserSqlRequest, deadline: Deadline): Promise<UserSqlOutcome> {
    const lease = await this.#pool.acquire("sql", deadline.signal);
    deadline.begin();
    let committing = false;
    let before: TableState | null = null;
    let done = false;
    try {
      const connection = await lease.renew();
      if (statement.kind === "maintenance" || statement.kind === "concurrent") {
        await this.#prepareOutside(connection, statement, deadline);
        return { status: "rows", ...(await maintain(connection, statement, request, deadline)) };
      }
      await connection.run(this.#beginSql("", deadline), [], deadline.options());
      before = (await this.#options.guard?.look(connection, deadline.options())) ?? null;
      const read = usesCursor(statement) ? readThroughCursor : readAtOnce;
      const rows = await this.#guarded(connection, deadline, {
        before,
        run: () => read(connection, statement, request, deadline),
      });
      committing = true;
      await connection.run("COMMIT");
      done = true;
      return { status: "rows", ...rows };
    } catch (error) {
      if (!committing || failureOf(error)?.kind !== "lost") throw error;
      // No Retry-After: a repetition might do the same thing twice.
      throw unavailable(
        "execute_sql: the connection to the database was lost; outcome unknown: it was committing",
        { retryAfterS: undefined },
      );
    } finally {
      lease.release(true);
      if (before !== null && !done) await this.#restoreNumber(before);
    }
  }
}

class Deadline {
  readonly timeoutMs: number;
  readonly #controller = new AbortController();
  readonly #timer: Timer;
  readonly #client: AbortSignal | undefined;
  readonly #onGone: () => void;
  readonly #askedAtMs = performance.now();
  #begunAtMs: number | null = null;

  /** @param effect ends the message: what the statement has done. */
  constructor({ timeoutMs, signal }: Limits, effect: string) {
    this.timeoutMs = timeoutMs;
    this.#client = signal;
    this.#timer = setTimeout(() => {
      const waitedMs = this.#begunAtMs === null ? null : this.#begunAtMs - this.#askedAtMs;
      this.#controller.abort(stoppedAtLimit({ timeoutMs, waitedMs, effect }));
    }, timeoutMs);
    this.#onGone = () => this.#controller.abort(stoppedAsClientLeft(effect));
    if (signal?.aborted) this.#onGone();
    else signal?.addEventListener("abort", this.#onGone);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The statement has its connection; it waited until now. */
  begin(): void {
    this.#begunAtMs ??= performance.now();
  }

  options(): { timeoutMs: number; signal: AbortSignal } {
    return { timeoutMs: this.timeoutMs, signal: this.signal };
  }

  /** @throws RequestError 504 or 499 */
  check(): void {
    this.signal.throwIfAborted();
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#client?.removeEventListener("abort", this.#onGone);
  }
}

/** PostgreSQL's own limit, in case the worker dies. */
function limitOf({ timeoutMs }: Deadline): number {
  return Math.ceil(timeoutMs) + 1_000;
}

async function readOnly(
  connection: PostgresConnection,
  statement: Statement,
  request: UserSqlRequest,
  deadline: Deadline,
): Promise<UserSqlOutcome> {
  try {
    const read = usesCursor(statement) ? readThroughCursor : readAtOnce;
    return { status: "rows", ...(await read(connection, statement, request, deadline)) };
  } catch (error) {
    if (failureOf(error)?.code === READ_ONLY_TRANSACTION) return { status: "needs-write" };
    throw error;
  }
}

/** @throws RequestError 400 a user's function wanted to write. */
async function maintain(...query: Parameters<typeof readAtOnce>): ReturnType<typeof readAtOnce> {
  try {
    return await readAtOnce(...query);
  } catch (error) {
    if (query[1].kind !== "maintenance" || failureOf(error)?.code !== READ_ONLY_TRANSACTION) throw error;
    throw badRequest("execute_sql: a function that the statement runs, such as of an index, may not write");
  }
}

function needsWrite({ kind, writes }: Statement): boolean {
  return writes || (kind !== "query" && kind !== "report");
}

function usesCursor({ kind, writes }: Statement): boolean {
  return kind === "query" && !writes;
}

async function readThroughCursor(
  connection: PostgresConnection,
  statement: Statement,
  { params, maxRows }: UserSqlRequest,
  deadline: Deadline,
): Promise<EncodedRows> {
  deadline.check();
  await connection.run(DECLARE + statement.text, bindings(params), deadline.options());
  const out = new AnswerRows({ maxRows });
  let largest = 1;
  for (let count = 1; ; ) {
    deadline.check();
    const wanted = Math.min(count, maxRows - out.rows + 1);
    const fetched = await connection.runRaw(
      `FETCH ${wanted} FROM ${CURSOR}`,
      [],
      "simple",
      deadline.options(),
    );
    addRows(out, fetched, fetched.columns ?? []);
    if (fetched.length < wanted) return out.finish();
    largest = fetched.reduce((size, cells) => Math.max(size, sizeOf(cells)), largest);
    count = Math.max(1, Math.min(FETCH_ROWS_MAX, count * 2, Math.floor(FETCH_BYTES / largest)));
  }
}

async function readAtOnce(
  connection: PostgresConnection,
  { text, kind }: Statement,
  { params, maxRows }: UserSqlRequest,
  deadline: Deadline,
): Promise<EncodedRows> {
  deadline.check();
  const fetched = await connection.runRaw(text, bindings(params), "extended", deadline.options());
  const out = new AnswerRows({ maxRows });
  addRows(out, fetched, fetched.columns ?? []);
  // A query whose CTE writes doesn't tell, nor does a procedure.
  return { ...out.finish(), ...(kind === "write" ? { changed: fetched.affectedRows } : {}) };
}

/** With a parameter, PostgreSQL takes only one statement, so there is always one. */
function bindings(params: SqlParam[]): unknown[] {
  return params.length > 0 ? params : [UNUSED_PARAMETER];
}

/** A mistake in the statement is told even after its time. */
function isNoMistake(error: unknown): boolean {
  const kind = failureOf(error)?.kind;
  return kind !== undefined && kind !== "refused";
}

/**
 * @param shift characters before the user's statement. @throws errors that are no mistakes in it.
 */
function outcomeOf(error: unknown, shift: number): UserSqlOutcome {
  if (hasStatus(error, STATUS.badRequest)) return refusedWith(error);
  const failure = failureOf(error);
  if (failure?.kind !== "refused") throw requestErrorOf(error, "execute_sql");
  const { position, hint, detail } = error as { position?: string; hint?: string; detail?: string };
  const at = position && `at character ${Number(position) - shift} of the statement`;
  const details = [detail, at].filter((part) => part !== undefined).join("; ");
  const parts = { details: details === "" ? undefined : details, hint };
  return refusedWith(badRequest(`execute_sql: ${failure.message}`, parts));
}
