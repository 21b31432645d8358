/**
 * Keeps the newest updates of all tickers in memory: most clients that reconnect missed seconds. A
 * ticker's updates here have no holes, and end with its newest.
 */
import type { StoredUpdate, UpdateLimit } from "../update-contract.ts";

/** UTF-16 units of all frames, one or two bytes each. */
const CHARACTERS_MAX = 8 * 1024 * 1024;
/** About 10 MB besides the frames. */
const UPDATES_MAX = 32_768;

export class RecentUpdates {
  readonly #byTicker = new Map<string, Map<number, StoredUpdate>>();
  /** In order of commit. */
  #order: { ticker: string; update: StoredUpdate }[] = [];
  /** The first entry of `#order` that is still kept. */
  #oldest = 0;
  #characters = 0;

  add(ticker: string, update: StoredUpdate): void {
    let updates = this.#byTicker.get(ticker);
    if (updates === undefined) {
      updates = new Map();
      this.#byTicker.set(ticker, updates);
    }
    updates.set(update.position, update);
    this.#order.push({ ticker, update });
    this.#characters += update.frame.length;
    while (this.#characters > CHARACTERS_MAX || this.#order.length - this.#oldest > UPDATES_MAX) {
      this.#dropOldest();
    }
  }

  /** Null: the caller must ask the database. */
  after(ticker: string, after: number, limit: UpdateLimit): StoredUpdate[] | null {
    const kept = this.#byTicker.get(ticker);
    if (kept?.has(after + 1) !== true) return null;
    const updates: StoredUpdate[] = [];
    let characters = 0;
    for (let seq = after + 1; ; seq++) {
      const update = kept.get(seq);
      if (update === undefined) return updates;
      updates.push(update);
      characters += update.frame.length;
      if (updates.length >= limit.updates || characters >= limit.characters) return updates;
    }
  }

  clear(): void {
    this.#byTicker.clear();
    this.#order = [];
    this.#oldest = 0;
    this.#characters = 0;
  }

  #dropOldest(): void {
    const { ticker, update } = this.#order[this.#oldest++]!;
    this.#characters -= update.frame.length;
    const updates = this.#byTicker.get(ticker)!;
    updates.delete(update.position);
    if (updates.size === 0) this.#byTicker.delete(ticker);
    if (this.#oldest < UPDATES_MAX) return;
    this.#order = this.#order.slice(this.#oldest);
    this.#oldest = 0;
  }
}
