/** Runs a prepared statement and encodes its rows as they come, so that memory holds them once. */
import type { SQLQueryBindings, Statement } from "bun:sqlite";
import { type AnswerLimits, AnswerRows, membersOf, type ObjectMember } from "../sql-answer.ts";
import type { EncodedRows } from "../user-sql-contract.ts";

type Value = null | string | number | bigint | Uint8Array;
type Row = Record<string, Value>;

/**
 * Integers keep all digits, BLOBs become base64, numbers that aren't finite null. The connection
 * must give bigints. @throws RequestError 400: too many rows or bytes.
 */
export function collectRows(
  statement: Statement,
  params: SQLQueryBindings[],
  limits: AnswerLimits,
): EncodedRows {
  const out = new AnswerRows(limits);
  let members: ObjectMember[] = [];
  for (const row of statement.iterate(...params) as Iterable<Row>) {
    // The statement's own names are those before a change of the schema.
    if (out.rows === 0) members = membersOf(Object.keys(row));
    out.beginRow();
    for (const { name, prefix } of members) out.add(prefix + encodeValue(row[name] ?? null, out));
    out.endRow();
  }
  return out.finish();
}

function encodeValue(value: Value, out: AnswerRows): string {
  if (value === null) return "null";
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : "null";
  if (typeof value === "bigint") return String(value);
  // One value of SQLite may have 1 GB.
  out.expect(value.length);
  return typeof value === "string" ? JSON.stringify(value) : `"${value.toBase64()}"`;
}
