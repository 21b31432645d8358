/** Cuts a batch where one series ends and the next begins. */
import type { ColumnBatch, ColumnData, TextColumn } from "./model/columns.ts";
import { type KindName, kindOf } from "./model/kinds.ts";

/** Rows of one series that come together in a batch. */
export interface SeriesRun {
  ticker: string;
  part: string | null;
  start: number;
  /** Exclusive. */
  end: number;
}

export function seriesRuns(kind: KindName, { rows, columns }: ColumnBatch): SeriesRun[] {
  const { part } = kindOf(kind);
  const tickers = columns.get("ticker") as TextColumn;
  const parts = part === null ? null : (columns.get(part) as TextColumn);
  const runs: SeriesRun[] = [];
  for (let start = 0, end = 1; start < rows; start = end++) {
    while (
      end < rows &&
      tickers.codes[end] === tickers.codes[start] &&
      parts?.codes[end] === parts?.codes[start]
    )
      end++;
    const ticker = textAt(tickers, start);
    runs.push({ ticker, part: parts === null ? null : textAt(parts, start), start, end });
  }
  return runs;
}

export function batchOfRun(batch: ColumnBatch, { start, end }: SeriesRun): ColumnBatch {
  if (start === 0 && end === batch.rows) return batch;
  const cut = ([name, data]: [string, ColumnData]): [string, ColumnData] => [name, cutData(data, start, end)];
  return { rows: end - start, columns: new Map([...batch.columns].map(cut)) };
}

function textAt({ codes, dictionary }: TextColumn, row: number): string {
  return dictionary[codes[row]!]!;
}

function cutData(data: ColumnData, start: number, end: number): ColumnData {
  const nulls = data.nulls?.subarray(start, end) ?? null;
  switch (data.type) {
    case "text":
      return { ...textOf(data, start, end), nulls };
    case "double":
      return { ...data, values: data.values.subarray(start, end), nulls };
    case "date":
      return { ...data, values: data.values.subarray(start, end), nulls };
    default:
      return { ...data, values: data.values.subarray(start, end), nulls };
  }
}

/** With a dictionary of its own texts alone: the batch may have one for each of many series. */
function textOf(
  { codes, dictionary, nulls }: TextColumn,
  start: number,
  end: number,
): Omit<TextColumn, "nulls"> {
  const own: string[] = [];
  const places = new Map<number, number>();
  const ownCodes = new Int32Array(end - start);
  for (let row = start; row < end; row++) {
    if (nulls?.[row] === 1) continue;
    const code = codes[row]!;
    let place = places.get(code);
    if (place === undefined) {
      place = own.push(dictionary[code]!) - 1;
      places.set(code, place);
    }
    ownCodes[row - start] = place;
  }
  return { type: "text", codes: ownCodes, dictionary: own };
}
