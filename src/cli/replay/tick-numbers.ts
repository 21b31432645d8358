/**
 * Numbers ticks of a series with the same stamp 0, 1, 2 …, as an import does: a tick saved twice
 * gets the same number. Stamps never descend here, so the last one of each series is enough.
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
