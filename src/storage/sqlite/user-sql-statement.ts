/**
 * Looks at SQL written by a user before SQLite does: finds the one statement in it and refuses what a request must
 * not do. The read-only connection is what keeps a reading statement from writing; this is for what a
 * connection can't refuse (files beside the database, transactions left open, pragmas that act while being prepared).
 */
import { badRequest } from "../../protocol/errors.ts";
import { after, isMark, isWord, refused, type Token } from "../user-sql-tokens.ts";

/**
 * - `query`: may have rows; with WITH it may also write, which SQLite finds out.
 * - `pragma`: reads only.
 * - `write`: runs in a transaction.
 * - `maintenance`: writes, and can't run in a transaction; changes no data.
 */
export type StatementKind = "query" | "pragma" | "write" | "maintenance";

export interface Statement {
  /** Without what surrounds it: blanks, comments, semicolons. */
  text: string;
  kind: StatementKind;
}

/** More than the longest head that is looked at: EXPLAIN QUERY PLAN CREATE UNIQUE INDEX IF NOT EXISTS temp . name */
const HEAD_TOKENS = 12;

const ONE_TRANSACTION = "each request is one transaction of its own";
const ONE_DATABASE = "a request may use only the server's own database";
const REFUSED: Record<string, string> = {
  ATTACH: ONE_DATABASE,
  DETACH: ONE_DATABASE,
  BEGIN: ONE_TRANSACTION,
  COMMIT: ONE_TRANSACTION,
  END: ONE_TRANSACTION,
  ROLLBACK: ONE_TRANSACTION,
  SAVEPOINT: ONE_TRANSACTION,
  RELEASE: ONE_TRANSACTION,
};

const WRITING = new Set([
  "INSERT",
  "REPLACE",
  "UPDATE",
  "DELETE",
  "CREATE",
  "DROP",
  "ALTER",
  "ANALYZE",
  "REINDEX",
]);

/** Pragmas that only read when they have no argument: with one, most of them would change something. */
const READS_WITHOUT_ARGUMENT = new Set([
  "application_id",
  "auto_vacuum",
  "busy_timeout",
  "cache_size",
  "collation_list",
  "compile_options",
  "data_version",
  "database_list",
  "encoding",
  "foreign_keys",
  "freelist_count",
  "function_list",
  "journal_mode",
  "journal_size_limit",
  "max_page_count",
  "module_list",
  "page_count",
  "page_size",
  "pragma_list",
  "query_only",
  "schema_version",
  "synchronous",
  "user_version",
]);
/** Pragmas whose argument names what to read. */
const READS_WITH_ARGUMENT = new Set([
  "foreign_key_check",
  "foreign_key_list",
  "index_info",
  "index_list",
  "index_xinfo",
  "integrity_check",
  "quick_check",
  "table_info",
  "table_list",
  "table_xinfo",
]);
const MAINTENANCE_PRAGMAS = new Set(["incremental_vacuum", "optimize", "wal_checkpoint"]);

/** @throws RequestError 400: no statement, more than one, or one that is refused. */
export function readStatement(sql: string): Statement {
  // SQLite would take it for the end of the text and leave out the rest without a word.
  if (sql.includes("\0")) throw badRequest("execute_sql: the SQL holds a NUL character");
  const { head, start, end } = findTheOne(sql);
  return { text: sql.slice(start, end), kind: judge(head) };
}

/** The first tokens of the only statement, and where it lies. */
function findTheOne(sql: string): { head: Token[]; start: number; end: number } {
  const head: Token[] = [];
  let start = -1;
  let end = -1;
  let ended = false;
  let last: Token | null = null;
  let beforeLast: Token | null = null;
  let inVacuum = false;
  for (const token of tokens(sql)) {
    if (isMark(token, ";")) {
      // A trigger's body has semicolons of its own; it ends with `; END`.
      const inside = isTrigger(head) && !(isWord(last, "END") && isMark(beforeLast, ";"));
      if (!inside) {
        ended = start >= 0;
        continue;
      }
    } else if (ended) {
      throw badRequest("execute_sql: one statement per request, got more than one");
    }
    if (start < 0) start = token.start;
    if (head.length < HEAD_TOKENS) head.push(token);
    inVacuum ||= isWord(token, "VACUUM") && statementWords(head)[0] === token;
    if (inVacuum && isWord(token, "INTO"))
      throw refused("VACUUM INTO", "it writes a file beside the database");
    if (isMark(token, "(") && last !== null && /^load_extension$/i.test(last.value))
      throw refused("load_extension", "it runs code in the server");
    end = token.end;
    beforeLast = last;
    last = token;
  }
  if (start < 0) throw badRequest("execute_sql: the SQL holds no statement");
  return { head, start, end };
}

