/**
 * Users' SQL on SQLite. It runs in a runner process, where it may block the event loop: only
 * killing the process interrupts a statement.
 */
import {
  Database,
  type Statement as PreparedStatement,
  SQLiteError,
  type SQLQueryBindings,
} from "bun:sqlite";
import type { Durability } from "../../config/settings.ts";
import { badRequest, RequestError, unavailable } from "../../protocol/errors.ts";
import { AnswerRows, checkCount, membersOf, type ObjectMember, refusedWith } from "../sql-answer.ts";
import type {
  EncodedRows,
  SqlParam,
  UserSqlEngine,
  UserSqlOutcome,
  UserSqlRequest,
} from "../user-sql-contract.ts";
import { type StampColumns, withStoredStamps } from "./stored-stamps.ts";
import { refuseForeignKeys, StatementCheck } from "./user-sql-check.ts";
import { readStatement, type Statement } from "./user-sql-statement.ts";

/** SQLite blocks so long while another process holds a lock, which a runner may. */
const BUSY_TIMEOUT_MS = 5_000;

/** See sql/runner-pool.ts: a runner's memory has a bound. */
const SQLITE_NOMEM = 7;
const SQLITE_READONLY = 8;
/** Primary result codes that concern the database, not the statement. */
const AWAY: Record<number, string> = {
  3: "no permission",
  5: "another process holds a lock",
  6: "another process holds a lock",
  8: "the file can't be written",
  10: "disk error",
  11: "the file is damaged",
  13: "the disk is full",
  14: "the file can't be opened",
  15: "locking failed",
  26: "the file is no SQLite database",
};

type Value = null | string | number | bigint | Uint8Array;

/** One connection reads, the other judges statements. */
interface Reader {
  db: Database;
  check: StatementCheck;
}

/** @param path Another process writes the file at the same time. */
export function createSqliteUserSql(options: { path: string; durability: Durability }): UserSqlEngine {
  let reader: Reader | null = null;

  function closeReader(): void {
    reader?.db.close();
    reader?.check.close();
    reader = null;
  }

  function read(statement: Statement, request: UserSqlRequest): UserSqlOutcome {
    reader ??= openReader(options.path);
    const { db, check } = reader;
    const checked = check.check(statement);
    if (checked === null) throw mistakeOf(db, statement);
    const { kind, stamps } = checked;
    if (kind === "write" || kind === "maintenance") {
      // Mistakes are told before the statement waits for the right to write. A pragma acts when
      // prepared.
      if (kind === "write") checkParameters(db, statement, request);
      return { status: "needs-write" };
    }
    try {
      return { status: "rows", ...execute(db, stored(statement, request, stamps), request) };
    } catch (error) {
      if (error instanceof SQLiteError && primaryCode(error) === SQLITE_READONLY)
        return { status: "needs-write" };
      throw error;
    } finally {
      // The next request must not find the session's state.
      if (kind === "pragma") closeReader();
    }
  }

  function write(statement: Statement, request: UserSqlRequest, committing: () => void): UserSqlOutcome {
    reader ??= openReader(options.path);
    const { check } = reader;
    const isMaintenance = statement.firstWord === "VACUUM" || statement.firstWord === "PRAGMA";
    const checked = isMaintenance ? check.check(statement) : null;
    // A new connection costs 0.1 ms, and leaves no lock, pragma or temporary object behind.
    const db = openWriter(options);
    try {
      if (checked?.kind === "maintenance") return { status: "rows", ...execute(db, statement, request) };
      return { status: "rows", ...executeInTransaction({ db, check }, statement, request, committing) };
    } finally {
      db.close();
    }
  }

  return {
    run(request, committing) {
      try {
        const statement = readStatement(request.sql);
        return request.mode === "read" ? read(statement, request) : write(statement, request, committing);
      } catch (error) {
        return outcomeOf(error);
      }
    },
    close: closeReader,
  };
}

function openReader(path: string): Reader {
  const db = new Database(path, { readonly: true, safeIntegers: true });
  db.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  db.run("PRAGMA query_only = 1");
  db.run("PRAGMA trusted_schema = 0");
  try {
    return { db, check: new StatementCheck(path, BUSY_TIMEOUT_MS) };
  } catch (error) {
    db.close();
    throw error;
  }
}

function openWriter({ path, durability }: { path: string; durability: Durability }): Database {
  const db = new Database(path, { readwrite: true, create: false, safeIntegers: true });
  db.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  db.run(`PRAGMA synchronous = ${durability === "full" ? "FULL" : "NORMAL"}`);
  db.run("PRAGMA trusted_schema = 0");
  return db;
}

