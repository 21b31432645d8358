/** Trades and quotes as they come, the newest first. */
import { type Signal, signal } from "@preact/signals";
import { getColumns, rowCount } from "../../api/columns.ts";
import type { LiveFrame, Quote, Trade } from "../../api/live-frames.ts";

/** Older ones go. */
const ROWS_MAX = 1_000;
const ROWS_FIRST = 200;

export type TapeTrade = Trade & { id: number; symbol: string };
export type TapeQuote = Quote & { id: number; symbol: string };

export class Tape {
  readonly trades: Signal<readonly TapeTrade[]> = signal([]);
  readonly quotes: Signal<readonly TapeQuote[]> = signal([]);
  /** The stored ones are on their way. */
  readonly isLoading = signal(false);
  #next = 0;
  #newTrades: TapeTrade[] = [];
  #newQuotes: TapeQuote[] = [];
  #frame = 0;

  /** Reads the newest ones that are stored. */
  async read(symbol: string, signal: AbortSignal): Promise<void> {
    const params = { symbol, sort: "desc", limit: ROWS_FIRST };
    const [trades, quotes] = await Promise.all([
      getColumns("v1/trades", { ...params, columns: "price,size" }, signal),
      getColumns("v1/quotes", { ...params, columns: "bid_price,bid_size,ask_price,ask_size" }, signal),
    ]);
    const rowsOf = <R>(answer: typeof trades): R[] =>
      Array.from({ length: rowCount(answer) }, (_, row) => {
        const cells = Object.entries(answer.columns).map(([name, values]) => [name, values[row]]);
        return { ...Object.fromEntries(cells), symbol, id: this.#next++ } as R;
      });
    this.trades.value = newestFirst([...this.trades.value, ...rowsOf<TapeTrade>(trades)]);
    this.quotes.value = newestFirst([...this.quotes.value, ...rowsOf<TapeQuote>(quotes)]);
  }

  take(frame: LiveFrame): void {
    const { ticker: symbol } = frame;
    if (frame.type === "trade")
      for (const trade of frame.records) this.#newTrades.push({ ...trade, symbol, id: this.#next++ });
    else if (frame.type === "quote")
      for (const quote of frame.records) this.#newQuotes.push({ ...quote, symbol, id: this.#next++ });
    else return;
    // At most once for each picture of the screen, and never more than are kept.
    if (this.#newTrades.length > ROWS_MAX) this.#newTrades = this.#newTrades.slice(-ROWS_MAX);
    if (this.#newQuotes.length > ROWS_MAX) this.#newQuotes = this.#newQuotes.slice(-ROWS_MAX);
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#show());
  }

  clear(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#newTrades = [];
    this.#newQuotes = [];
    this.trades.value = [];
    this.quotes.value = [];
  }

  #show(): void {
    this.#frame = 0;
    if (this.#newTrades.length > 0)
      this.trades.value = [...this.#newTrades.reverse(), ...this.trades.value].slice(0, ROWS_MAX);
    if (this.#newQuotes.length > 0)
      this.quotes.value = [...this.#newQuotes.reverse(), ...this.quotes.value].slice(0, ROWS_MAX);
    this.#newTrades = [];
    this.#newQuotes = [];
  }
}

function newestFirst<R extends { timestamp: string; id: number }>(rows: R[]): R[] {
  return rows
    .sort((a, b) => (a.timestamp === b.timestamp ? a.id - b.id : a.timestamp < b.timestamp ? 1 : -1))
    .slice(0, ROWS_MAX);
}
