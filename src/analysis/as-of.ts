/**
 * As-of joins: for each row on the left, the row on the right that was the newest by then, or will
 * be the next. Both sides come in order of time and in batches, of which one each is in memory.
 *
 * Of right rows that share a stamp, the last one counts backward, as it is what was known then, and
 * the first one forward.
 */

export const DIRECTIONS = ["backward", "forward", "nearest"] as const;
export type Direction = (typeof DIRECTIONS)[number];

export interface AsOfOptions {
  /** `nearest`: of two that are equally far, the earlier one. */
  direction: Direction;
  /** The farthest that counts, inclusive, in µs. Infinity: any. */
  tolerance: number;
  /** Whether a right row of the same stamp counts. `nearest` knows only true. */
  allowExact: boolean;
}

/** What a left row is matched with, where it isn't a row of the batch that was fed last. */
export const MATCH = {
  /** Nothing. */
  NONE: -1,
  /** The last row before that batch. */
  BEFORE: -2,
} as const;

export class AsOfMatcher {
  readonly #options: AsOfOptions;
  #right: Float64Array = new Float64Array(0);
  /** The stamp of the last row before `#right`. */
  #before = Number.NaN;
  /** Rows of `#right` before this one lie before where the left has come to. */
  #next = 0;
  #isEnded = false;

  constructor(options: AsOfOptions) {
    this.#options = options;
  }

  /** What comes next is another pair of series. */
  reset(): void {
    this.#right = new Float64Array(0);
    this.#before = Number.NaN;
    this.#next = 0;
    this.#isEnded = false;
  }

  /**
   * The next rows of the right, only when `match` asks for them. `MATCH.BEFORE` is then the last of
   * those before.
   *
   * @param micros null: there are no more.
   * @throws RangeError they aren't in order of time.
   */
  feed(micros: Float64Array | null): void {
    if (micros === null) {
      this.#isEnded = true;
      return;
    }
    if (micros.length === 0) return;
    const last = this.#right.length === 0 ? this.#before : this.#right.at(-1)!;
    if (micros[0]! < last) throw outOfOrder("right", last, micros[0]!);
    this.#before = last;
    this.#right = micros;
    this.#next = 0;
  }

  /**
   * Matches left rows, as far as the right rows so far tell. After `from` = 0 comes the next batch.
   *
   * @param into for each left row an index in the batch that was fed last, or one of `MATCH`.
   * @returns the first left row that needs more of the right; their number: none does.
   * @throws RangeError rows of a side aren't in order of time.
   */
  match(left: Float64Array, from: number, into: Int32Array): number {
    const { direction, allowExact } = this.#options;
    // Backward passes what is equal, forward stops at it.
    const passesEqual = direction === "forward" ? !allowExact : allowExact;
    const right = this.#right;
    const rights = right.length;
    let next = this.#next;
    let row = from;
    let previous = from === 0 ? Number.NEGATIVE_INFINITY : left[from - 1]!;
    for (; row < left.length; row++) {
      const micros = left[row]!;
      if (!(micros >= previous)) throw outOfOrder("left", previous, micros);
      previous = micros;
      if (passesEqual) while (next < rights && right[next]! <= micros) next++;
      else while (next < rights && right[next]! < micros) next++;
      if (next === rights && !this.#isEnded) break;
      into[row] = this.#choose(micros, next);
    }
    this.#next = next;
    return row;
  }

  /** @param next the first right row that isn't passed. */
  #choose(micros: number, next: number): number {
    const { direction, tolerance } = this.#options;
    const right = this.#right;
    const backward = next > 0 ? micros - right[next - 1]! : micros - this.#before;
    const forward = next < right.length ? right[next]! - micros : Number.NaN;
    const isBackward =
      direction === "backward" ||
      (direction === "nearest" && !Number.isNaN(backward) && !(forward < backward));
    // Comparisons with NaN, where there is no such row, are false.
    if (isBackward) {
      if (!(backward <= tolerance)) return MATCH.NONE;
      return next > 0 ? next - 1 : MATCH.BEFORE;
    }
    return forward <= tolerance ? next : MATCH.NONE;
  }
}

function outOfOrder(side: string, before: number, micros: number): RangeError {
  return new RangeError(
    `rows on the ${side} of a join aren't in order of time: ${micros} µs comes after ${before} µs`,
  );
}
