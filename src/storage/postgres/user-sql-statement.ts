/**
 * Looks at SQL written by a user before PostgreSQL does: finds the one statement in it and refuses what a request must not do.
 * The READ ONLY transaction is what keeps a reading statement from writing, and the rights of the database's role are what
 * keeps it from the rest. The lists here keep mistakes out, such as transactions left open or settings that outlast the request;
 * whoever wants to pass by a list of names will find a way, such as a function of their own.
 */
import { badRequest } from "../../protocol/errors.ts";
import { after, isMark, isWord, refused, type Token } from "../user-sql-tokens.ts";

/**
 * - `query`: has rows, and can be read through a cursor; with WITH it may also write, which PostgreSQL finds out.
 * - `report`: SHOW and EXPLAIN, whose few rows come at once; EXPLAIN ANALYZE may write.
 * - `write`: runs in a transaction.
 * - `procedure`: DO and CALL; may do what a READ ONLY transaction neither refuses nor undoes, such as locks of the session.
 * - `maintenance`: writes, and can't run in a transaction; changes no data.
 */
export type StatementKind = "query" | "report" | "write" | "procedure" | "maintenance";

export interface Statement {
  /** Without what surrounds it: blanks, comments, semicolons; parameters are `$1`, `$2` … */
  text: string;
  kind: StatementKind;
  /** The largest number of a parameter. */
  parameters: number;
}

const ONE_TRANSACTION = "each request is one transaction of its own";
const OWN_SETTINGS = "settings of the database are the server's";
const NO_SESSION = "nothing of a request outlasts it";
const NO_FILES = "it reads or writes files beside the tables";
const ONE_STATEMENT = "it runs a text as SQL of its own; send that as the statement";
const OTHER_DATABASES = "a request may use only the server's own database";
const PLAIN_NAME = "write the name itself";
const ADMINISTRATION = "it is administration of the database server";
const REFUSED: Record<string, string> = {
  BEGIN: ONE_TRANSACTION,
  START: ONE_TRANSACTION,
  COMMIT: ONE_TRANSACTION,
  END: ONE_TRANSACTION,
  ROLLBACK: ONE_TRANSACTION,
  ABORT: ONE_TRANSACTION,
  SAVEPOINT: ONE_TRANSACTION,
  RELEASE: ONE_TRANSACTION,
  SET: OWN_SETTINGS,
  RESET: OWN_SETTINGS,
  PREPARE: NO_SESSION,
  EXECUTE: NO_SESSION,
  DEALLOCATE: NO_SESSION,
  DISCARD: NO_SESSION,
  DECLARE: NO_SESSION,
  FETCH: NO_SESSION,
  MOVE: NO_SESSION,
  CLOSE: NO_SESSION,
  LISTEN: NO_SESSION,
  UNLISTEN: NO_SESSION,
  LOCK: NO_SESSION,
  COPY: NO_FILES,
  LOAD: ADMINISTRATION,
  CHECKPOINT: ADMINISTRATION,
  IMPORT: ADMINISTRATION,
};
/** CREATE, ALTER and DROP of these. */
const REFUSED_OBJECTS = new Set([
  "DATABASE",
  "ROLE",
  "USER",
  "GROUP",
  "SYSTEM",
  "TABLESPACE",
  "SERVER",
  "SUBSCRIPTION",
  "EXTENSION",
  "LANGUAGE",
]);
/** Functions by the beginning of their names, in lower case. */
const REFUSED_FUNCTIONS: [prefix: string, reason: string][] = [
  ["pg_read_", NO_FILES],
  ["pg_ls_", NO_FILES],
  ["pg_stat_file", NO_FILES],
  ["pg_file_", NO_FILES],
  ["lo_import", NO_FILES],
  ["lo_export", NO_FILES],
  ["pg_current_logfile", NO_FILES],
  ["dblink", OTHER_DATABASES],
  ["postgres_fdw_", OTHER_DATABASES],
  ["set_config", OWN_SETTINGS],
  ["pg_advisory_", NO_SESSION],
  ["pg_try_advisory_", NO_SESSION],
  ["query_to_xml", ONE_STATEMENT],
  ["cursor_to_xml", ONE_STATEMENT],
  ["table_to_xml", ONE_STATEMENT],
  ["schema_to_xml", ONE_STATEMENT],
  ["database_to_xml", ONE_STATEMENT],
  ["ts_stat", ONE_STATEMENT],
  ["ts_rewrite", ONE_STATEMENT],
  ["crosstab", ONE_STATEMENT],
  ["connectby", ONE_STATEMENT],
  ["xpath_table", ONE_STATEMENT],
  ["pg_terminate_backend", ADMINISTRATION],
  ["pg_cancel_backend", ADMINISTRATION],
  ["pg_reload_conf", ADMINISTRATION],
  ["pg_rotate_logfile", ADMINISTRATION],
  ["pg_promote", ADMINISTRATION],
  ["pg_switch_wal", ADMINISTRATION],
  ["pg_create_", ADMINISTRATION],
  ["pg_drop_replication", ADMINISTRATION],
  ["pg_replication_", ADMINISTRATION],
  ["pg_logical_", ADMINISTRATION],
  ["pg_backup_", ADMINISTRATION],
  ["pg_start_backup", ADMINISTRATION],
  ["pg_stop_backup", ADMINISTRATION],
  ["pg_wal_replay_", ADMINISTRATION],
  ["pg_stat_reset", ADMINISTRATION],
  ["pg_stat_statements_reset", ADMINISTRATION],
];

