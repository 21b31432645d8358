/**
 * PostgreSQL's own parser, compiled to WebAssembly (libpg-query): what it reads in a text is what
 * the database reads in it.
 *
 * It takes some 30 MB, so it is loaded when the first text comes, by the thread that reads
 * statements. An instance whose stack has overflowed is damaged, and one that has read a large text
 * keeps its memory: both are given up, and the next text gets a new one.
 */
import type { ParserModule } from "libpg-query/wasm/libpg-query.js";
import { badRequest, shortened } from "../../protocol/errors.ts";

/**
 * Of a statement, in UTF-8. Reading so much, all of it constants, takes some 50 ms and, for a
 * moment, 100 MB.
 */
const STATEMENT_BYTES_MAX = 2 ** 18;
/**
 * An instance that has read more at once is given up: its memory, a hundred times as much, never
 * shrinks.
 */
const KEPT_AFTER_BYTES = 2 ** 15;
const NUMBERED_PARAMETER = /^\$\d+$/;
/** The signs of which PostgreSQL's operators are made. */
const OPERATOR = /^[~!@#^&|`?+\-*/%<>=]+$/;

/** A node of the tree: its name, and its fields. Lists are arrays; what is unset is left out. */
export type Node = Record<string, unknown>;

export interface ParsedStatement {
  node: Node;
  /** As given, without the semicolon. */
  text: string;
}

let parser: ParserModule | null = null;

/**
 * Whether a statement can be read; not before the first, nor after one that has cost the instance.
 */
export function isParserLoaded(): boolean {
  return parser !== null;
}

export async function loadParser(): Promise<void> {
  const { default: create } = await import("libpg-query/wasm/libpg-query.js");
  parser = await create();
}

/**
 * Needs the parser to be loaded.
 *
 * @returns the statements of the text, without the empty ones.
 * @throws RequestError 400 in PostgreSQL's words; a text that is too long, nested too deeply, or
 *   holds what PostgreSQL can't.
 */
export function parseSql(sql: string): ParsedStatement[] {
  refuseUnreadable(sql);
  // The parser's API takes an empty text for a mistake of its caller.
  if (sql.trim() === "") return [];
  const { stmts = [] } = JSON.parse(inParser(sql, parseInto)) as { stmts?: RawStatement[] };
  if (sql.length > KEPT_AFTER_BYTES) parser = null;
  const bytes = Buffer.from(sql);
  return stmts.map(({ stmt, stmt_location: start = 0, stmt_len: length }) => ({
    node: stmt,
    text: bytes.subarray(start, length === undefined ? bytes.length : start + length).toString(),
  }));
}

interface RawStatement {
  stmt: Node;
  /** In bytes. */
  stmt_location?: number;
  /** Absent: to the end. */
  stmt_len?: number;
}

/**
 * Where question marks stand that are signs of their own or part of an operator, not of a text, a
 * name or a comment. Needs the parser to be loaded.
 *
 * @returns positions in the text; null where it has numbered parameters.
 */
export function questionMarks(sql: string): number[] | null {
  refuseUnreadable(sql);
  const { tokens = [] } = JSON.parse(inParser(sql, scanInto)) as { tokens?: Token[] };
  const bytes = Buffer.from(sql);
  const found: number[] = [];
  for (const { start, text } of tokens) {
    if (NUMBERED_PARAMETER.test(text)) return null;
    if (!OPERATOR.test(text)) continue;
    const before = bytes.subarray(0, start).toString().length;
    for (const { index } of text.matchAll(/\?/g)) found.push(before + index);
  }
  return found;
}

interface Token {
  /** In bytes. */
  start: number;
  text: string;
}

function refuseUnreadable(sql: string): void {
  if (sql.includes("\0")) throw badRequest("execute_sql: the SQL holds a NUL character");
  if (!sql.isWellFormed()) throw badRequest("execute_sql: the SQL holds half of a surrogate pair");
  const bytes = Buffer.byteLength(sql);
  if (bytes > STATEMENT_BYTES_MAX)
    throw badRequest(
      `execute_sql: the SQL has ${bytes} bytes, expected at most ${STATEMENT_BYTES_MAX}; send values as parameters`,
    );
}

function inParser(sql: string, read: (module: ParserModule, text: number) => string): string {
  if (parser === null) throw new Error("the parser isn't loaded");
  const module = parser;
  try {
    const size = module.lengthBytesUTF8(sql) + 1;
    const text = module._malloc(size);
    module.stringToUTF8(sql, text, size);
    try {
      return read(module, text);
    } finally {
      module._free(text);
    }
  } catch (error) {
    if (error instanceof SyntaxRefused) throw syntaxError(error);
    parser = null;
    throw error instanceof RangeError || error instanceof WebAssembly.RuntimeError
      ? badRequest("execute_sql: the statement is nested too deeply")
      : error;
  }
}

/** The text isn't SQL. */
class SyntaxRefused extends Error {
  /** From 1, in characters; 0: unknown. */
  readonly position: number;

  constructor(message: string, position: number) {
    super(message);
    this.position = position;
  }
}

function syntaxError({ message, position }: SyntaxRefused): Error {
  const isTooDeep = message.startsWith("memory exhausted");
  const reason = isTooDeep ? "the statement is nested too deeply" : shortened(message);
  return badRequest(
    `execute_sql: ${reason}`,
    position > 0 ? `at character ${position} of the statement` : {},
  );
}

/** Its result: tree, warnings, error, each a pointer. */
function parseInto(module: ParserModule, text: number): string {
  const result = module._wasm_parse_query_raw(text);
  if (result === 0) throw new RangeError("the parser has no memory left");
  try {
    const error = module.getValue(result + 8, "i32");
    // An error: message, function, file, line, position.
    if (error !== 0)
      throw new SyntaxRefused(
        module.UTF8ToString(module.getValue(error, "i32")),
        module.getValue(error + 16, "i32"),
      );
    return module.UTF8ToString(module.getValue(result, "i32"));
  } finally {
    module._wasm_free_parse_result(result);
  }
}

function scanInto(module: ParserModule, text: number): string {
  const result = module._wasm_scan(text);
  try {
    const answer = module.UTF8ToString(result);
    if (!answer.startsWith("{")) throw new SyntaxRefused(answer, 0);
    return answer;
  } finally {
    module._wasm_free_string(result);
  }
}
