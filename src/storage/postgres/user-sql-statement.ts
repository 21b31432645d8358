/**
 * Looks at SQL written by a user as PostgreSQL will: its own parser finds the one statement in it
 * and what that names, so no way of writing hides anything. What is refused here is what a request
 * must not do.
 *
 * The look isn't the wall. A reading statement is kept from writing by a READ ONLY transaction, a
 * writing one from the server's tables by TableGuard, and everybody from the rest by the rights of
 * the database's role: a function may do what its text doesn't show.
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
 * - `query`: has rows, and can be read through a cursor, unless it `writes`.
 * - `report`: SHOW and EXPLAIN, whose few rows come at once; EXPLAIN ANALYZE may write.
 * - `write`: runs in a transaction.
 * - `procedure`: DO and CALL; may do what a READ ONLY transaction neither refuses nor undoes, such
 *   as locks of the session.
 * - `maintenance`: VACUUM, REINDEX, CLUSTER where they can't run in a transaction; changes no data,
 *   and runs in a session that is read-only.
 * - `concurrent`: makes or drops something CONCURRENTLY, which can't run in a transaction either;
 *   runs no function of a user's.
 */
export type StatementKind = "query" | "report" | "write" | "procedure" | "maintenance" | "concurrent";

export interface Statement {
  /** Without the semicolon and blanks around it; parameters are `$1`, `$2` … */
  text: string;
  kind: StatementKind;
  /** A query with an INSERT, UPDATE, DELETE or MERGE in its WITH. */
  writes: boolean;
  /** The largest number of a parameter. */
  parameters: number;
  /** The names of the functions that it calls, as far as its text tells. */
  functions: ReadonlySet<string>;
}

const GONE = "it would be gone with the end of the request";
const UNSEEN = "its functions would run outside of a transaction; leave out CONCURRENTLY";
const LATER = "it runs when the server has looked at the rest";
const CONCURRENTLY = new Set(["IndexStmt", "DropStmt", "PartitionCmd"]);

/**
 * Needs the parser to be loaded.
 *
 * @param given Number of the parameters sent. Where the statement has as many `?` and no `$1`, they
 *   are taken for parameters: what runs on SQLite runs here.
 * @param schema of the server's own tables.
 * @throws RequestError 400: no statement, more than one, one that is refused, or one with another
 *   number of parameters.
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
      // SELECT … INTO makes a table, which no cursor does.
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

/** What PostgreSQL refuses within a transaction. */
function isMaintenance(name: string, statement: Node): boolean {
  if (name === "VacuumStmt") return statement.is_vacuumcmd === true;
  if (name === "ClusterStmt") return statement.relation === undefined;
  if (name !== "ReindexStmt") return false;
  return (
    statement.relation === undefined || JSON.stringify(statement.params ?? []).includes('"concurrently"')
  );
}

/** Such an index calls functions for each row, and nothing that they do could be taken back. */
function refuseComputed({ indexParams, whereClause }: Node): void {
  const computes = JSON.stringify(indexParams ?? []).includes('"expr":');
  if (computes || whereClause !== undefined)
    throw refused("CREATE INDEX CONCURRENTLY of expressions", UNSEEN);
}

/** What may be explained may also be run with ANALYZE. */
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

/** Question marks in another number than values: they have to be operators. */
function theOnlyWithout(sql: string, marks: number, given: number): ParsedStatement {
  try {
    return theOnlyOne(sql, 0);
  } catch {
    throw badRequest(`execute_sql: the statement has ${marks} question marks, got ${given} parameters`);
  }
}

/** With `$1`, `$2` … in the place of question marks, which are parameters. */
function numbered(sql: string, marks: number[]): string {
  let text = "";
  let at = 0;
  for (const [i, mark] of marks.entries()) {
    text += sql.slice(at, mark);
    // Else it would go on with a word, or a word with it.
    if (WORD_END.test(text)) text += " ";
    text += `$${i + 1}`;
    at = mark + 1;
    if (WORD_START.test(sql.slice(at, at + 1))) text += " ";
  }
  return text + sql.slice(at);
}

const WORD_END = /[A-Za-z0-9_$\u0080-\uffff]$/;
const WORD_START = /[A-Za-z0-9_$\u0080-\uffff]/;
