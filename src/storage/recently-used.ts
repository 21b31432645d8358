/**
 * Values by key; those unused longest are dropped. The order of use is a list of its own: a Map
 * keeps an order too, but finding its first entry walks over all that were deleted before it.
 */

interface Entry<V> {
  key: string;
  value: V;
  before: Entry<V> | null;
  after: Entry<V> | null;
}

export class RecentlyUsed<V> {
  readonly #bound: number;
  readonly #weigh: (value: V) => number;
  readonly #entries = new Map<string, Entry<V>>();
  #oldest: Entry<V> | null = null;
  #newest: Entry<V> | null = null;
  #weight = 0;

  /** @param weigh Default: 1 for each value. Must not change while the value is kept. */
  constructor(bound: number, weigh: (value: V) => number = () => 1) {
    this.#bound = bound;
    this.#weigh = weigh;
  }

  get size(): number {
    return this.#entries.size;
  }

  get weight(): number {
    return this.#weight;
  }

  clear(): void {
    this.#entries.clear();
    this.#oldest = null;
    this.#newest = null;
    this.#weight = 0;
  }

  /** Counts as a use. */
  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#unlink(entry);
    this.#append(entry);
    return entry.value;
  }

  /** @returns whether anything was dropped, such as the value itself if it exceeds the bound. */
  set(key: string, value: V): boolean {
    this.delete(key);
    const entry: Entry<V> = { key, value, before: null, after: null };
    this.#entries.set(key, entry);
    this.#append(entry);
    this.#weight += this.#weigh(value);
    let dropped = false;
    while (this.#weight > this.#bound && this.#oldest !== null) {
      this.delete(this.#oldest.key);
      dropped = true;
    }
    return dropped;
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#unlink(entry);
    this.#weight -= this.#weigh(entry.value);
  }

  /** Longest unused first. */
  *entries(): Generator<[string, V]> {
    for (let entry = this.#oldest; entry !== null; entry = entry.after) yield [entry.key, entry.value];
  }

  #append(entry: Entry<V>): void {
    entry.before = this.#newest;
    entry.after = null;
    if (this.#newest === null) this.#oldest = entry;
    else this.#newest.after = entry;
    this.#newest = entry;
  }

  #unlink({ before, after }: Entry<V>): void {
    if (before === null) this.#oldest = after;
    else before.after = after;
    if (after === null) this.#newest = before;
    else after.before = before;
  }
}
