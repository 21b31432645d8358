/** Rows as a request brings them: columns under the names that were sent, whatever the format. */
import type { ColumnData } from "../storage/model/columns.ts";

export type SentCells =
  /** As JSON has them; undefined: the row has no such member. */
  | { form: "values"; at(row: number): unknown }
  /** Fields of a text file; null: the field is empty. */
  | { form: "fields"; at(row: number): string | null }
  /** Numbers, stamps and texts in arrays. */
  | { form: "data"; data: ColumnData; stamps?: StampNotes };

/** What a format says of a column of stamps. */
interface StampNotes {
  /** Of wall clocks that say no zone: their reader must know it. */
  areWallClocks: boolean;
  /** An IANA name in which the column is shown; null: it says none. */
  zone: string | null;
}

export interface WireColumn {
  name: string;
  cells: SentCells;
}

export interface SentTable {
  rows: number;
  columns: WireColumn[];
  /** Of rows that stand under the name of their ticker; null: they don't. */
  tickerOf: ((row: number) => string) | null;
  /** Where a row is, behind its number: ` (line 12)`, or nothing. */
  placeOf(row: number): string;
}

/** A body that isn't of its format, or not whole. */
export class SentTableError extends Error {
  override name = "SentTableError";
}

/** Rows that are read in a turn of the event loop. */
export const ROWS_OF_TURN = 8_192;
