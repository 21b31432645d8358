/** Columns on their way into a table, row by row, as SQLite takes them. */
import type { SQLQueryBindings, Statement } from "bun:sqlite";
import { type ColumnBatch, cellReaders } from "../model/columns.ts";
import type { KindName } from "../model/kinds.ts";

/** As in writer.ts: a save is told that often that it gets on. */
const HEARD_ROWS = 100;

interface Insertion {
  /** Of the series, the row and the time of writing. */
  statement: Statement<unknown, SQLQueryBindings[]>;
  series: string[];
  time: string;
  heard(): void;
}

/** A key is stored already, or a trigger ignores the row. */
export class TakenKeyError extends Error {
  override name = "TakenKeyError";
}

/** @throws TakenKeyError a row was not stored. */
export function insertColumns(
  kind: KindName,
  batch: ColumnBatch,
  { statement, series, time, heard }: Insertion,
): void {
  const cells = cellReaders(kind, batch);
  const first = series.length;
  const values: SQLQueryBindings[] = [...series, ...cells.map(() => null), time];
  for (let row = 0; row < batch.rows; row++) {
    if (row % HEARD_ROWS === 0) heard();
    for (let i = 0; i < cells.length; i++) values[first + i] = cells[i]!(row);
    if (statement.run(...values).changes === 0) throw new TakenKeyError(`row ${row} is not stored`);
  }
}
