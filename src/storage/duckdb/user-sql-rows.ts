/** Encodes the result of a user's statement to JSON, a vector at a time, so that the event loop gets its turns. */
import {
  DuckDBArrayValue,
  DuckDBBlobValue,
  DuckDBDecimalValue,
  DuckDBListValue,
  DuckDBMapValue,
  type DuckDBMaterializedResult,
  DuckDBStructValue,
  type DuckDBValue,
} from "@duckdb/node-api";
import { badRequest } from "../../protocol/errors.ts";

export interface EncodedRows {
  rows: number;
  bytes: number;
  parts: Uint8Array[];
}

const INT64_END = 2 ** 63;
const encoder = new TextEncoder();

/**
 * Integers and decimals keep all their digits, BLOBs become base64 text, what isn't finite becomes null, and what JSON has no form for is text as DuckDB
 * writes it. Of columns with the same name the last one is kept.
 *
 * @param names of the columns, as the user gave them.
 * @throws RequestError 400 when it has more bytes than allowed.
 */
export async function encodeRows(
  result: DuckDBMaterializedResult,
  { names, maxBytes }: { names: string[]; maxBytes: number },
): Promise<EncodedRows> {
  const columns = columnsOf(names);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  let rows = 0;
  const add = (text: string): void => {
    const part = encoder.encode(text);
    bytes += part.length;
    if (bytes > maxBytes) throw tooManyBytes(maxBytes);
    parts.push(part);
  };
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) break;
    const values = columns.map(({ index }) => chunk.getColumnValues(index));
    const texts: string[] = [];
    for (let row = 0; row < chunk.rowCount; row++) {
      const members = columns.map(({ prefix }, i) => prefix + encodeValue(values[i]![row]!));
      texts.push(`{${members.join(",")}}`);
    }
    add((rows === 0 ? "[" : ",") + texts.join(","));
    rows += chunk.rowCount;
  }
  add(rows === 0 ? "[]" : "]");
  return { rows, bytes, parts };
}

interface Column {
  index: number;
  /** `"name":` */
  prefix: string;
}

function columnsOf(names: readonly string[]): Column[] {
  const byName = new Map(names.map((name, index) => [name, index]));
  return [...byName].map(([name, index]) => ({ index, prefix: `${JSON.stringify(name)}:` }));
}

function encodeValue(value: DuckDBValue): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "number") return encodeNumber(value);
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint" || typeof value === "boolean") return String(value);
  if (value instanceof DuckDBDecimalValue) return trimmed(value.toString());
  if (value instanceof DuckDBBlobValue) return `"${value.bytes.toBase64()}"`;
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue) {
    return `[${value.items.map(encodeValue).join(",")}]`;
  }
  if (value instanceof DuckDBStructValue) return encodeEntries(Object.entries(value.entries));
  if (value instanceof DuckDBMapValue) {
    return encodeEntries(value.entries.map(({ key, value: member }) => [String(key), member]));
  }
  return JSON.stringify(String(value));
}

/** A whole one with all its digits, as integers have them: a volume prints the same whatever the type of its column. */
function encodeNumber(value: number): string {
  if (Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < INT64_END)
    return String(BigInt(value));
  return Number.isFinite(value) ? String(value) : "null";
}

function encodeEntries(entries: [name: string, value: DuckDBValue][]): string {
  return `{${entries.map(([name, value]) => `${JSON.stringify(name)}:${encodeValue(value)}`).join(",")}}`;
}

function trimmed(decimal: string): string {
  return decimal.includes(".") ? decimal.replace(/\.?0+$/, "") : decimal;
}

function tooManyBytes(maxBytes: number): Error {
  return badRequest(`execute_sql: query returned more than ${Math.floor(maxBytes / 2 ** 20)} MB of JSON`);
}
