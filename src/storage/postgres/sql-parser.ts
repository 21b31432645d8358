/**
 * PostgreSQL's own parser, compiled to WebAssembly (libpg-query), reads a text as the database
 * does.
 *
 * It takes some 30 MB, so the reading thread loads it with the first text. An instance is given up
 * when its stack has overflowed, which damages it, or when it has read a large text, as its memory
 * never shrinks.
 */
import type { ParserModule } from "libpg-query/wasm/libpg-query.js";
import { badRequest, shortened } from "../../protocol/errors.ts";

/** In UTF-8. A text of this size, all constants, takes some 50 ms and 100 MB. */
const STATEMENT_BYTES_MAX = 2 ** 18;
/**
 * An instance that has read a longer text keeps a hundred times as much memory, and is given up.
 */
const KEPT_AFTER_BYTES = 2 ** 15;
const NUMBERED_PARAMETER = /^\$\d+$/;
/** PostgreSQL's operators consist of these signs. */
const OPERATOR = /^[~!@#^&|`?+\-*/%<>=]+$/;

/** A node has one field, its name. Lists are arrays, and unset fields are absent. */
export type Node = Record<string, unknown>;

export interface ParsedStatement {
  node: Node;
  /** Without the semicolon. */
  text: string;
}

let parser: ParserModule | null = null;

/** False before the first statement, and after one that cost the instance. */
export function isParserLoaded(): boolean {
  return parser !== null;
}

export async function loadParser(): Promise<void> {
  const { default: create } = await import("libpg-query/wasm/libpg-query.js");
  // By itself it looks for its code in the folder that it was installed in.
  const { default: path } = await import("libpg-query/wasm/libpg-query.wasm", { with: { type: "file" } });
  parser = await create({ locateFile: () => path });
}

/**
 * The parser must be loaded.
 * @returns the statements of the text, without empty ones.
 * @throws RequestError 400: a mistake in PostgreSQL's words, or a text that is too long or too
 *   deep.
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
 * Finds question marks outside texts, names and comments. The parser must be loaded.
 * @returns positions in the text; null if it has numbered parameters.
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

class SyntaxRefused extends Error {
  /** In characters, from 1; 0: unknown. */
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

/** The result holds three pointers: tree, warnings, error. */
function parseInto(module: ParserModule, text: number): string {
  const result = module._wasm_parse_query_raw(text);
  if (result === 0) throw new RangeError("the parser has no memory left");
  try {
    const error = module.getValue(result + 8, "i32");
    // An error has message, function, file, line and position.
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
