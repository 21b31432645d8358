/**
 * Encodes the result of a user's statement to JSON, a few rows at a time, so that the event loop
 * gets its turns.
 */
import type { DuckDBMaterializedResult } from "@duckdb/node-api";
import { type Cells, cellsOf } from "./json-cells.ts";
import { JsonPieces } from "./json-pieces.ts";

/** Work between two turns of the event loop. */
const TURN_MS = 5;

export interface EncodedRows {
  rows: number;
  bytes: number;
  parts: Uint8Array[];
}

/**
 * Values as in `json-cells.ts`. Of columns with the same name the last one is kept.
 *
 * @param names of the columns, as the user gave them.
 * @param check throws when the statement is to stop; called after each turn of the loop.
 * @throws RequestError 400 when it has more bytes than allowed.
 */
export async function encodeRows(
  result: DuckDBMaterializedResult,
  { names, maxBytes, check }: { names: string[]; maxBytes: number; check(): void },
): Promise<EncodedRows> {
  const columns = columnsOf(names);
  const out = new JsonPieces(maxBytes);
  let rows = 0;
  let since = performance.now();
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) break;
    const cells = columns.map(({ index }) => cellsOf(chunk.getColumnVector(index)));
    for (const _ of encodeChunk({ rowCount: chunk.rowCount, rowsBefore: rows }, columns, cells, out)) {
      if (performance.now() - since < TURN_MS) continue;
      await turn();
      check();
      since = performance.now();
    }
    rows += chunk.rowCount;
  }
  out.add(rows === 0 ? "[]" : "]");
  out.flush();
  return { rows, bytes: out.bytes, parts: out.parts };
}

interface Column {
  index: number;
  /** `"name":` */
  prefix: string;
}

function columnsOf(names: readonly string[]): Column[] {
  const byName = new Map(names.map((name, index) => [name, index]));
  return [...byName].map(([name, index], at) => ({
    index,
    prefix: `${at === 0 ? "{" : ","}${JSON.stringify(name)}:`,
  }));
}

function* encodeChunk(
  { rowCount, rowsBefore }: { rowCount: number; rowsBefore: number },
  columns: Column[],
  cells: Cells[],
  out: JsonPieces,
): Generator<void> {
  for (let row = 0; row < rowCount; row++) {
    out.add(rowsBefore + row === 0 ? "[" : ",");
    for (let at = 0; at < columns.length; at++) {
      out.add(columns[at]!.prefix);
      const rest = cells[at]!(row, out);
      if (rest !== null) yield* rest;
    }
    out.add("}");
    yield;
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
