/**
 * SQL written by users, on DuckDB: beside saves and reads in the same process, each statement on a
 * connection of its own that is closed after it. DuckDB shares its threads between queries, and an
 * interrupt ends most of them within milliseconds; the client has its answer at the time limit
 * whether or not the statement has ended (`stuck-statements.ts`). Where a user's transaction and a
 * save want the same rows, the save wins.
 */
import {
  type DuckDBMaterializedResult,
  type DuckDBPreparedStatement,
  ResultReturnType,
  StatementType,
} from "@duckdb/node-api";
import { badRequest, RequestError, unavailable } from "../../protocol/errors.ts";
import { StorageBusyError } from "../contract.ts";
import type { InterruptibleSql, SqlParam, UserSqlOutcome, UserSqlRequest } from "../user-sql-contract.ts";
import {
  isConflict,
  isFatal,
  isFileRefusal,
  isOutOfMemory,
  isReadOnlyRefusal,
  wordsOf,
} from "./duckdb-errors.ts";
import type { DuckDbFile } from "./duckdb-file.ts";
import { MemoryWatch } from "./memory-watch.ts";
import { RunningStatement } from "./running-statement.ts";
import type { Session } from "./session.ts";
import { Slots, substitutesMax, userStatementsMax } from "./slots.ts";
import { StatementGuard } from "./statement-guard.ts";
import { StuckStatements } from "./stuck-statements.ts";
import { type EncodedRows, encodeRows } from "./user-sql-rows.ts";
import { prepareStatement, type UserStatement } from "./user-sql-statement.ts";

/** Statements that may wait for one of the running ones to end. */
const STATEMENTS_WAITING_MAX = 100;
/** Of one answer, which waits in this process until it is sent. */
const ANSWER_BYTES_MAX = 256 * 2 ** 20;
/** Tries of a writing statement that meets another transaction in the same rows. */
const ATTEMPTS_MAX = 3;
/**
 * How long a save waits for the rollback of a transaction that it had stopped; then the process
 * ends, if it may.
 */
const ROLLBACK_WAIT_MS = 2_000;
/**
 * How long the client of a stopped statement waits for the rollback, so that the next statement
 * meets nothing of it.
 */
const ROLLBACK_GRACE_MS = 100;
/** How long the server's end waits for statements that it has stopped. */
const CLOSE_WAIT_MS = 2_000;

/** Of statements that only say how many rows they changed. */
const NO_ROWS: EncodedRows = { rows: 0, bytes: 2, parts: [new TextEncoder().encode("[]")] };