function executeInTransaction(
  { db, check }: Reader,
  statement: Statement,
  request: UserSqlRequest,
  committing: () => void,
): EncodedRows {
  db.run("BEGIN IMMEDIATE");
  try {
    // Within the transaction, no other program can change what its names mean.
    const checked = check.check(statement);
    if (checked === null) throw mistakeOf(db, statement);
    const rows = execute(db, stored(statement, request, checked.stamps), request);
    const changed = changedRows(db);
    refuseForeignKeys(db, checked.shapes);
    committing();
    db.run("COMMIT");
    return { ...rows, changed };
  } catch (error) {
    // INSERT OR ROLLBACK and some errors have ended the transaction already.
    if (db.inTransaction) db.run("ROLLBACK");
    throw error;
  }
}

/** By the last statement; triggers and the like don't count. */
function changedRows(db: Database): number {
  return Number(db.query<{ changed: bigint }, []>("SELECT changes() AS changed").get()?.changed ?? 0);
}

function stored(statement: Statement, { params }: UserSqlRequest, stamps: StampColumns): Statement {
  return { ...statement, text: withStoredStamps(statement.text, params, stamps) };
}

function execute(db: Database, { text }: Statement, { params, maxRows }: UserSqlRequest): EncodedRows {
  const prepared = db.prepare(text);
  try {
    // Bun binds NULL for missing parameters and ignores surplus ones.
    checkCount(prepared.paramsCount, params.length);
    return collectRows(prepared, params.map(toBinding), maxRows);
  } finally {
    prepared.finalize();
  }
}

/**
 * Integers keep all digits, BLOBs become base64, numbers that aren't finite null. The connection
 * must give bigints. @throws RequestError 400: too many rows or bytes.
 */
function collectRows(prepared: PreparedStatement, params: SQLQueryBindings[], maxRows: number): EncodedRows {
  const out = new AnswerRows({ maxRows });
  let members: ObjectMember[] = [];
  for (const row of prepared.iterate(...params) as Iterable<Record<string, Value>>) {
    // The statement's own names are those before a change of the schema.
    if (out.rows === 0) members = membersOf(Object.keys(row));
    out.beginRow();
    for (const { name, prefix } of members) out.add(prefix + encodeValue(row[name] ?? null, out));
    out.endRow();
  }
  return out.finish();
}

function encodeValue(value: Value, out: AnswerRows): string {
  if (value === null) return "null";
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : "null";
  if (typeof value === "bigint") return String(value);
  // One value of SQLite may have 1 GB.
  out.expect(value.length);
  return typeof value === "string" ? JSON.stringify(value) : `"${value.toBase64()}"`;
}

function checkParameters(db: Database, { text }: Statement, { params }: UserSqlRequest): void {
  // Running a statement makes the connection notice a changed schema. Preparing one doesn't.
  db.query("SELECT 1 FROM sqlite_schema LIMIT 1").get();
  const prepared = db.prepare(text);
  try {
    checkCount(prepared.paramsCount, params.length);
  } finally {
    prepared.finalize();
  }
}

function mistakeOf(db: Database, { text }: Statement): unknown {
  db.query("SELECT 1 FROM sqlite_schema LIMIT 1").get();
  try {
    db.prepare(text).finalize();
  } catch (error) {
    return error;
  }
  return badRequest("execute_sql: the schema changed meanwhile; send it again");
}

function toBinding(param: SqlParam): null | string | number | bigint {
  return typeof param === "boolean" ? Number(param) : param;
}

function outcomeOf(error: unknown): UserSqlOutcome {
  if (error instanceof RequestError) return refusedWith(error);
  if (isNodeSqliteError(error))
    return refusedWith(unavailable("execute_sql: the file can't be read", error.message));
  if (!(error instanceof SQLiteError)) throw error;
  const code = primaryCode(error);
  const away = AWAY[code];
  if (away !== undefined) return refusedWith(unavailable(`execute_sql: ${away}`, error.message));
  if (code === SQLITE_NOMEM)
    return refusedWith(badRequest("execute_sql: it takes more memory than a statement may"));
  const details = error.byteOffset >= 0 ? `at byte ${error.byteOffset} of the statement` : undefined;
  return refusedWith(badRequest(`execute_sql: ${error.message}`, { details }));
}

/** The connection that judges throws it. It never runs what a user wrote. */
function isNodeSqliteError(error: unknown): error is Error {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === "ERR_SQLITE_ERROR";
}

function primaryCode(error: SQLiteError): number {
  return error.errno & 0xff;
}
