/**
 * Runs users' SQL in the process of saves and reads, each statement on its own connection. At the
 * time limit the client gets its answer whether or not the statement has ended. If a user's
 * transaction and a save need the same rows, the save wins. See DESIGN.md.
 */
import {
  type DuckDBMaterializedResult,
  type DuckDBPreparedStatement,
  ResultReturnType,
  StatementType,
} from "@duckdb/node-api";
import { STATUS } from "../../protocol/codes.ts";
import { badRequest, hasStatus, RequestError, unavailable } from "../../protocol/errors.ts";
import { within } from "../../time/within.ts";
import { StorageBusyError } from "../contract.ts";
import { AnswerRows, checkCount, refused, refusedWith, tooManyRows } from "../sql-answer.ts";
import type {
  EncodedRows,
  InterruptibleSql,
  SqlParam,
  UserSqlOutcome,
  UserSqlRequest,
} from "../user-sql-contract.ts";
import type { DuckDbFile } from "./duckdb-file.ts";
import { isConflict, isFatal, isFileRefusal, isOutOfMemory, isReadOnlyRefusal, wordsOf } from "./errors.ts";
import { MemoryWatch } from "./memory-watch.ts";
import { RunningStatement } from "./running-statement.ts";
import type { Session } from "./session.ts";
import { Slots, substitutesMax, userStatementsMax } from "./slots.ts";
import { StatementGuard } from "./statement-guard.ts";
import { StuckStatements } from "./stuck-statements.ts";
import { encodeRows } from "./user-sql-rows.ts";
import { prepareStatement, type UserStatement } from "./user-sql-statement.ts";

const STATEMENTS_WAITING_MAX = 100;
/** Tries of a statement that conflicts with other transactions. */
const ATTEMPTS_MAX = 3;
/** A save waits this long for a user's rollback; then the process ends, if it may. */
const ROLLBACK_WAIT_MS = 2_000;
/** A stopped client waits this long, so that its next statement doesn't meet the rollback. */
const ROLLBACK_GRACE_MS = 100;
const CLOSE_WAIT_MS = 2_000;

export interface DuckDbUserSqlOptions {
  memoryLimitMb: number;
  serverMemoryBytes: number | null;
  /** Ends the process; null: the process has other work. */
  endProcess: ((reason: string) => void) | null;
}

/** With RETURNING they answer each row that they have changed. */
const RETURNING = new Set([
  StatementType.INSERT,
  StatementType.UPDATE,
  StatementType.DELETE,
  StatementType.MERGE_INTO,
]);

interface Hold {
  statements: "that write" | "all";
  until: Promise<void>;
}

export class DuckDbUserSql implements InterruptibleSql {
  readonly #endProcess: ((reason: string) => void) | null;
  readonly #file: DuckDbFile;
  readonly #slots: Slots;
  readonly #stuck: StuckStatements;
  readonly #memory: MemoryWatch;
  /** Includes stuck ones. */
  readonly #running = new Set<RunningStatement>();
  #closed = false;
  /** New statements wait for these. */
  readonly #holds = new Set<Hold>();

