/**
 * Numbers the ticks of a series that share a stamp 0, 1, 2 …, as an import of the same rows does,
 * so that a tick which is saved twice meets itself. The stamps of a series never descend here, so
 * the last one of each is all there is to remember.
 */
export class TickNumbers {
  readonly #last = new Map<string, { stamp: string; next: number }>();

  next(ticker: string, type: string, stamp: string): number {
    const series = `${type}\0${ticker}`;
    const last = this.#last.get(series);
    if (last?.stamp === stamp) return last.next++;
    this.#last.set(series, { stamp, next: 1 });
    return 0;
  }
}
