/** A column of the right side of a join, laid out for the rows on the left. */
import { MATCH } from "./as-of.ts";
import type { Numbers } from "./numbers.ts";

export class MatchedColumn {
  /** NaN where nothing matches. */
  values: Float64Array<ArrayBuffer>;
  exact = new Map<number, bigint>();
  #source: Numbers = { values: new Float64Array(0), wide: null };
  #before = Number.NaN;
  #exactBefore: bigint | null = null;

  constructor() {
    this.values = new Float64Array(0);
  }

  /** Begins the next batch of the left. */
  begin(rows: number): void {
    this.values = new Float64Array(rows).fill(Number.NaN);
    this.exact = new Map();
  }

  /** What comes next is another series. */
  reset(): void {
    this.#source = { values: new Float64Array(0), wide: null };
    this.#before = Number.NaN;
    this.#exactBefore = null;
  }

  /** The values of the rows that the matcher is fed with. */
  feed(source: Numbers): void {
    if (source.values.length === 0) return;
    const last = this.#source.values.length - 1;
    if (last >= 0) {
      this.#before = this.#source.values[last]!;
      this.#exactBefore = this.#source.wide?.get(last) ?? null;
    }
    this.#source = source;
  }

  /**
   * Takes the values of left rows that were matched.
   *
   * @param to exclusive. @param at where the first of `matches` stands in the batch.
   */
  take(matches: Int32Array, { from, to, at }: { from: number; to: number; at: number }): void {
    const { values, wide } = this.#source;
    for (let row = from; row < to; row++) {
      const match = matches[row]!;
      if (match >= 0) this.values[at + row] = values[match]!;
      else if (match === MATCH.BEFORE) this.values[at + row] = this.#before;
    }
    if (wide === null && this.#exactBefore === null) return;
    for (let row = from; row < to; row++) {
      const match = matches[row]!;
      const exact = match === MATCH.BEFORE ? this.#exactBefore : (wide?.get(match) ?? null);
      if (exact !== null) this.exact.set(at + row, exact);
    }
  }
}
