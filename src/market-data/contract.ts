/**
 * Questions of the field: bars, trades and quotes of many tickers, resampled, joined, laid out.
 * Each has one answer, whichever door asks for it: `/v1`, a command, the Alpaca door, a
 * subscription.
 */
import type { FormatColumn } from "../formats/format-columns.ts";
import type { ColumnBatch } from "../storage/model/columns.ts";

/** An answer on its way out. Who takes it reads `batches` to the end, or returns the iterator. */
export interface AnswerTable {
  /** In their order; every batch has them all. */
  columns: readonly FormatColumn[];
  /** Texts of columns of the type `name` that are known before the first row. */
  names: ReadonlyMap<string, readonly string[]>;
  /** In bounded memory, from one snapshot; throws where the answer can't be whole. */
  batches: AsyncIterable<ColumnBatch>;
  /** After the last batch: what `page_token` goes on from; null: there is no more. */
  nextPage(): string | null;
  /** Of each ticker in the snapshot of the rows; null: nobody asked for them. */
  positions: TablePositions | null;
  /** What a reader must know, a sentence each, such as that days are beyond a calendar's span. */
  warnings(): readonly string[];
}

export interface TablePositions {
  epoch: string;
  byTicker: ReadonlyMap<string, number>;
}