  constructor(file: DuckDbFile, options: DuckDbUserSqlOptions) {
    const endProcess =
      options.endProcess === null
        ? null
        : (reason: string): void => {
            if (!this.#closed) options.endProcess?.(reason); // else it ends anyway
          };
    this.#endProcess = endProcess;
    this.#file = file;
    this.#slots = new Slots({
      what: "execute_sql",
      max: userStatementsMax(file.threads),
      waitingMax: STATEMENTS_WAITING_MAX,
    });
    this.#stuck = new StuckStatements({ slots: this.#slots, substitutesMax: substitutesMax(), endProcess });
    this.#memory = new MemoryWatch({
      memoryLimitMb: options.memoryLimitMb,
      serverMemoryBytes: options.serverMemoryBytes,
      stop: (reason) => this.#stopForMemory(reason),
      endProcess,
    });
    file.stopUserWrites = () => this.#stopWrites();
    file.withoutUserWrites = (work) => this.#without("that write", work);
    file.withoutUserSql = (work) => this.#without("all", work);
  }

  /** Statements that use the database, including stopped ones. */
  get running(): number {
    return this.#running.size;
  }

  async run(
    request: UserSqlRequest,
    { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal | undefined },
  ): Promise<UserSqlOutcome> {
    const askedAt = performance.now();
    const refusal = this.#stuck.refusal();
    if (refusal !== null) throw refusal;
    await this.#slots.take(timeoutMs, signal);
    const waitedMs = performance.now() - askedAt;
    for (let attempt = 1; ; attempt++) {
      const leftMs = Math.max(0, askedAt + timeoutMs - performance.now());
      const running = new RunningStatement({ mode: request.mode, timeoutMs, leftMs, waitedMs, signal });
      let again = false;
      try {
        return await this.#answer(request, running);
      } catch (error) {
        if (!isConflict(error)) return this.#outcomeOf(error);
        if (attempt === ATTEMPTS_MAX) {
          throw unavailable(
            "execute_sql: saves of the same rows went first; nothing changed",
            wordsOf(error).message,
          );
        }
        again = true;
      } finally {
        if (!again) this.#stuck.leave(running);
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const running = [...this.#running];
    for (const statement of running) statement.stop("server stopping");
    await awaitEnd(running, CLOSE_WAIT_MS);
  }

  async #stopWrites(): Promise<void> {
    const writing = this.#writing();
    const inTheWay = writing.length > 0 ? writing : [...this.#running];
    for (const statement of inTheWay) statement.stop("saves first");
    await awaitEnd(inTheWay, ROLLBACK_WAIT_MS);
    if (inTheWay.some(({ hasEnded }) => !hasEnded)) this.#endAsSavesWait();
  }

  /** Workers repeat the saves on the next process. */
  #endAsSavesWait(): void {
    this.#endProcess?.(
      `SQL that was stopped has not ended after ${ROLLBACK_WAIT_MS / 1000} s, and saves wait for it`,
    );
  }

  async #without<T>(statements: Hold["statements"], work: () => Promise<T>): Promise<T> {
    const over = Promise.withResolvers<void>();
    const hold: Hold = { statements, until: over.promise };
    this.#holds.add(hold);
    try {
      const inTheWay = statements === "all" ? [...this.#running] : this.#writing();
      for (const statement of inTheWay) statement.stop("saves first");
      await awaitEnd(inTheWay, ROLLBACK_WAIT_MS);
      if (inTheWay.some((statement) => this.#running.has(statement))) {
        if (statements === "all") this.#endAsSavesWait();
        throw new StorageBusyError("a statement of execute_sql that was stopped has not ended yet");
      }
      return await work();
    } finally {
      this.#holds.delete(hold);
      over.resolve();
    }
  }

  async #whileHeld(running: RunningStatement): Promise<void> {
    const holding = ({ statements }: Hold) => statements === "all" || running.mode === "write";
    for (let hold = [...this.#holds].find(holding); hold !== undefined; hold = [...this.#holds].find(holding))
      await Promise.race([hold.until, running.stopped]);
  }

  #writing(): RunningStatement[] {
    return [...this.#running].filter(({ mode }) => mode === "write");
  }

  /** A statement that was stopped before may hold the memory; then the others are not at fault. */
  #stopForMemory(reason: string): void {
    const running = [...this.#running];
    const why = running.some(({ isStopped }) => isStopped) ? "memory of others" : "memory";
    for (const statement of running) statement.stop(why, reason);
  }

  /** Returns the outcome, or at once the reason of a stop. The statement may end later. */
  async #answer(request: UserSqlRequest, running: RunningStatement): Promise<UserSqlOutcome> {
    const work = this.#work(request, running);
    work.catch(() => null); // a stopped statement may fail unheard
    try {
      return await Promise.race([work, running.stopped]);
    } catch (error) {
      if (running.isStopped) await awaitEnd([running], ROLLBACK_GRACE_MS);
      running.check(); // whatever the error says, the stop was the reason
      throw error;
    }
  }

  async #work(request: UserSqlRequest, running: RunningStatement): Promise<UserSqlOutcome> {
    this.#memory.begin();
    let session: Session | null = null;
    try {
      await this.#whileHeld(running);
      this.#running.add(running);
      if (this.#closed) throw unavailable("execute_sql: the server is stopping");
      session = await this.#connect();
      running.attach(session.connection);
      return request.mode === "read"
        ? await this.#read(session, request, running)
        : await this.#write(session, request, running);
    } finally {
      running.callsDone();
      // A rollback after a commit is an error.
      await session?.connection.run("ROLLBACK").catch(() => null);
      session?.close();
      this.#running.delete(running);
      this.#memory.end();
      running.end();
    }
  }

  /** A missing connection is never the statement's fault. */
  async #connect(): Promise<Session> {
    try {
      return await this.#file.connectForUser();
    } catch (error) {
      if (isFatal(error)) throw error;
      throw unavailable("execute_sql: the database takes no statement now", wordsOf(error).message);
    }
  }

  async #read(session: Session, request: UserSqlRequest, running: RunningStatement): Promise<UserSqlOutcome> {
    try {
      await session.connection.run("BEGIN TRANSACTION READ ONLY");
      const statement = await prepareStatement(session.connection, request.sql);
      checkCount(statement.prepared.parameterCount, request.params.length);
      if (statement.kind === "write") return { status: "needs-write" };
      const { changed: _, ...rows } = await execute(session, statement, request, running);
      return { status: "rows", ...rows };
    } catch (error) {
      if (isReadOnlyRefusal(error)) return { status: "needs-write" };
      throw error;
    }
  }

  async #write(
    session: Session,
    request: UserSqlRequest,
    running: RunningStatement,
  ): Promise<UserSqlOutcome> {
    await session.connection.run("BEGIN TRANSACTION");
    const statement = await prepareStatement(session.connection, request.sql);
    const lack = this.#file.room.lackForStatement({ deletes: statement.type === StatementType.DELETE });
    if (lack !== null) throw unavailable("execute_sql: the database can't be written to", lack);
    checkCount(statement.prepared.parameterCount, request.params.length);
    await this.#file.beginOwnNames(session);
    const guard = await StatementGuard.before(session, {
      sql: request.sql,
      type: statement.type,
      openSession: () => this.#file.connect(),
    });
    await this.#file.endOwnNames(session);
    const rows = await execute(session, statement, request, running);
    await this.#file.beginOwnNames(session);
    await guard.after();
    // A save that waits for the end of this transaction may hold the turn.
    await Promise.race([this.#commitInTurn(session, running), running.stopped]);
    return { status: "rows", ...rows };
  }

  #commitInTurn(session: Session, running: RunningStatement): Promise<void> {
    return this.#file.commits.run(async () => {
      running.beginCommit();
      await session.connection.run("COMMIT");
      this.#file.foreignCommits++;
      this.#file.committed();
      this.#file.checkpointIfLong();
      await this.#file.refreshCountTypes(session);
    });
  }

  #outcomeOf(error: unknown): UserSqlOutcome {
    if (hasStatus(error, STATUS.badRequest)) return refusedWith(error);
    if (error instanceof RequestError) throw error;
    if (isFatal(error)) this.#file.reportFatal(error);
    const { message, rest } = wordsOf(error);
    if (isFileRefusal(error))
      return refusedWith(refused("access to a file", "a request may not use files", message));
    if (isFatal(error) || /^IO Error:/.test((error as Error).message))
      return refusedWith(unavailable("execute_sql: the database failed", message));
    if (isOutOfMemory(error))
      return refusedWith(
        badRequest("execute_sql: stopped, it took more memory than the database may use", message),
      );
    return refusedWith(badRequest(`execute_sql: ${message}`, { details: rest ?? undefined }));
  }
}

