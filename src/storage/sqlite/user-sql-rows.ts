/**
 * Runs a prepared statement and encodes its rows to JSON as they come, so that memory holds them
 * once.
 */
import type { SQLQueryBindings, Statement } from "bun:sqlite";
import { badRequest, RequestError } from "../../protocol/errors.ts";

type Value = null | string | number | bigint | Uint8Array;
type Row = Record<string, Value>;

export interface EncodedRows {
  rows: number;
  bytes: number;
  parts: Uint8Array[];
}

/** Text is turned into bytes once this much has gathered. */
const PART_CHARS = 64 * 1024;
const encoder = new TextEncoder();

/**
 * Integers keep all their digits, BLOBs become base64 text, what isn't finite becomes null; of
 * columns with the same name the last one is kept. The statement's connection must hand out
 * integers as bigint.
 *
 * @throws RequestError 400 when there are more rows or bytes than allowed.
 */
export function collectRows(
  statement: Statement,
  params: SQLQueryBindings[],
  { maxRows, maxBytes }: { maxRows: number; maxBytes: number },
): EncodedRows {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  let rows = 0;
  let columns: Column[] = [];
  let text = "[";
  for (const row of statement.iterate(...params) as Iterable<Row>) {
    if (rows === 0) columns = columnsOf(row);
    if (++rows > maxRows) throw tooManyRows(maxRows);
    if (rows > 1) text += ",";
    text += encodeRow(row, columns, maxBytes);
    if (text.length < PART_CHARS) continue;
    const part = encoder.encode(text);
    bytes += part.length;
    if (bytes > maxBytes) throw tooManyBytes(maxBytes);
    parts.push(part);
    text = "";
  }
  const part = encoder.encode(`${text}]`);
  parts.push(part);
  return { rows, bytes: bytes + part.length, parts };
}

interface Column {
  name: string;
  /** `"name":`, with a comma in front of all but the first. */
  prefix: string;
}

/**
 * From the first row and not from the statement, whose names are those before a change of the
 * schema.
 */
function columnsOf(row: Row): Column[] {
  return Object.keys(row).map((name, i) => ({
    name,
    prefix: `${i === 0 ? "" : ","}${JSON.stringify(name)}:`,
  }));
}

function encodeRow(row: Row, columns: Column[], maxBytes: number): string {
  let text = "{";
  for (const { name, prefix } of columns) text += prefix + encodeValue(row[name] ?? null, maxBytes);
  return `${text}}`;
}

function encodeValue(value: Value, maxBytes: number): string {
  if (value === null) return "null";
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : "null";
  if (typeof value === "bigint") return String(value);
  // Asked before encoding: one value of SQLite may have 1 GB.
  if (value.length > maxBytes) throw tooManyBytes(maxBytes);
  return typeof value === "string" ? JSON.stringify(value) : `"${value.toBase64()}"`;
}

function tooManyRows(maxRows: number): RequestError {
  return new RequestError(400, `execute_sql: query returned more than ${maxRows} rows`, {
    hint: "Add a LIMIT or a narrower WHERE, or start the server with a higher --sql-max-rows.",
  });
}

function tooManyBytes(maxBytes: number): RequestError {
  return badRequest(`execute_sql: query returned more than ${Math.floor(maxBytes / 2 ** 20)} MB of JSON`);
}
