import type { SQL } from "bun";
import { type AnswerRows, membersOf } from "../sql-answer.ts";

const decoder = new TextDecoder();

/** Fixed numbers of types in PostgreSQL's catalog. */
const BOOL = 16;
const BYTEA = 17;
const NUMBERS = new Set([20, 21, 23, 26, 700, 701, 1700]);
const JSONS = new Set([114, 3802]);
const TIMESTAMPS = new Set([1114, 1184]);
/** The server's sessions write ISO stamps in UTC. */
const TIMESTAMP = /^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(?:\+00)?$/;

export type Cells = (Uint8Array | null)[];

/**
 * Numbers keep all digits, and those that aren't finite become null. Stamps have six digits and
 * mean UTC, JSON stays JSON, bytea becomes base64, and the rest is PostgreSQL's text.
 * @throws RequestError 400 too many rows or bytes.
 */
export function addRows(out: AnswerRows, rows: Cells[], columns: SQL.ResultColumn[]): void {
  const members = membersOf(columns.map(({ name }) => name));
  for (const cells of rows) {
    // The text takes several times as much memory as the cells.
    out.expect(sizeOf(cells));
    out.beginRow();
    for (const { index, prefix } of members)
      out.add(prefix + encodeCell(cells[index] ?? null, columns[index]!.type));
    out.endRow();
  }
}

export function sizeOf(cells: Cells): number {
  let size = 0;
  for (const cell of cells) size += cell?.length ?? 0;
  return size;
}

function encodeCell(cell: Uint8Array | null, type: number): string {
  if (cell === null) return "null";
  const text = decoder.decode(cell);
  if (NUMBERS.has(type)) return /^-?\d/.test(text) ? text : "null";
  if (type === BOOL) return text === "t" ? "true" : "false";
  if (JSONS.has(type)) return text;
  if (TIMESTAMPS.has(type)) return JSON.stringify(sixDigits(text));
  if (type === BYTEA && text.startsWith("\\x")) return `"${Uint8Array.fromHex(text.slice(2)).toBase64()}"`;
  return JSON.stringify(text);
}

function sixDigits(text: string): string {
  const [, seconds, fraction = ""] = TIMESTAMP.exec(text) ?? [];
  return seconds === undefined ? text : `${seconds}.${fraction.padEnd(6, "0")}`;
}
