/** Trades and quotes as they come, the newest first. */
import { type Signal, signal } from "@preact/signals";
import { type Columns, getColumns, rowCount } from "../../api/columns.ts";
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
  /** Frames that come while the rows of their ticker are read. */
  readonly #waiting = new Map<string, LiveFrame[]>();
  /** The position up to which rows were read, by type and ticker. */
  readonly #upTo = new Map<string, number>();
  #next = 0;
  #newTrades: TapeTrade[] = [];
  #newQuotes: TapeQuote[] = [];
  #frame = 0;

  /** Reads the newest ones that are stored, in place of what there is of the ticker. */
  async read(symbol: string, signal: AbortSignal): Promise<void> {
    this.#waiting.set(symbol, []);
    try {
      const params = { symbol, sort: "desc", limit: ROWS_FIRST, with_position: true };
      const [trades, quotes] = await Promise.all([
        getColumns("v1/trades", { ...params, columns: "price,size" }, signal),
        getColumns("v1/quotes", { ...params, columns: "bid_price,bid_size,ask_price,ask_size" }, signal),
      ]);
      const others = <R extends { symbol: string }>(rows: readonly R[]) =>
        rows.filter((row) => row.symbol !== symbol);
      const newTrades = this.#rowsOf<TapeTrade>(trades, symbol);
      this.trades.value = newestFirst([...others(this.trades.value), ...newTrades]);
      const newQuotes = this.#rowsOf<TapeQuote>(quotes, symbol);
      this.quotes.value = newestFirst([...others(this.quotes.value), ...newQuotes]);
      this.#upTo.set(`trade ${symbol}`, trades.positions[symbol] ?? 0);
      this.#upTo.set(`quote ${symbol}`, quotes.positions[symbol] ?? 0);
    } finally {
      const waiting = this.#waiting.get(symbol) ?? [];
      this.#waiting.delete(symbol);
      for (const frame of waiting) this.take(frame);
    }
  }

  /** What was read already isn't taken again. */
  take(frame: LiveFrame): void {
    if (frame.type !== "trade" && frame.type !== "quote") return;
    const { ticker: symbol, position } = frame;
    const waiting = this.#waiting.get(symbol);
    if (waiting !== undefined) {
      waiting.push(frame);
      if (waiting.length > ROWS_MAX) waiting.shift();
      return;
    }
    if (position !== null && position <= (this.#upTo.get(`${frame.type} ${symbol}`) ?? 0)) return;
    if (frame.type === "trade")
      for (const trade of frame.records) this.#newTrades.push({ ...trade, symbol, id: this.#next++ });
    else for (const quote of frame.records) this.#newQuotes.push({ ...quote, symbol, id: this.#next++ });
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

  #rowsOf<R>(answer: Columns, symbol: string): R[] {
    return Array.from({ length: rowCount(answer) }, (_, row) => {
      const cells = Object.entries(answer.columns).map(([name, values]) => [name, values[row]]);
      return { ...Object.fromEntries(cells), symbol, id: this.#next++ } as R;
    });
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
