/** Closed buckets that wait to be read, as something of them has changed. */
import type { Bucket } from "../calendar/contract.ts";

/** With more of them, clients have to ask for the bars. */
export const DIRTY_MAX = 256;
/** Clients are told when they wait for so long: less than the time that those who come back get. */
const WAIT_MAX_MS = 45_000;

export interface BucketSpan {
  from: number;
  until: number;
}

export class DirtyBuckets {
  readonly #buckets = new Map<number, Bucket>();
  /** Since when there are some; null: there are none. */
  #sinceMs: number | null = null;
  #isLateTold = false;

  get size(): number {
    return this.#buckets.size;
  }

  /** @returns where they lie if there are too many with these: then none is left. */
  add(buckets: Iterable<Bucket>): BucketSpan | null {
    for (const bucket of buckets) this.#buckets.set(bucket.start, bucket);
    if (this.#buckets.size > 0) this.#sinceMs ??= performance.now();
    return this.#buckets.size > DIRTY_MAX ? this.takeAll() : null;
  }

  get newest(): Bucket | null {
    let newest: Bucket | null = null;
    for (const bucket of this.#buckets.values())
      if (newest === null || bucket.start > newest.start) newest = bucket;
    return newest;
  }

  /** Those that begin within the time, in order. @param until exclusive. */
  between(from: number, until: number): Bucket[] {
    const found = [...this.#buckets.values()].filter(({ start }) => start >= from && start < until);
    return found.sort((a, b) => a.start - b.start);
  }

  delete({ start }: Bucket): boolean {
    const isThere = this.#buckets.delete(start);
    if (this.#buckets.size === 0) this.#restart();
    return isThere;
  }

  /** Null: there was none. */
  takeAll(): BucketSpan | null {
    const span = this.#span();
    this.#buckets.clear();
    this.#restart();
    return span;
  }

  /** Where those lie that have waited for long; told once. */
  late(): BucketSpan | null {
    if (this.#sinceMs === null || this.#isLateTold) return null;
    if (performance.now() - this.#sinceMs < WAIT_MAX_MS) return null;
    this.#isLateTold = true;
    return this.#span();
  }

  #span(): BucketSpan | null {
    if (this.#buckets.size === 0) return null;
    const buckets = [...this.#buckets.values()];
    return {
      from: Math.min(...buckets.map(({ start }) => start)),
      until: Math.max(...buckets.map(({ end }) => end)),
    };
  }

  #restart(): void {
    this.#sinceMs = null;
    this.#isLateTold = false;
  }
}