function judge(head: Token[]): StatementKind {
  const words = statementWords(head);
  const explained = words.length < head.length;
  const first = words[0]?.type === "word" ? words[0].value : "";
  const reason = Object.hasOwn(REFUSED, first) ? REFUSED[first] : undefined;
  if (reason !== undefined) throw refused(first, reason);
  if (first === "PRAGMA") {
    if (explained) throw refused("EXPLAIN PRAGMA", "a pragma may act while it is being explained");
    return judgePragma(words);
  }
  if (first === "CREATE") refuseTemporary(words);
  if (explained) return "query";
  if (first === "VACUUM") return "maintenance";
  return WRITING.has(first) ? "write" : "query";
}

function judgePragma(words: Token[]): StatementKind {
  const qualified = isMark(words[2], ".");
  const name = (words[qualified ? 3 : 1]?.value ?? "").toLowerCase();
  const hasArgument = words.length > (qualified ? 4 : 2);
  if (MAINTENANCE_PRAGMAS.has(name)) return "maintenance";
  if (READS_WITH_ARGUMENT.has(name)) return "pragma";
  if (!READS_WITHOUT_ARGUMENT.has(name)) throw refused(`PRAGMA ${name}`, "it is not one that only reads");
  if (hasArgument) throw refused(`PRAGMA ${name} with a value`, "settings of the database are the server's");
  return "pragma";
}

function refuseTemporary(words: Token[]): void {
  const temporary =
    isWord(words[1], "TEMP") ||
    isWord(words[1], "TEMPORARY") ||
    words.some((word, i) => /^temp$/i.test(word.value) && isMark(words[i + 1], "."));
  if (temporary) throw refused("CREATE TEMP", "it would be gone with the end of the request");
}

/** The head without EXPLAIN and EXPLAIN QUERY PLAN. */
function statementWords(head: Token[]): Token[] {
  if (!isWord(head[0], "EXPLAIN")) return head;
  return isWord(head[1], "QUERY") && isWord(head[2], "PLAN") ? head.slice(3) : head.slice(1);
}

function isTrigger(head: Token[]): boolean {
  const words = statementWords(head);
  if (!isWord(words[0], "CREATE")) return false;
  const temporary = isWord(words[1], "TEMP") || isWord(words[1], "TEMPORARY");
  return isWord(words[temporary ? 2 : 1], "TRIGGER");
}

/** SQLite's tokens, without blanks and comments. @see https://sqlite.org/lang_comment.html and lang_keywords.html */
function* tokens(sql: string): Generator<Token> {
  let at = 0;
  while (at < sql.length) {
    const start = at;
    const char = sql[at]!;
    if (" \t\n\f\r\ufeff".includes(char)) {
      at++;
    } else if (sql.startsWith("--", at)) {
      at = after(sql, "\n", at);
    } else if (sql.startsWith("/*", at)) {
      at = after(sql, "*/", at + 2);
    } else if ("'\"`".includes(char)) {
      at = afterQuoted(sql, char, at + 1);
      yield { type: "quoted", value: sql.slice(start + 1, at - 1), start, end: at };
    } else if (char === "[") {
      at = after(sql, "]", at);
      yield { type: "quoted", value: sql.slice(start + 1, at - 1), start, end: at };
    } else if (isNameChar(sql.charCodeAt(at))) {
      while (at < sql.length && isNameChar(sql.charCodeAt(at))) at++;
      yield { type: "word", value: sql.slice(start, at).toUpperCase(), start, end: at };
    } else {
      at++;
      yield { type: "mark", value: char, start, end: at };
    }
  }
}

/** A doubled quote stands for itself. */
function afterQuoted(sql: string, quote: string, from: number): number {
  let at = after(sql, quote, from);
  while (sql[at] === quote) at = after(sql, quote, at + 1);
  return at;
}

function isNameChar(code: number): boolean {
  return (
    (code >= 97 && code <= 122) || // a-z
    (code >= 65 && code <= 90) || // A-Z
    (code >= 48 && code <= 57) || // 0-9
    code === 95 || // _
    code === 36 || // $
    (code >= 128 && code !== 0xfeff)
  );
}
