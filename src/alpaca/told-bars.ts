/**
 * The newest minute of each ticker whose bar subscribers know: a bar of it, or of an earlier one,
 * is a correction.
 */

/** Tickers that are remembered. Beyond it those whose first bar came earliest are forgotten. */
const TICKERS_MAX = 100_000;

export class ToldBars {
  readonly #newest = new Map<string, string>();

  /** @param stamp as stored, in UTC. @returns whether it is a correction. */
  tell(ticker: string, stamp: string): boolean {
    const newest = this.#newest.get(ticker);
    if (newest !== undefined && stamp <= newest) return true;
    this.know(ticker, stamp);
    return false;
  }

  know(ticker: string, stamp: string): void {
    this.#newest.set(ticker, stamp);
    if (this.#newest.size <= TICKERS_MAX) return;
    const [oldest] = this.#newest.keys();
    this.#newest.delete(oldest!);
  }

  forget(ticker: string): void {
    this.#newest.delete(ticker);
  }

  clear(): void {
    this.#newest.clear();
  }
}
