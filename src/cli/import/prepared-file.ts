/** A file whose layout is decided. */
import type { RowPiece, SourceRow } from "./csv-rows.ts";
import type { Layout } from "./layout.ts";
import type { Source } from "./source.ts";

export interface PreparedFile {
  source: Source;
  format: string;
  layout: Layout;
  /** Of all its rows; null: each row's column says it. */
  ticker: string | null;
  /** The type of ticks or the length of bars, of all rows; null: each row's column says it. */
  part: string | null;
  /** What the column of the ticker has in each row, where `ticker` stands for it. */
  tickerInFile: string | null;
  /** Some of the tickers that the column names. */
  tickersSeen: string[];
  /** Whether some of the first rows have no ticker there, or one with blanks around it. */
  tickerFaults: { blank: boolean; padded: boolean };
  /** For messages: where a row stands. */
  where(line: number): string;
  /** All rows, from the first one of data. */
  rows(): AsyncGenerator<SourceRow[]>;
  /** The same, with plain ticks as columns. */
  pieces(): AsyncGenerator<RowPiece>;
}