const QUERIES = new Set(["SELECT", "VALUES", "TABLE", "WITH", "("]);
const REPORTS = new Set(["SHOW", "EXPLAIN"]);
/** More than the longest head that is looked at: CREATE OR REPLACE GLOBAL TEMPORARY UNLOGGED TABLE */
const HEAD_TOKENS = 8;

/**
 * @param given Number of the parameters sent. Where the statement has as many `?` and no `$1`, they are taken for parameters:
 *   what runs on SQLite runs here.
 * @throws RequestError 400: no statement, more than one, one that is refused, or one with another number of parameters.
 */
export function readStatement(sql: string, given: number): Statement {
  if (sql.includes("\0")) throw badRequest("execute_sql: the SQL holds a NUL character");
  const tokens = findTheOne(sql);
  const kind = judge(tokens);
  const numbers = tokens.filter((token) => token.type === "parameter").map((token) => Number(token.value));
  const marks = tokens.filter((token) => isMark(token, "?"));
  const takesMarks = numbers.length === 0 && given > 0 && marks.length === given;
  const parameters = takesMarks ? given : Math.max(0, ...numbers);
  if (parameters !== given) {
    throw badRequest(
      `execute_sql: the statement expects ${parameters} parameter${parameters === 1 ? "" : "s"}, got ${given}`,
    );
  }
  const start = tokens[0]!.start;
  const end = tokens.at(-1)!.end;
  return { text: takesMarks ? numbered(sql, marks, start, end) : sql.slice(start, end), kind, parameters };
}

/** The tokens of the only statement. */
function findTheOne(sql: string): Token[] {
  const found: Token[] = [];
  let ended = false;
  let atomic = 0;
  for (const token of tokens(sql)) {
    // The body of a function in standard SQL has semicolons of its own.
    if (isWord(token, "ATOMIC") && isWord(found.at(-1), "BEGIN")) atomic = 1;
    else if (atomic > 0 && isWord(token, "CASE")) atomic++;
    else if (atomic > 0 && isWord(token, "END")) atomic--;
    if (isMark(token, ";") && atomic === 0) {
      ended = found.length > 0;
      continue;
    }
    if (ended) throw badRequest("execute_sql: one statement per request, got more than one");
    if (isMark(token, "(")) refuseFunction(found.at(-1));
    found.push(token);
  }
  if (found.length === 0) throw badRequest("execute_sql: the SQL holds no statement");
  return found;
}

function refuseFunction(name: Token | undefined): void {
  if (name === undefined || (name.type !== "word" && name.type !== "quoted")) return;
  const called = name.value.toLowerCase();
  const rule = REFUSED_FUNCTIONS.find(([prefix]) => called.startsWith(prefix));
  if (rule !== undefined) throw refused(called, rule[1]);
}

function judge(tokens: Token[]): StatementKind {
  const head = tokens.slice(0, HEAD_TOKENS).map((token) => (token.type === "quoted" ? "" : token.value));
  const first = head[0]!;
  const reason = Object.hasOwn(REFUSED, first) ? REFUSED[first] : undefined;
  if (reason !== undefined) throw refused(first, reason);
  if (first === "CREATE" || first === "ALTER" || first === "DROP") refuseObject(first, head);
  // Outside of a transaction, and it would be seen as one statement of many by nobody.
  if (first === "VACUUM" || head.includes("CONCURRENTLY")) return "maintenance";
  if (first === "DO" || first === "CALL") return "procedure";
  if (REPORTS.has(first)) return "report";
  if (!QUERIES.has(first)) return "write";
  // SELECT … INTO makes a table, which no cursor does.
  return first === "SELECT" && hasInto(tokens) ? "write" : "query";
}

