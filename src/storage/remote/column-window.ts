/** The rows of a series that a walk asks for, out of batches of all of it, oldest first. */
import { badRequest } from "../../protocol/errors.ts";
import {
  type ColumnArray,
  type ColumnBatch,
  type ColumnData,
  cellReaders,
  type RowKey,
} from "../model/columns.ts";
import { type KindName, kindOf } from "../model/kinds.ts";

/** Rows of a series that wait here to be told from the newest back. */
const REVERSED_ROWS_MAX = 1_000_000;

interface RowWindow {
  /** Of the batches that come out. */
  columns: readonly string[];
  /** Only rows behind it, in the order of the walk. */
  behind: RowKey | null;
  limit: number;
}

export async function* ascendingRows(
  kind: KindName,
  rows: AsyncIterable<ColumnBatch>,
  { columns, behind, limit }: RowWindow,
): AsyncGenerator<ColumnBatch> {
  let left = limit;
  for await (const batch of rows) {
    const start = behind === null ? 0 : firstRow(kind, batch, (byKey) => byKey > 0, behind);
    const end = Math.min(batch.rows, start + left);
    if (end > start) yield cut(batch, columns, start, end);
    left -= end - start;
    if (left <= 0) return;
  }
}

/** @throws RequestError 400 there are too many rows to hold. */
export async function* descendingRows(
  kind: KindName,
  rows: AsyncIterable<ColumnBatch>,
  { columns, behind, limit }: RowWindow,
): AsyncGenerator<ColumnBatch> {
  const kept: ColumnBatch[] = [];
  let held = 0;
  for await (const batch of rows) {
    const end = behind === null ? batch.rows : firstRow(kind, batch, (byKey) => byKey >= 0, behind);
    if (end > 0) kept.push(cut(batch, columns, 0, end));
    held += end;
    while (kept[0] !== undefined && held - kept[0].rows >= limit) held -= kept.shift()!.rows;
    if (held > REVERSED_ROWS_MAX)
      throw badRequest(
        `order: a series has more than ${REVERSED_ROWS_MAX} rows, expected fewer, or a limit, to read it from the newest back through another server`,
      );
    if (end < batch.rows) break;
  }
  let left = limit;
  for (const batch of kept.reverse()) {
    const start = Math.max(0, batch.rows - left);
    yield reversed(cut(batch, columns, start, batch.rows));
    left -= batch.rows - start;
    if (left <= 0) return;
  }
}

/** The first row whose place beside the key is as wanted. */
function firstRow(
  name: KindName,
  batch: ColumnBatch,
  isWanted: (byKey: number) => boolean,
  { stamp, seq }: RowKey,
): number {
  const cells = cellReaders(name, batch);
  const { hasSeq } = kindOf(name);
  for (let row = 0; row < batch.rows; row++) {
    const at = String(cells[0]!(row));
    const bySeq = hasSeq ? Number(cells.at(-1)!(row)) - seq! : 0;
    if (isWanted(at === stamp ? bySeq : at < stamp ? -1 : 1)) return row;
  }
  return batch.rows;
}

/** The rows from one up to another, exclusive. */
function cut(batch: ColumnBatch, columns: readonly string[], start: number, end: number): ColumnBatch {
  return changed(batch, columns, end - start, (values) => values.slice(start, end));
}

function reversed(batch: ColumnBatch): ColumnBatch {
  return changed(batch, [...batch.columns.keys()], batch.rows, (values) => values.toReversed());
}

function changed(
  batch: ColumnBatch,
  columns: readonly string[],
  rows: number,
  change: (values: ColumnArray | Uint8Array) => ColumnArray | Uint8Array,
): ColumnBatch {
  const data = columns.map((name): [string, ColumnData] => {
    const column = batch.columns.get(name)!;
    const nulls = column.nulls === null ? null : change(column.nulls);
    const changed =
      column.type === "text"
        ? { ...column, codes: change(column.codes), nulls }
        : { ...column, values: change(column.values), nulls };
    return [name, changed as ColumnData];
  });
  return { rows, columns: new Map(data) };
}
