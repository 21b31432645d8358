/** The rows of a body as the parts in which they are stored, each in one transaction. */
import { sliceBatch } from "../../market-data/answer-batches.ts";
import type { ColumnBatch, ColumnData } from "../../storage/model/columns.ts";
import type { ReadRows } from "./sent-rows.ts";

/** Rows of a transaction. A request of no more is stored as a whole or not at all. */
const TRANSACTION_ROWS_MAX = 15_000;
/** Rows of one ticker that follow each other get parts of their own: they go as columns. */
export const ALONE_ROWS_MIN = 2_000;

export interface WritePart {
  /** The same whether tickers are stored together or not, so that both find a repetition. */
  index: number;
  /** Of the request; `end` is exclusive. */
  start: number;
  end: number;
  series: PartSeries[];
}

/** Rows of one ticker, in the order in which they came. */
export interface PartSeries {
  ticker: string;
  batch: ColumnBatch;
  /** The row of the request. */
  rowOf(index: number): number;
}

/** @param areAlone tickers can't be stored together: each has a part of its own. */
export function* writeParts(read: ReadRows, areAlone: boolean): Generator<WritePart> {
  for (const [index, [start, end]] of bounds(read).entries()) {
    const series = seriesOf(read, start, end);
    if (!areAlone) yield { index, start, end, series };
    else for (const each of series) yield { index, start, end, series: [each] };
  }
}

function bounds({ rows, tickers: { codes } }: ReadRows): [start: number, end: number][] {
  if (rows <= TRANSACTION_ROWS_MAX) return rows === 0 ? [] : [[0, rows]];
  const found: [number, number][] = [];
  let start = 0;
  const endAt = (end: number): void => {
    for (; start < end; start = Math.min(end, start + TRANSACTION_ROWS_MAX))
      found.push([start, Math.min(end, start + TRANSACTION_ROWS_MAX)]);
  };
  for (let run = 0; run < rows; ) {
    let end = run + 1;
    while (end < rows && codes[end] === codes[run]) end++;
    if (end - run >= ALONE_ROWS_MIN) {
      endAt(run);
      endAt(end);
    } else if (end - start > TRANSACTION_ROWS_MAX) endAt(run);
    run = end;
  }
  endAt(rows);
  return found;
}

function seriesOf(
  { tickers: { codes, dictionary }, batch }: ReadRows,
  start: number,
  end: number,
): PartSeries[] {
  const rowsOf = new Map<number, number[]>();
  let isOneRun = true;
  for (let row = start + 1; row < end && isOneRun; row++) isOneRun = codes[row] === codes[start];
  if (isOneRun) {
    const whole = {
      ticker: dictionary[codes[start]!]!,
      batch: sliceBatch(batch, start, end),
      rowOf: (index: number) => start + index,
    };
    return [whole];
  }
  for (let row = start; row < end; row++) {
    const rows = rowsOf.get(codes[row]!);
    if (rows === undefined) rowsOf.set(codes[row]!, [row]);
    else rows.push(row);
  }
  return [...rowsOf].map(([code, rows]) => ({
    ticker: dictionary[code]!,
    batch: gathered(batch, rows),
    rowOf: (index: number) => rows[index]!,
  }));
}

function gathered({ columns }: ColumnBatch, rows: readonly number[]): ColumnBatch {
  const picked = [...columns].map(([name, data]): [string, ColumnData] => [name, gatheredData(data, rows)]);
  return { rows: rows.length, columns: new Map(picked) };
}

function gatheredData(data: ColumnData, rows: readonly number[]): ColumnData {
  const nulls = data.nulls === null ? null : pick(data.nulls, new Uint8Array(rows.length), rows);
  switch (data.type) {
    case "text":
      return { ...data, codes: pick(data.codes, new Int32Array(rows.length), rows), nulls };
    case "double":
      return { ...data, values: pick(data.values, new Float64Array(rows.length), rows), nulls };
    case "date":
      return { ...data, values: pick(data.values, new Int32Array(rows.length), rows), nulls };
    default:
      return { ...data, values: pick(data.values, new BigInt64Array(rows.length), rows), nulls };
  }
}

function pick<A extends { [index: number]: unknown }>(from: A, into: A, rows: readonly number[]): A {
  for (const [index, row] of rows.entries()) into[index] = from[row];
  return into;
}
