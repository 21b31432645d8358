/**
 * Reads the first words of a statement as DuckDB does: skips blanks and nested comments, and
 * unquotes names. Needs one pass, where a regular expression could try forever.
 */

/** DuckDB takes all of Unicode's blanks for spaces. */
const BLANK = /[\s\u200b\u205f\u2060]/;
const WORD = /[a-z0-9_$\u0080-\uffff]/i;

/** @returns up to `max` words and names in lower case, and single marks. */
export function firstWords(sql: string, max: number): string[] {
  const words: string[] = [];
  let at = 0;
  while (words.length < max) {
    at = skipBlanks(sql, at);
    if (at >= sql.length) break;
    const end = endOfWord(sql, at);
    words.push(wordOf(sql.slice(at, end)));
    at = end;
  }
  return words;
}

/** The depth of nested comments, at most. Comments within strings count too. */
export function commentDepth(sql: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [mark] of sql.matchAll(/\/\*|\*\//g)) {
    depth = mark === "/*" ? depth + 1 : Math.max(0, depth - 1);
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

function skipBlanks(sql: string, from: number): number {
  let at = from;
  for (;;) {
    if (at < sql.length && BLANK.test(sql[at]!)) at++;
    else if (sql.startsWith("--", at)) at = endOfLine(sql, at);
    else if (sql.startsWith("/*", at)) at = endOfComment(sql, at);
    else return at;
  }
}

function endOfLine(sql: string, from: number): number {
  let at = from;
  while (at < sql.length && sql[at] !== "\n" && sql[at] !== "\r") at++;
  return at;
}

function endOfComment(sql: string, from: number): number {
  let depth = 0;
  let at = from;
  while (at < sql.length) {
    if (sql.startsWith("/*", at)) depth++;
    else if (sql.startsWith("*/", at)) depth--;
    else {
      at++;
      continue;
    }
    at += 2;
    if (depth === 0) return at;
  }
  return at;
}

function endOfWord(sql: string, from: number): number {
  const quote = sql[from]!;
  let at = from + 1;
  if (quote === '"') {
    // A quote within a name is doubled.
    while (at < sql.length && (sql[at] !== '"' || sql[at + 1] === '"')) at += sql[at] === '"' ? 2 : 1;
    return at + 1;
  }
  if (!WORD.test(quote)) return at;
  while (at < sql.length && WORD.test(sql[at]!) && !BLANK.test(sql[at]!)) at++;
  return at;
}

function wordOf(text: string): string {
  const name = text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text;
  return name.toLowerCase();
}
