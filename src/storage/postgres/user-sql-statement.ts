/**
 * Reads a user's SQL with PostgreSQL's parser, and refuses what a request must not do. It is no
 * wall, since functions do what no text shows: see DESIGN.md, "Users' SQL".
 */
import { badRequest } from "../../protocol/errors.ts";
import { checkCount, refused } from "../sql-answer.ts";
import { refuseOwnTables } from "./own-tables.ts";
import {
  namedFunctions,
  refuseFunction,
  refuseOwnSequence,
  refuseStatement,
  refuseView,
} from "./refused-sql.ts";
import { type Node, type ParsedStatement, parseSql, questionMarks } from "./sql-parser.ts";
import { type Field, fieldsOf, type RelationName, stringsOf, WRITERS } from "./statement-tree.ts";

/**
 * - `query`: has rows; a cursor can read them, unless it `writes`.
 * - `report`: SHOW and EXPLAIN, whose few rows come at once; EXPLAIN ANALYZE may write.
 * - `write`: runs in a transaction.
 * - `procedure`: DO and CALL. A READ ONLY transaction doesn't stop all that they may do, such as
 *   locks of the session.
 * - `maintenance`: VACUUM, REINDEX and CLUSTER where they can't run in a transaction. The session
 *   is read-only.
 * - `concurrent`: makes or drops something CONCURRENTLY, outside of a transaction, and runs no
 *   function of a user's.
 */
export type StatementKind = "query" | "report" | "write" | "procedure" | "maintenance" | "concurrent";

export interface Statement {
  /** Parameters are `$1`, `$2` … */
  text: string;
  kind: StatementKind;
  /** A query with an INSERT, UPDATE, DELETE or MERGE in its WITH. */
  writes: boolean;
  /** The largest number of a parameter. */
  parameters: number;
  /** The functions that its text calls. */
  functions: ReadonlySet<string>;
}

const GONE = "it would be gone with the end of the request";
const UNSEEN = "its functions would run outside of a transaction; leave out CONCURRENTLY";
const LATER = "it runs when the server has looked at the rest";
const PLAIN_INDEXES = new Set(["btree", "hash", "brin", "gin"]);
const CONCURRENTLY = new Set(["IndexStmt", "DropStmt", "PartitionCmd"]);

/**
 * The parser must be loaded.
 * @param given the number of parameters. If the statement has as many `?` and no `$1`, these are
 *   parameters, as on SQLite.
 * @param schema of the server's tables.
 * @throws RequestError 400: not one statement, a refused one, or another number of parameters.
 */
export function readStatement(sql: string, given: number, schema: string): Statement {
  const { node, text } = theOnlyOne(sql, given);
  const [name, statement] = Object.entries(node)[0] as [string, Node];
  refuseStatement(name, statement);
  const functions = new Set<string>();
  let parameters = 0;
  let writes = false;
  let concurrent = false;
  for (const field of fieldsOf(node)) {
    const { key, value } = field;
    if (key === "ParamRef") parameters = Math.max(parameters, Number(value.number ?? 0));
    if (WRITERS.has(key)) writes = true;
    if (CONCURRENTLY.has(key) && value.concurrent === true) {
      if (key === "IndexStmt") refuseComputed(value);
      concurrent = true;
    }
    if (key === "query" && name === "ExplainStmt") explained(value);
    for (const called of namedFunctions(field)) {
      refuseFunction(called);
      functions.add(called);
    }
    if (key === "FuncCall") refuseOwnSequence(value);
    refuseTemporary(field);
    refuseView(field);
    refuseOwnTables(field, schema);
    if (value.deferrable === true && key === "CreateTrigStmt") throw refused("a deferrable trigger", LATER);
  }
  checkCount(parameters, given);
  const kind = concurrent ? "concurrent" : kindOf(name, statement);
  return { text: text.trim(), kind, writes, parameters, functions };
}

function theOnlyOne(sql: string, given: number): ParsedStatement {
  const marks = given > 0 && sql.includes("?") ? (questionMarks(sql) ?? []) : [];
  if (marks.length !== given && marks.length > 0) return theOnlyWithout(sql, marks.length, given);
  const statements = parseSql(numbered(sql, marks));
  if (statements.length > 1) throw badRequest("execute_sql: one statement per request, got more than one");
  if (statements.length === 0) throw badRequest("execute_sql: the SQL holds no statement");
  return statements[0]!;
}

function kindOf(name: string, statement: Node): StatementKind {
  if (isMaintenance(name, statement)) return "maintenance";
  switch (name) {
    case "SelectStmt":
      // A cursor makes no table.
      return statement.intoClause === undefined ? "query" : "write";
    case "VariableShowStmt":
    case "ExplainStmt":
      return "report";
    case "DoStmt":
    case "CallStmt":
      return "procedure";
    default:
      return "write";
  }
}

/** PostgreSQL refuses these within a transaction. */
function isMaintenance(name: string, statement: Node): boolean {
  if (name === "VacuumStmt") return statement.is_vacuumcmd === true;
  if (name === "ClusterStmt") return statement.relation === undefined;
  if (name !== "ReindexStmt") return false;
  return (
    statement.relation === undefined || JSON.stringify(statement.params ?? []).includes('"concurrently"')
  );
}

/**
 * Such an index calls users' functions for each row, outside of any transaction. GiST and the like
 * call those of range types.
 */
function refuseComputed({ indexParams, whereClause, accessMethod = "btree" }: Node): void {
  if (!PLAIN_INDEXES.has(String(accessMethod)))
    throw refused(`CREATE INDEX CONCURRENTLY USING ${accessMethod}`, UNSEEN);
  const computes = JSON.stringify(indexParams ?? []).includes('"expr":');
  if (computes || whereClause !== undefined)
    throw refused("CREATE INDEX CONCURRENTLY of expressions", UNSEEN);
}

/** EXPLAIN ANALYZE runs the statement. */
function explained(query: Node): void {
  const [name, statement] = Object.entries(query)[0] ?? [];
  if (name?.endsWith("Stmt")) refuseStatement(name, statement as Node);
}

function refuseTemporary({ value }: Field): void {
  const { relpersistence, schemaname } = value as Partial<RelationName>;
  const isTemporary = relpersistence === "t" || schemaname?.startsWith("pg_temp") === true;
  const names = [value.funcname, value.defnames, value.typeName, value.domainname].flatMap(stringsOf);
  if (isTemporary || names.some((name) => name.startsWith("pg_temp"))) throw refused("CREATE TEMP", GONE);
}

/** The question marks don't match the values, so they have to be operators. */
function theOnlyWithout(sql: string, marks: number, given: number): ParsedStatement {
  try {
    return theOnlyOne(sql, 0);
  } catch {
    throw badRequest(`execute_sql: the statement has ${marks} question marks, got ${given} parameters`);
  }
}

/** Puts `$1`, `$2` … in the place of question marks. */
function numbered(sql: string, marks: number[]): string {
  let text = "";
  let at = 0;
  for (const [i, mark] of marks.entries()) {
    text += sql.slice(at, mark);
    // Without a blank, it would join the word beside it.
    if (WORD_END.test(text)) text += " ";
    text += `$${i + 1}`;
    at = mark + 1;
    if (WORD_START.test(sql.slice(at, at + 1))) text += " ";
  }
  return text + sql.slice(at);
}

const WORD_END = /[A-Za-z0-9_$\u0080-\uffff]$/;
const WORD_START = /[A-Za-z0-9_$\u0080-\uffff]/;
