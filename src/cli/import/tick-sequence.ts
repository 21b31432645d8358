/**
 * Numbers the ticks that share a timestamp: 0, 1, 2 … in file order, over a whole import. Timestamp
 * and number are a tick's key. So a second import of the same files changes nothing, however it is
 * cut into requests.
 *
 * Only the latest `windowMax` timestamps are remembered. That is enough for files that are roughly
 * in order of time. A row among forgotten timestamps can't be numbered.
 */

/** At most 50 MB. With a tick a millisecond, rows may be eight minutes out of order. */
const SEQUENCE_WINDOW_MAX = 500_000;

export class OutOfOrderError extends Error {
  override name = "OutOfOrderError";
}

export class TickSequence {
  readonly #windowMax: number;
  /** Ticks seen, by timestamp. */
  readonly #counts = new Map<string, number>();
  /** A ring of the same timestamps. A Map is slow to find its first entry after many deletions. */
  readonly #arrivals: string[] = [];
  /** Index in the ring. */
  #oldest = 0;
  #forgottenFrom: string | null = null;
  #forgottenTo: string | null = null;

  constructor(windowMax: number = SEQUENCE_WINDOW_MAX) {
    this.#windowMax = windowMax;
  }

  /**
   * @param stamp canonical text, which sorts by time.
   * @throws OutOfOrderError too many other timestamps came between this one and its neighbours.
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
