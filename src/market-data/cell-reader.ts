/** The values of one column of a table, row by row. */
import type { ColumnData } from "../storage/model/columns.ts";

export type Cell = number | bigint | string | null;

/** @returns the value of a row, as it stands in the batch. */
export function cellReader(data: ColumnData): (row: number) => Cell {
  const { nulls } = data;
  const read: (row: number) => Cell =
    data.type === "text" ? (row) => data.dictionary[data.codes[row]!]! : (row) => data.values[row]!;
  return nulls === null ? read : (row) => (nulls[row] === 1 ? null : read(row));
}