export interface DuckDbUserSqlOptions {
  memoryLimitMb: number;
  /** Of all processes of the server. */
  serverMemoryBytes: number | null;
  /** Ends the process with the reason; null where it has other work to do. */
  endProcess: ((reason: string) => void) | null;
}

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
  /** Stuck ones among them. */
  readonly #running = new Set<RunningStatement>();
  #closed = false;
  /** Statements that begin meanwhile wait for them. */
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

  /** Statements that use the database, stopped ones among them. */
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

  /** Stops what runs, and waits a moment for it to end. */
  async close(): Promise<void> {
    this.#closed = true;
    const running = [...this.#running];
    for (const statement of running) statement.stop("server stopping");
    await within(CLOSE_WAIT_MS, running);
  }

  async #stopWrites(): Promise<void> {
    const writing = this.#writing();
    const inTheWay = writing.length > 0 ? writing : [...this.#running];
    for (const statement of inTheWay) statement.stop("saves first");
    await within(ROLLBACK_WAIT_MS, inTheWay);
    if (inTheWay.some(({ hasEnded }) => !hasEnded)) this.#endAsSavesWait();
  }

  /** The saves are repeated by the workers, when the next process has the file. */
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
      await within(ROLLBACK_WAIT_MS, inTheWay);
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

  /** Where one that was stopped before still holds its memory, the others may be small. */
  #stopForMemory(reason: string): void {
    const running = [...this.#running];
    const why = running.some(({ isStopped }) => isStopped) ? "memory of others" : "memory";
    for (const statement of running) statement.stop(why, reason);
  }

  /**
   * The outcome, or why it was stopped as soon as it was; what it then still does goes on without
   * the client.
   */
  async #answer(request: UserSqlRequest, running: RunningStatement): Promise<UserSqlOutcome> {
    const work = this.#work(request, running);
    work.catch(() => null); // nobody waits for it once it is stopped
    try {
      return await Promise.race([work, running.stopped]);
    } catch (error) {
      if (running.isStopped) await within(ROLLBACK_GRACE_MS, [running]);
      running.check(); // whatever it says, it was stopped
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
      // After a commit there is nothing to roll back, which is an error.
      await session?.connection.run("ROLLBACK").catch(() => null);
      session?.close();
      this.#running.delete(running);
      this.#memory.end();
      running.end();
    }
  }

  /** Whatever keeps it from connecting, the statement is not at fault. */
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
      checkCount(statement.prepared, request.params);
      if (statement.kind === "write") return { status: "needs-write" };
      return { status: "rows", ...(await execute(session, statement, request, running)) };
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
    checkCount(statement.prepared, request.params);
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
    // A save that waits for this transaction to end must not have to wait for this transaction's
    // turn.
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
    if (error instanceof RequestError) {
      if (error.status !== 400) throw error;
      return { status: "error", httpStatus: error.status, ...error.body() };
    }
    if (isFatal(error)) this.#file.reportFatal(error);
    const { message, rest } = wordsOf(error);
    if (isFileRefusal(error)) {
      const text = "execute_sql: access to a file is not allowed: a request may not use files";
      return { status: "error", httpStatus: 400, error: text, details: message };
    }
    if (isFatal(error) || /^IO Error:/.test((error as Error).message)) {
      return {
        status: "error",
        httpStatus: 503,
        error: "execute_sql: the database failed",
        details: message,
      };
    }
    if (isOutOfMemory(error)) {
      const text = "execute_sql: stopped, it took more memory than the database may use";
      return { status: "error", httpStatus: 400, error: text, details: message };
    }
    return {
      status: "error",
      httpStatus: 400,
      error: `execute_sql: ${message}`,
      ...(rest === null ? {} : { details: rest }),
    };
  }
}

/** Resolves when all have ended, or the time is over. */
async function within(ms: number, statements: RunningStatement[]): Promise<void> {
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(over.resolve, ms);
  await Promise.race([Promise.all(statements.map(({ ended }) => ended)), over.promise]);
  clearTimeout(timer);
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
  if (result.returnType !== ResultReturnType.QUERY_RESULT) return NO_ROWS;
  return encodeRows(result, {
    names: namesOf(prepared, result),
    maxBytes: ANSWER_BYTES_MAX,
    check: () => running.check(),
  });
}

/**
 * As the user gave them. The limit around a statement changes equal names; the statement itself
 * tells none before its parameters have types.
 */
function namesOf(prepared: DuckDBPreparedStatement, result: DuckDBMaterializedResult): string[] {
  const given = Array.from({ length: prepared.columnCount }, (_, i) => prepared.columnName(i));
  const hasEqual = new Set(given).size < given.length;
  return hasEqual && given.length === result.columnCount ? given : result.columnNames();
}

/**
 * The statement with a limit around it: its result is built whole in memory, and must not be larger
 * than the answer may be. Null where it can't be had within another, as `SHOW` or a text that ends
 * in a comment's semicolon.
 */
async function prepareLimited(session: Session, sql: string, maxRows: number): Promise<Runnable | null> {
  const text = `FROM (\n${withoutEnd(sql)}\n) LIMIT ${Math.floor(maxRows) + 1}`;
  try {
    return { prepared: await session.connection.prepare(text), text };
  } catch {
    return null; // the statement as it is has been prepared, so it is no mistake of the user's
  }
}

/** A regular expression would look at each blank within the text up to its last. */
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
 * Without parameters the text is run rather than what was prepared: that is taken down on a thread
 * of DuckDB's. A prepared statement that has run is taken down on this one, which took 0.8 s where
 * it had put gigabytes on the disk.
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

function checkCount({ parameterCount }: DuckDBPreparedStatement, params: SqlParam[]): void {
  if (params.length === parameterCount) return;
  throw badRequest(
    `execute_sql: the statement expects ${parameterCount} parameter${parameterCount === 1 ? "" : "s"}, got ${params.length}`,
  );
}

function tooManyRows(maxRows: number): RequestError {
  return new RequestError(400, `execute_sql: query returned more than ${maxRows} rows`, {
    hint: "Add a LIMIT or a narrower WHERE, or start the server with a higher --sql-max-rows.",
  });
}
