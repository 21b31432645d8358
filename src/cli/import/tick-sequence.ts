/**
 * Numbers the ticks that share a timestamp, over a whole import: 0, 1, 2 … in file order. A tick's
 * key is its timestamp and this number, so the same files imported again meet the same keys and
 * change nothing, however they are cut into requests.
 *
 * Memory is bounded: only the latest `windowMax` timestamps are remembered. Files in time order,
 * rising or falling, with local disorder, never notice; a row that lands among forgotten timestamps
 * can't be numbered.
 */

/** About 50 MB at worst. At a tick a millisecond it is eight minutes of disorder. */
const SEQUENCE_WINDOW_MAX = 500_000;

export class OutOfOrderError extends Error {
  override name = "OutOfOrderError";
}

export class TickSequence {
  readonly #windowMax: number;
  /** Timestamp to the number of ticks seen there. */
  readonly #counts = new Map<string, number>();
  /**
   * The same timestamps in the order in which they came, as a ring. The map knows that order too,
   * but to find its first entry it walks over all that were deleted before.
   */
  readonly #arrivals: string[] = [];
  /** Place in the ring of the oldest, once it is full. */
  #oldest = 0;
  #forgottenFrom: string | null = null;
  #forgottenTo: string | null = null;

  constructor(windowMax: number = SEQUENCE_WINDOW_MAX) {
    this.#windowMax = windowMax;
  }

  /**
   * @param stamp Canonical text, so that equal instants are equal texts and later ones compare
   *   greater.
   * @throws OutOfOrderError when too many other timestamps came between this one and its
   *   neighbours.
   */
  next(stamp: string): number {
    const count = this.#counts.get(stamp);
    if (count !== undefined) {
      this.#counts.set(stamp, count + 1);
      return count;
    }
    if (this.#isForgotten(stamp)) {
      throw new OutOfOrderError(
        `timestamp ${stamp} is more than ${this.#windowMax.toLocaleString("en-US")} timestamps away from its place in ` +
          "time order: sort the rows, or pass the files, by time",
      );
    }
    if (this.#arrivals.length < this.#windowMax) this.#arrivals.push(stamp);
    else this.#takePlaceOfOldest(stamp);
    this.#counts.set(stamp, 1);
    return 0;
  }

  #isForgotten(stamp: string): boolean {
    return (
      this.#forgottenFrom !== null &&
      this.#forgottenTo !== null &&
      stamp >= this.#forgottenFrom &&
      stamp <= this.#forgottenTo
    );
  }

  #takePlaceOfOldest(stamp: string): void {
    const oldest = this.#arrivals[this.#oldest]!;
    this.#arrivals[this.#oldest] = stamp;
    this.#oldest = (this.#oldest + 1) % this.#windowMax;
    this.#counts.delete(oldest);
    if (this.#forgottenFrom === null || oldest < this.#forgottenFrom) this.#forgottenFrom = oldest;
    if (this.#forgottenTo === null || oldest > this.#forgottenTo) this.#forgottenTo = oldest;
  }
}
