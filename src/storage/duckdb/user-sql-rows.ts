/** Encodes a user's result as JSON, with turns for the event loop. */
import type { DuckDBMaterializedResult } from "@duckdb/node-api";
import { turn } from "../../time/pauses.ts";
import { type AnswerLimits, AnswerRows, membersOf, type ObjectMember } from "../sql-answer.ts";
import type { EncodedRows } from "../user-sql-contract.ts";
import { type Cells, cellsOf } from "./json-cells.ts";

const TURN_MS = 5;

/**
 * Encodes values as `cellsOf` does.
 *
 * @param names of the columns, as the user gave them.
 * @param check throws to stop the statement; called after each turn.
 * @throws RequestError 400 there are too many rows or bytes.
 */
export async function encodeRows(
  result: DuckDBMaterializedResult,
  { names, check, ...limits }: AnswerLimits & { names: string[]; check(): void },
): Promise<EncodedRows> {
  const members = membersOf(names);
  const out = new AnswerRows(limits);
  let since = performance.now();
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) return out.finish();
    const cells = members.map(({ index }) => cellsOf(chunk.getColumnVector(index)));
    for (const _ of encodeChunk(chunk.rowCount, members, cells, out)) {
      if (performance.now() - since < TURN_MS) continue;
      await turn();
      check();
      since = performance.now();
    }
  }
}

function* encodeChunk(
  rowCount: number,
  members: ObjectMember[],
  cells: Cells[],
  out: AnswerRows,
): Generator<void> {
  for (let row = 0; row < rowCount; row++) {
    out.beginRow();
    for (let at = 0; at < members.length; at++) {
      out.add(members[at]!.prefix);
      const rest = cells[at]!(row, out);
      if (rest !== null) yield* rest;
    }
    out.endRow();
    yield;
  }
}
