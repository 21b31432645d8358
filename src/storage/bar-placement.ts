/**
 * Decides in memory what a batch of saves of bars writes, given which of their keys are stored: for engines that are asked once
 * about all of them and told once what to write.
 */
import type { BarRow, SaveBars, SaveOutcome } from "./contract.ts";
import { keysTaken } from "./save-refusals.ts";

export class BarPlacement {
  readonly #stored = new Map<string, Set<string>>();
  readonly #rows = new Map<string, Map<string, BarRow>>();

  /** Needed for the keys of saves that don't replace. */
  addStored(ticker: string, stamp: string): void {
    let stamps = this.#stored.get(ticker);
    if (stamps === undefined) {
      stamps = new Set();
      this.#stored.set(ticker, stamps);
    }
    stamps.add(stamp);
  }

  /** The position of its update is not known here: null. */
  place({ ticker, interval, rows, onDuplicate }: SaveBars): SaveOutcome {
    let kept = rows;
    if (onDuplicate === "error") {
      const taken = rows.filter((row) => this.#isTaken(ticker, row[0])).map((row) => row[0]);
      if (taken.length > 0) return keysTaken(`save_stock_data: ${ticker} ${interval}`, taken);
    } else if (onDuplicate === "keep") {
      kept = rows.filter((row) => !this.#isTaken(ticker, row[0]));
    }
    if (kept.length > 0) {
      let placed = this.#rows.get(ticker);
      if (placed === undefined) {
        placed = new Map();
        this.#rows.set(ticker, placed);
      }
      for (const row of kept) placed.set(row[0], row);
    }
    return { ok: true, stored: kept.length, seq: null };
  }

  /** What there is to write, by ticker: rows ascending, each stamp once. */
  changes(): Map<string, BarRow[]> {
    const changes = new Map<string, BarRow[]>();
    for (const [ticker, rows] of this.#rows)
      changes.set(
        ticker,
        [...rows.values()].sort((a, b) => (a[0] < b[0] ? -1 : 1)),
      );
    return changes;
  }

  #isTaken(ticker: string, stamp: string): boolean {
    return this.#rows.get(ticker)?.has(stamp) === true || this.#stored.get(ticker)?.has(stamp) === true;
  }
}
