/** A statement for the log: who reads it must see what is run, and none of the values in it. */

const CHARS_MAX = 120;
/** Of the statement, before it is made readable: it may have megabytes. */
const READ_CHARS_MAX = 2_000;
/** A text, a quoted name, a comment, or a number; each to the end where it isn't closed. */
const LITERALS =
  /'(?:[^']|'')*(?:'|$)|"(?:[^"]|"")*(?:"|$)|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|\$(\w*)\$[\s\S]*?(?:\$\1\$|$)|\b(?:0x[0-9a-f]+|\d+(?:\.\d+)?(?:e[+-]?\d+)?)\b/gi;

export function withoutLiterals(sql: string, charsMax = CHARS_MAX): string {
  const text = sql
    .slice(0, READ_CHARS_MAX)
    .replace(LITERALS, (literal) => (literal.startsWith("--") || literal.startsWith("/*") ? " " : "?"))
    .replace(/\s+/g, " ")
    .trim();
  return text.length > charsMax ? `${text.slice(0, charsMax)}…` : text;
}
