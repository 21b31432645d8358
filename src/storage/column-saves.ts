/** Saves as columns, for drivers that store most of them without a row for each. */
import { Int64s } from "./column-values.ts";
import type { ColumnSave, Save } from "./contract.ts";
import { type ColumnBatch, rowsOfBatch } from "./model/columns.ts";
import { kindOf } from "./model/kinds.ts";
import { Int64Reader } from "./model/stamp-text.ts";

/** The same save with rows. */
export function withRows({ batch, ...save }: ColumnSave): Save {
  return { ...save, rows: rowsOfBatch(save.kind, batch) } as Save;
}

/** What of the save is told to whoever asks how many rows it has, and whose they are. */
export function withoutRows({ batch, ...save }: ColumnSave): Save {
  return { ...save, rows: new Array(batch.rows) } as Save;
}

/**
 * The `seq` of each tick, by the rule of `SaveTicks`; null where that takes more than a look at the
 * tick before.
 */
export function seqsOf({ kind, batch }: ColumnSave): BigInt64Array | null {
  const seq = batch.columns.get("seq");
  const stamps = batch.columns.get(kindOf(kind).stamp.name);
  if (seq?.type !== "int64" || stamps?.type !== "instant") return null;
  if (seq.nulls === null) return seq.values;
  if (!seq.nulls.every((isNull) => isNull === 1)) return null;
  const stamp = new Int64Reader(stamps.values);
  const id = batch.columns.get("id");
  const hasId = (row: number): boolean => id !== undefined && id.nulls?.[row] !== 1;
  const seqs = new Int64s(batch.rows);
  let count = 0;
  for (let row = 1; row < batch.rows; row++) {
    if (stamp.at(row) < stamp.at(row - 1)) return null;
    count = stamp.at(row) === stamp.at(row - 1) ? count + 1 : 0;
    if (count > 0 && (hasId(row) || hasId(row - 1))) return null;
    seqs.set(row, count);
  }
  return seqs.values;
}

/** The batch with these instead of its own. */
export function withSeqs({ rows, columns }: ColumnBatch, values: BigInt64Array): ColumnBatch {
  return { rows, columns: new Map([...columns, ["seq", { type: "int64", values, nulls: null }]]) };
}
