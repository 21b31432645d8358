/** The rows of one ticker in a batch, which follow each other. */
import type { ColumnBatch, TextColumn } from "../storage/model/columns.ts";

interface TickerRun {
  ticker: string;
  from: number;
  /** Exclusive. */
  to: number;
}

/** In order. @param batch has the column `symbol`. */
export function* runsOf({ rows, columns }: ColumnBatch): Generator<TickerRun> {
  const { codes, dictionary } = columns.get("symbol") as TextColumn;
  for (let from = 0; from < rows; ) {
    const code = codes[from]!;
    let to = from + 1;
    while (to < rows && codes[to] === code) to++;
    yield { ticker: dictionary[code]!, from, to };
    from = to;
  }
}
