/**
 * Finds the one statement in a user's SQL. SQLite's own `prepare` takes the first of several and
 * silently ignores the rest. `user-sql-check.ts` judges what the statement does.
 */
import { badRequest } from "../../protocol/errors.ts";
import { refused } from "../sql-answer.ts";

export interface SqliteToken {
  type: "word" | "quoted" | "mark";
  /** A word in upper case, a name or text without its quotes, or one character. */
  value: string;
  start: number;
  end: number;
}

export interface Statement {
  /** Without blanks, comments and semicolons around it. */
  text: string;
  /** In upper case; the one after EXPLAIN or EXPLAIN QUERY PLAN. */
  firstWord: string;
  /** EXPLAIN runs nothing of it. */
  isExplained: boolean;
}

/** Enough for EXPLAIN QUERY PLAN CREATE TEMP TRIGGER. */
const HEAD_TOKENS = 8;

/** @throws RequestError 400: no statement, more than one, or a VACUUM into another file. */
export function readStatement(sql: string): Statement {
  // SQLite would end the text there and silently ignore the rest.
  if (sql.includes("\0")) throw badRequest("execute_sql: the SQL holds a NUL character");
  const { head, count, start, end } = findTheOne(sql);
  const words = statementWords(head);
  const firstWord = words[0]?.type === "word" ? words[0].value : "";
  const isExplained = words.length < head.length;
  // The authorizer hears of the other file only while SQLite writes it.
  if (firstWord === "VACUUM" && !isWholeVacuum(words, count - (head.length - words.length)))
    throw refused("VACUUM INTO", "it writes a file beside the database");
  return { text: sql.slice(start, end), firstWord, isExplained };
}

/** The first tokens of the only statement, their number, and its place. */
function findTheOne(sql: string): { head: SqliteToken[]; count: number; start: number; end: number } {
  const head: SqliteToken[] = [];
  let count = 0;
  let start = -1;
  let end = -1;
  let ended = false;
  let last: SqliteToken | null = null;
  let beforeLast: SqliteToken | null = null;
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
    count++;
    end = token.end;
    beforeLast = last;
    last = token;
  }
  if (start < 0) throw badRequest("execute_sql: the SQL holds no statement");
  return { head, count, start, end };
}

/** `VACUUM` or `VACUUM main`. */
function isWholeVacuum(words: SqliteToken[], count: number): boolean {
  return count === 1 || (count === 2 && /^main$/i.test(words[1]!.value));
}

/** Leaves out EXPLAIN and EXPLAIN QUERY PLAN. */
function statementWords(head: SqliteToken[]): SqliteToken[] {
  if (!isWord(head[0], "EXPLAIN")) return head;
  return isWord(head[1], "QUERY") && isWord(head[2], "PLAN") ? head.slice(3) : head.slice(1);
}

function isTrigger(head: SqliteToken[]): boolean {
  const words = statementWords(head);
  if (!isWord(words[0], "CREATE")) return false;
  const temporary = isWord(words[1], "TEMP") || isWord(words[1], "TEMPORARY");
  return isWord(words[temporary ? 2 : 1], "TRIGGER");
}

function isWord(token: SqliteToken | null | undefined, value: string): boolean {
  return token?.type === "word" && token.value === value;
}

function isMark(token: SqliteToken | null, value: string): boolean {
  return token?.type === "mark" && token.value === value;
}

/** See https://sqlite.org/lang_comment.html and lang_keywords.html. */
export function* tokens(sql: string): Generator<SqliteToken> {
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

/** The end of the text where there is no `end`. */
function after(sql: string, end: string, from: number): number {
  const found = sql.indexOf(end, from);
  return found < 0 ? sql.length : found + end.length;
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
