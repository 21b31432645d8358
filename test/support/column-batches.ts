/** Rows as a batch of columns, for saves. */
import { type ColumnBatch, type ColumnData, rowColumnNames } from "../../src/storage/model/columns.ts";
import { type KindName, kindOf, type SeriesRow, type SeriesValue } from "../../src/storage/model/kinds.ts";

export function batchOfRows(kind: KindName, rows: SeriesRow[]): ColumnBatch {
  const columns = rowColumnNames(kind).map((name, index): [string, ColumnData] => [
    name,
    columnOf(
      kind,
      name,
      rows.map((row) => row[index]!),
    ),
  ]);
  return { rows: rows.length, columns: new Map(columns) };
}

function columnOf(kind: KindName, name: string, cells: SeriesValue[]): ColumnData {
  const { stamp, values } = kindOf(kind);
  const holes = Uint8Array.from(cells, (cell) => (cell === null ? 1 : 0));
  const nulls = holes.includes(1) ? holes : null;
  if (name === stamp.name) return stampsOf(stamp.type, cells as string[], null);
  const type = values.find((value) => value.name === name)?.type ?? "count";
  if (type === "double") return { type, values: Float64Array.from(cells, Number), nulls };
  if (type === "date" || type === "second" || type === "instant")
    return stampsOf(
      type,
      cells.map((cell) => String(cell ?? "1970-01-01 00:00:00")),
      nulls,
    );
  if (type !== "count") return textsOf(cells, nulls);
  const isWhole = (cell: SeriesValue): boolean => typeof cell !== "number" || Number.isInteger(cell);
  if (cells.every(isWhole))
    return { type: "int64", values: BigInt64Array.from(cells, (cell) => BigInt(cell ?? 0)), nulls };
  return cells.some((cell) => typeof cell === "string")
    ? textsOf(cells, nulls)
    : { type: "double", values: Float64Array.from(cells, Number), nulls };
}

function stampsOf(type: string, stamps: string[], nulls: Uint8Array | null): ColumnData {
  const daysOf = (stamp: string): number => Date.parse(stamp.slice(0, 10)) / 86_400_000;
  if (type === "date") return { type, values: Int32Array.from(stamps, daysOf), nulls };
  const micros = (stamp: string): bigint =>
    BigInt(Date.parse(`${stamp.slice(0, 19).replace(" ", "T")}Z`)) * 1_000n + BigInt(stamp.slice(20) || 0);
  return { type: "instant", values: BigInt64Array.from(stamps, micros), nulls };
}

function textsOf(cells: SeriesValue[], nulls: Uint8Array | null): ColumnData {
  const dictionary = [...new Set(cells.map((cell) => String(cell ?? "")))];
  const codes = Int32Array.from(cells, (cell) => dictionary.indexOf(String(cell ?? "")));
  return { type: "text", codes, dictionary, nulls };
}
