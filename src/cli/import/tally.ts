/** Counts what became of the rows of an import, by ticker. */
import type { RowCounts } from "./target.ts";

export interface TickerTally extends RowCounts {
  ticker: string;
  rows: number;
}

export class Tally {
  readonly #byTicker = new Map<string, TickerTally>();

  add(ticker: string, rows: number, counts: RowCounts): void {
    let tally = this.#byTicker.get(ticker);
    if (tally === undefined) {
      tally = { ticker, rows: 0, stored: 0, replaced: 0, repeated: 0, skipped: 0 };
      this.#byTicker.set(ticker, tally);
    }
    tally.rows += rows;
    tally.stored += counts.stored;
    tally.replaced += counts.replaced;
    tally.repeated += counts.repeated;
    tally.skipped += counts.skipped;
  }

  /** By name. */
  tickers(): TickerTally[] {
    return [...this.#byTicker.values()].sort((a, b) => (a.ticker < b.ticker ? -1 : 1));
  }

  total(): Omit<TickerTally, "ticker"> {
    const total = { rows: 0, stored: 0, replaced: 0, repeated: 0, skipped: 0 };
    for (const tally of this.#byTicker.values()) {
      total.rows += tally.rows;
      total.stored += tally.stored;
      total.replaced += tally.replaced;
      total.repeated += tally.repeated;
      total.skipped += tally.skipped;
    }
    return total;
  }
}
