/**
 * The writers' own notes: which records were sent, and which of them the server has promised to
 * hold.
 */
import { Bits } from "./bits.ts";
import type { Kind, NumberedSave } from "./numbered-saves.ts";

export interface TickerBook {
  ticker: string;
  /** Number of the next record. */
  next: number;
  /** Records whose save was answered with 200. */
  answered: Bits;
  answeredSaves: number;
  /** Saves that were refused, or whose answer never came. */
  uncertainSaves: number;
}

export class Books {
  readonly tickers: readonly TickerBook[];

  constructor(tickers: readonly string[]) {
    this.tickers = tickers.map((ticker) => ({
      ticker,
      next: 1,
      answered: new Bits(),
      answeredSaves: 0,
      uncertainSaves: 0,
    }));
  }

  /** Numbers for a save that is about to be sent. */
  begin(book: TickerBook, kind: Kind, count: number): NumberedSave {
    const first = book.next;
    book.next += count;
    return { ticker: book.ticker, kind, first, count };
  }

  answered(book: TickerBook, { first, count }: NumberedSave): void {
    book.answeredSaves++;
    for (let n = first; n < first + count; n++) book.answered.add(n);
  }
}
