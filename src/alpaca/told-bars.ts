/**
 * The newest minute of each ticker whose bar subscribers know: a bar of it, or of an earlier one,
 * is a correction.
 */

/** Tickers that are remembered. Beyond it those whose first bar came earliest are forgotten. */
const TICKERS_MAX = 100_000;

interface ToldMinute {
  /** As stored, in UTC. */
  stamp: string;
  /** Bars of the ticker are stored, and not only made of its trades. */
  isStored: boolean;
}

export class ToldBars {
  readonly #newest = new Map<string, ToldMinute>();

  isStored(ticker: string): boolean {
    return this.#newest.get(ticker)?.isStored === true;
  }

  /** @returns whether the bar is a correction. */
  tell(ticker: string, { stamp, isStored }: ToldMinute): boolean {
    const before = this.#newest.get(ticker);
    const isCorrection = before !== undefined && stamp <= before.stamp;
    this.know(ticker, {
      stamp: isCorrection ? before.stamp : stamp,
      isStored: isStored || before?.isStored === true,
    });
    return isCorrection;
  }

  know(ticker: string, newest: ToldMinute): void {
    this.#newest.set(ticker, newest);
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
