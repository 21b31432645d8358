/** Collects items of one turn of the event loop, and flushes them together at its end. */
export class TurnBatch<T> {
  readonly #flush: (items: T[]) => void;
  #items: T[] = [];
  #isScheduled = false;

  constructor(flush: (items: T[]) => void) {
    this.#flush = flush;
  }

  push(item: T): void {
    this.#items.push(item);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      const items = this.#items;
      this.#items = [];
      if (items.length > 0) this.#flush(items);
    });
  }

  /** Drops items that were not flushed. */
  clear(): void {
    this.#items = [];
  }
}