function refuseObject(verb: string, head: string[]): void {
  const object = head.slice(1).find((word) => !["OR", "REPLACE", "PROCEDURAL", "TRUSTED"].includes(word));
  if (object !== undefined && REFUSED_OBJECTS.has(object)) throw refused(`${verb} ${object}`, ADMINISTRATION);
  if (head.slice(1, 4).some((word) => word === "TEMP" || word === "TEMPORARY"))
    throw refused("CREATE TEMP", "it would be gone with the end of the request");
}

/** INTO at the outermost level of a SELECT. */
function hasInto(tokens: Token[]): boolean {
  let depth = 0;
  for (const token of tokens) {
    if (isMark(token, "(")) depth++;
    else if (isMark(token, ")")) depth--;
    else if (depth === 0 && isWord(token, "INTO")) return true;
  }
  return false;
}

function numbered(sql: string, marks: Token[], start: number, end: number): string {
  let text = "";
  let at = start;
  for (const [i, mark] of marks.entries()) {
    text += `${sql.slice(at, mark.start)}$${i + 1}`;
    at = mark.end;
  }
  return text + sql.slice(at, end);
}

const WORD = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y;
const DOLLAR_QUOTE = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y;
const PARAMETER = /\$(\d+)/y;
const NUMBER = /\d[\w.]*/y;
/** All that PostgreSQL takes for blanks: a no-break space belongs to a word. */
const BLANK = /[ \t\n\r\f\v]/;
const LINE_COMMENT = /--[^\r\n]*/y;

/** PostgreSQL's tokens, without blanks and comments, as its manual describes them under "Lexical Structure". */
function* tokens(sql: string): Generator<Token> {
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(sql);
  };
  while (at < sql.length) {
    const start = at;
    const char = sql[at]!;
    if (BLANK.test(char)) {
      at++;
    } else if (match(LINE_COMMENT)) {
      at += match(LINE_COMMENT)![0].length;
    } else if (sql.startsWith("/*", at)) {
      at = afterComment(sql, at);
    } else if (char === "'" || char === '"') {
      at = afterQuoted(sql, char, at + 1, false);
      yield { type: "quoted", value: sql.slice(start + 1, at - 1), start, end: at };
    } else if (/[eE]/.test(char) && sql[at + 1] === "'") {
      at = afterQuoted(sql, "'", at + 2, true);
      yield { type: "quoted", value: sql.slice(start + 2, at - 1), start, end: at };
    } else if (/[uU]/.test(char) && sql.startsWith('&"', at + 1)) {
      throw refused('U&"…"', PLAIN_NAME);
    } else if (match(WORD)) {
      const word = match(WORD)![0];
      at += word.length;
      yield { type: "word", value: word.toUpperCase(), start, end: at };
    } else if (match(DOLLAR_QUOTE)) {
      const quote = match(DOLLAR_QUOTE)![0];
      at = after(sql, quote, at + quote.length);
      yield { type: "quoted", value: sql.slice(start + quote.length, at - quote.length), start, end: at };
    } else if (match(PARAMETER)) {
      const [all, number] = match(PARAMETER)!;
      at += all.length;
      yield { type: "parameter", value: number!, start, end: at };
    } else if (match(NUMBER)) {
      at += match(NUMBER)![0].length;
      yield { type: "quoted", value: "", start, end: at };
    } else {
      at++;
      yield { type: "mark", value: char, start, end: at };
    }
  }
}

/** Comments may hold comments. */
function afterComment(sql: string, from: number): number {
  let depth = 0;
  let at = from;
  while (at < sql.length) {
    if (sql.startsWith("/*", at)) {
      depth++;
      at += 2;
    } else if (sql.startsWith("*/", at)) {
      depth--;
      at += 2;
      if (depth === 0) return at;
    } else {
      at++;
    }
  }
  return at;
}

/** A doubled quote stands for itself; so does one behind a backslash where these escape. */
function afterQuoted(sql: string, quote: string, from: number, escapes: boolean): number {
  let at = from;
  while (at < sql.length) {
    if (escapes && sql[at] === "\\") at += 2;
    else if (sql[at] !== quote) at++;
    else if (sql[at + 1] === quote) at += 2;
    else return at + 1;
  }
  return sql.length;
}
