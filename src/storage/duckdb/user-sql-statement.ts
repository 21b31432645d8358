/**
 * Judges SQL written by a user. What it may do to data, DuckDB itself decides in a read-only transaction; which files it may reach, the settings of the
 * instance. This is for what neither keeps out: files of the database itself, to which COPY could write, other databases in memory, code, and
 * functions that act on the whole instance (`refused-functions.ts`).
 */
import { type DuckDBConnection, type DuckDBPreparedStatement, StatementType } from "@duckdb/node-api";
import { badRequest } from "../../protocol/errors.ts";
import { refused } from "../user-sql-tokens.ts";
import { refuseFunctions } from "./refused-functions.ts";
import { BOOKKEEPING_TABLES, TABLES } from "./schema.ts";

/** A `query` may turn out to write (a sequence's next value, EXPLAIN ANALYZE); then DuckDB refuses it in a read-only transaction. */
export type StatementKind = "query" | "write";

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

/** Blanks and comments as DuckDB knows them: it turns all of Unicode's blanks into spaces before it looks, and nests comments. */
const BLANKS = String.raw`(?:[\s\u200b\u205f\u2060]|--[^\r\n]*|/\*(?:[^*]|\*(?!/))*\*/)`;
/** A comment that is nested or written otherwise escapes this. No harm: what is created is gone with the connection. */
const TEMPORARY = new RegExp(
  `^${BLANKS}*create${BLANKS}+(?:or${BLANKS}+replace${BLANKS}+)?temp(?:orary)?(?![a-z0-9_])`,
  "i",
);

const OWN_TABLES = [...TABLES.map(({ name }) => name), ...BOOKKEEPING_TABLES];
const OWN_TABLE = new RegExp(`(?<![a-z0-9_])(?:${OWN_TABLES.join("|")})(?![a-z0-9_])`, "i");
const MAKES_INDEX = new RegExp(`^${BLANKS}*create${BLANKS}+(?:unique${BLANKS}+)?index(?![a-z0-9_])`, "i");
const REPLACES_OWN = new RegExp(
  `^${BLANKS}*create${BLANKS}+or${BLANKS}+replace${BLANKS}+(?:table|view)${BLANKS}+(?:[^\\s(]+\\.)?"?(?:${OWN_TABLES.join("|")})(?![a-z0-9_])`,
  "i",
);
const WRITES_BOOKKEEPING = new RegExp(
  `^${BLANKS}*(?:update|delete${BLANKS}+from|truncate(?:${BLANKS}+table)?|insert${BLANKS}+(?:or${BLANKS}+\\w+${BLANKS}+)?into|merge${BLANKS}+into)${BLANKS}+(?:[^\\s(]+\\.)?"?(?:${BOOKKEEPING_TABLES.join("|")})(?![a-z0-9_])`,
  "i",
);
const EXPLAINS_CHANGE = /\banaly[sz]e\b[\s\S]*\b(?:alter|drop|create)\b/i;

/**
 * Prepares the one statement of a text, in the transaction that the connection is in.
 *
 * @throws RequestError 400 none, several, or one that is not allowed. Other errors are DuckDB's.
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
 * The statement guard would undo it, but a save that is committed beside it leaves a write-ahead log that DuckDB can't
 * replay: it must not even begin. A form that escapes this is left to the guard.
 */
function ownTableReason(type: StatementType, sql: string): string | null {
  if (!OWN_TABLE.test(sql)) return null;
  // Also where it finds no row.
  if (WRITES_BOOKKEEPING.test(sql)) return "the server alone writes there";
  const changes =
    type === StatementType.ALTER ||
    type === StatementType.DROP ||
    (type === StatementType.EXPLAIN && EXPLAINS_CHANGE.test(sql)) ||
    (type === StatementType.CREATE && (MAKES_INDEX.test(sql) || REPLACES_OWN.test(sql)));
  return changes
    ? "a statement may insert, update and delete rows of the three tables of prices, and no more"
    : null;
}

function refuseByName(sql: string): void {
  if (sql.includes("\0")) throw badRequest("execute_sql: the SQL holds a NUL character");
  refuseFunctions(sql);
  if (TEMPORARY.test(sql)) throw refused("CREATE TEMP", "it would be gone with the end of the request");
}
