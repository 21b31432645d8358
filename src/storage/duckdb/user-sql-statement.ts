/**
 * Judges users' SQL before it runs, for what neither a read-only transaction nor the instance's
 * settings keep out: see DESIGN.md.
 */
import { type DuckDBConnection, type DuckDBPreparedStatement, StatementType } from "@duckdb/node-api";
import { badRequest } from "../../protocol/errors.ts";
import { refused } from "../sql-answer.ts";
import { refuseFunctions } from "./refused-functions.ts";
import { BOOKKEEPING_TABLES, TABLES } from "./schema.ts";
import { commentDepth, firstWords } from "./statement-start.ts";

/** A `query` may write, as EXPLAIN ANALYZE can: a read-only transaction refuses it then. */
type StatementKind = "query" | "write";

export interface UserStatement {
  prepared: DuckDBPreparedStatement;
  type: StatementType;
  kind: StatementKind;
}

const KINDS = new Map<StatementType, StatementKind>([
  [StatementType.SELECT, "query"],
  [StatementType.EXPLAIN, "query"],
  [StatementType.INSERT, "write"],
  [StatementType.UPDATE, "write"],
  [StatementType.DELETE, "write"],
  [StatementType.MERGE_INTO, "write"],
  [StatementType.CREATE, "write"],
  [StatementType.ALTER, "write"],
  [StatementType.DROP, "write"],
  [StatementType.ANALYZE, "write"],
  [StatementType.VACUUM, "write"],
]);

const ONE_TRANSACTION = "each request is one transaction of its own";
const ONE_DATABASE = "a request may use only the server's own database";
const REASONS = new Map<StatementType, string>([
  [StatementType.TRANSACTION, ONE_TRANSACTION],
  [StatementType.PREPARE, ONE_TRANSACTION],
  [StatementType.EXECUTE, ONE_TRANSACTION],
  [StatementType.ATTACH, ONE_DATABASE],
  [StatementType.DETACH, ONE_DATABASE],
  [StatementType.COPY, "a request may not use files"],
  [StatementType.EXPORT, "a request may not use files"],
  [StatementType.LOAD, "a request may not load code"],
  [StatementType.SET, "settings of the database are the server's"],
  [StatementType.VARIABLE_SET, "settings of the database are the server's"],
  [StatementType.PRAGMA, "settings of the database are the server's"],
  [StatementType.CALL, "it would act on the whole server"],
]);

const OWN_TABLES = new Set<string>([...TABLES.map(({ name }) => name), ...BOOKKEEPING_TABLES]);
const OWN_TABLE = new RegExp(`(?<![a-z0-9_])(?:${[...OWN_TABLES].join("|")})(?![a-z0-9_])`, "i");
const BOOKKEEPING = new Set<string>(BOOKKEEPING_TABLES);
/** Enough for `insert or replace into` and a name of three parts. */
const WORDS_READ = 16;
/** DuckDB parses nested comments in the square of their depth, and heeds no interrupt meanwhile. */
const COMMENT_DEPTH_MAX = 100;

/**
 * Prepares the one statement of a text in the connection's transaction.
 *
 * @throws RequestError 400 there is none, or several, or it is not allowed. Other errors are
 *   DuckDB's.
 */
export async function prepareStatement(connection: DuckDBConnection, sql: string): Promise<UserStatement> {
  refuseByName(sql);
  const statements = await connection.extractStatements(sql);
  if (statements.count === 0) throw badRequest("execute_sql: the SQL holds no statement");
  if (statements.count > 1) {
    throw badRequest(
      "execute_sql: one statement per request",
      `got ${statements.count} (a PIVOT without its list of values counts as two)`,
    );
  }
  const prepared = await statements.prepare(0);
  const type = prepared.statementType; // not told any more once it is destroyed
  const kind = KINDS.get(type);
  if (kind === undefined) {
    prepared.destroySync();
    const name = StatementType[type]?.replaceAll("_", " ") ?? "this statement";
    throw refused(name, REASONS.get(type) ?? "it is not one that reads or writes data");
  }
  const reason = ownTableReason(type, sql);
  if (reason !== null) {
    prepared.destroySync();
    throw refused(`${StatementType[type]?.replaceAll("_", " ")} of the server's tables`, reason);
  }
  return { prepared, type, kind };
}

/**
 * The statement guard would undo such a statement. But a save committed beside it would leave a
 * write-ahead log that DuckDB can't replay, so it must not begin. The guard gets the forms that
 * escape this.
 */
function ownTableReason(type: StatementType, sql: string): string | null {
  if (!OWN_TABLE.test(sql)) return null;
  const words = firstWords(sql, WORDS_READ);
  if (BOOKKEEPING.has(writtenTable(words) ?? "")) return "the server alone writes there";
  const changes =
    type === StatementType.ALTER ||
    type === StatementType.DROP ||
    (type === StatementType.EXPLAIN && explainsChange(sql)) ||
    (type === StatementType.CREATE && (makesIndex(words) || OWN_TABLES.has(replacedTable(words) ?? "")));
  return changes
    ? "a statement may insert, update and delete rows of the three tables of prices, and no more"
    : null;
}

/** `insert [or w] into t`, `merge into t`, `delete from t`, `truncate [table] t`, `update t`. */
function writtenTable(words: string[]): string | null {
  const [verb] = words;
  if (verb === "update") return nameAt(words, 1);
  if (verb === "delete" || verb === "merge") return nameAt(words, 2);
  if (verb === "truncate") return nameAt(words, words[1] === "table" ? 2 : 1);
  if (verb === "insert") return nameAt(words, words[1] === "or" ? 4 : 2);
  return null;
}

/** `create or replace table|view t`. */
function replacedTable(words: string[]): string | null {
  const isReplacement = words[0] === "create" && words[1] === "or" && words[2] === "replace";
  return isReplacement && (words[3] === "table" || words[3] === "view") ? nameAt(words, 4) : null;
}

function makesIndex(words: string[]): boolean {
  return words[0] === "create" && words[words[1] === "unique" ? 2 : 1] === "index";
}

/** A name may have a database or schema and a dot before it. @returns its last part. */
function nameAt(words: string[], first: number): string | null {
  let at = first;
  while (words[at + 1] === ".") at += 2;
  return words[at] ?? null;
}

function explainsChange(sql: string): boolean {
  const at = sql.search(/\banaly[sz]e\b/i);
  return at >= 0 && /\b(?:alter|drop|create)\b/i.test(sql.slice(at));
}

function refuseByName(sql: string): void {
  if (sql.includes("\0")) throw badRequest("execute_sql: the SQL holds a NUL character");
  refuseFunctions(sql);
  const depth = commentDepth(sql);
  if (depth > COMMENT_DEPTH_MAX)
    throw badRequest(
      `execute_sql: the SQL holds comments nested ${depth} deep, at most ${COMMENT_DEPTH_MAX} are allowed`,
    );
  const words = firstWords(sql, 4);
  const kind = words[1] === "or" ? words[3] : words[1];
  if (words[0] === "create" && (kind === "temp" || kind === "temporary"))
    throw refused("CREATE TEMP", "it would be gone with the end of the request");
}
