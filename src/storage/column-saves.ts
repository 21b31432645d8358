/** Saves as columns, for drivers that store most of them without a row for each. */
import { Int64s } from "./column-values.ts";
import type { ColumnSave, CommitProgress, Save, SaveOutcome, SaveTicks, StockWriter } from "./contract.ts";
import { type ColumnBatch, rowsOfBatch } from "./model/columns.ts";
import { kindOf } from "./model/kinds.ts";
import { Int64Reader } from "./model/stamp-text.ts";

/** Whether it goes alone, or only with others that have them. */
export function hasColumns(save: Save): boolean {
  return save.kind === "ticks" && save.columns !== undefined;
}

/** Of a row that came as no text; an estimate. */
const ROW_BYTES = 200;

/** What a save that waits takes, about. @param request as it was sent; null: as no text. */
export function bytesOfSave(save: Save, request: string | null): number {
  if (request !== null) return request.length;
  if (save.kind !== "ticks" || save.columns === undefined) return save.rows.length * ROW_BYTES;
  let bytes = 0;
  for (const data of save.columns.columns.values())
    bytes += (data.type === "text" ? data.codes : data.values).byteLength + (data.nulls?.byteLength ?? 0);
  return bytes;
}

/** Commits a batch of saves, none or all of which have columns. */
export function commitBatch(
  writer: Pick<StockWriter, "commit" | "commitColumns" | "commitColumnsTogether">,
  saves: Save[],
  progress?: CommitProgress,
): (SaveOutcome | null)[] | Promise<(SaveOutcome | null)[]> {
  const [save] = saves;
  if (save?.kind !== "ticks" || save.columns === undefined) return writer.commit(saves, progress);
  if (saves.length > 1 && writer.commitColumnsTogether !== undefined)
    return writer.commitColumnsTogether(saves.map((each) => columnSaveOf(each as SaveTicks)));
  const sent = columnSaveOf(save);
  if (writer.commitColumns === undefined) return writer.commit([withRows(sent)], progress);
  const outcome = writer.commitColumns(sent, progress);
  return outcome instanceof Promise ? outcome.then((committed) => [committed]) : [outcome];
}

/** The same save with what its rows are. */
export function withOwnRows(save: Save): Save {
  return save.kind === "ticks" && save.columns !== undefined ? withRows(columnSaveOf(save)) : save;
}

function columnSaveOf({ rows: _, columns, ...save }: SaveTicks): ColumnSave {
  return { ...save, batch: columns! };
}

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
  if (mayRepeatIds(batch, stamps.values)) return null;
  if (seq.nulls === null) return seq.values;
  if (seq.nulls.includes(0)) return null;
  const stamp = new Int64Reader(stamps.values);
  const seqs = new Int64s(batch.rows);
  let count = 0;
  for (let row = 1; row < batch.rows; row++) {
    if (stamp.at(row) < stamp.at(row - 1)) return null;
    count = stamp.at(row) === stamp.at(row - 1) ? count + 1 : 0;
    seqs.set(row, count);
  }
  return seqs.values;
}

/** Whether two ticks of a stamp may have the same id, and so be one. */
function mayRepeatIds({ rows, columns }: ColumnBatch, stamps: BigInt64Array): boolean {
  const ids = columns.get("id");
  if (ids?.type !== "text") return ids !== undefined;
  if (ids.dictionary.length === 0) return false;
  let ofStamp = new Set<number>();
  for (let row = 0; row < rows; row++) {
    if (row > 0 && stamps[row] !== stamps[row - 1]) {
      if (stamps[row]! < stamps[row - 1]!) return true;
      if (ofStamp.size > 0) ofStamp = new Set();
    }
    if (ids.nulls?.[row] === 1) continue;
    const code = ids.codes[row]!;
    if (ofStamp.has(code)) return true;
    ofStamp.add(code);
  }
  return false;
}

/** The batch with these instead of its own. */
export function withSeqs({ rows, columns }: ColumnBatch, values: BigInt64Array): ColumnBatch {
  return { rows, columns: new Map([...columns, ["seq", { type: "int64", values, nulls: null }]]) };
}