async function awaitEnd(statements: RunningStatement[], ms: number): Promise<void> {
  await within(Promise.all(statements.map(({ ended }) => ended)), ms, () => null);
}

async function execute(
  session: Session,
  { prepared, type }: UserStatement,
  { sql, params, maxRows }: UserSqlRequest,
  running: RunningStatement,
): Promise<EncodedRows> {
  running.check();
  const limited = type === StatementType.SELECT ? await prepareLimited(session, sql, maxRows) : null;
  running.check();
  const result = await runWhole(session, limited ?? { prepared, text: sql }, params);
  running.check();
  if (result.rowCount > maxRows) throw tooManyRows(maxRows);
  // Other statements only return how many rows they changed.
  if (result.returnType !== ResultReturnType.QUERY_RESULT)
    return { ...new AnswerRows({ maxRows }).finish(), changed: result.rowsChanged };
  const encoded = await encodeRows(result, {
    names: namesOf(prepared, result),
    maxRows,
    check: () => running.check(),
  });
  return { ...encoded, changed: RETURNING.has(type) ? result.rowCount : undefined };
}

/**
 * The names that the user gave. The limit around a statement renames equal ones; the statement
 * itself has no names before its parameters have types.
 */
function namesOf(prepared: DuckDBPreparedStatement, result: DuckDBMaterializedResult): string[] {
  const given = Array.from({ length: prepared.columnCount }, (_, i) => prepared.columnName(i));
  const hasEqual = new Set(given).size < given.length;
  return hasEqual && given.length === result.columnCount ? given : result.columnNames();
}

/**
 * Wraps the statement in a limit, since DuckDB builds its result whole in memory. Null: it can't
 * stand within another statement, like `SHOW`.
 */
async function prepareLimited(session: Session, sql: string, maxRows: number): Promise<Runnable | null> {
  const text = `FROM (\n${withoutEnd(sql)}\n) LIMIT ${Math.floor(maxRows) + 1}`;
  try {
    return { prepared: await session.connection.prepare(text), text };
  } catch {
    return null; // not the user's mistake: the statement alone has been prepared
  }
}

/** A regular expression would take the square of a long run of blanks. */
function withoutEnd(sql: string): string {
  let end = sql.length;
  while (end > 0 && /[\s;]/.test(sql[end - 1]!)) end--;
  return sql.slice(0, end);
}

interface Runnable {
  prepared: DuckDBPreparedStatement;
  text: string;
}

/**
 * Runs the text if there are no parameters. DuckDB cleans up after a prepared statement on this
 * thread, which took 0.8 s after gigabytes on the disk.
 */
async function runWhole(
  { connection }: Session,
  { prepared, text }: Runnable,
  params: SqlParam[],
): Promise<DuckDBMaterializedResult> {
  if (params.length === 0) return connection.run(text);
  for (const [i, param] of params.entries()) bind(prepared, i + 1, param);
  return prepared.run();
}

function bind(prepared: DuckDBPreparedStatement, index: number, param: SqlParam): void {
  if (param === null) prepared.bindNull(index);
  else if (typeof param === "string") prepared.bindVarchar(index, param);
  else if (typeof param === "boolean") prepared.bindBoolean(index, param);
  else if (typeof param === "bigint") prepared.bindBigInt(index, param);
  else if (Number.isSafeInteger(param)) prepared.bindBigInt(index, BigInt(param));
  else prepared.bindDouble(index, param);
}
