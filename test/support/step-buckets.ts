/** Buckets of one length that follow each other, for tests of kernels that need no calendar. */
import type { Buckets } from "../../src/analysis/bar-builder.ts";

export class StepBuckets implements Buckets {
  start = Number.NaN;
  end = Number.NaN;
  from = Number.NaN;
  until = Number.NaN;
  readonly #step: number;
  readonly #isOpen: (start: number) => boolean;

  /** @param isOpen whether there is a bucket that begins there. */
  constructor(step: number, isOpen: (start: number) => boolean = () => true) {
    this.#step = step;
    this.#isOpen = isOpen;
  }

  seek(micros: number): boolean {
    const start = Math.floor(micros / this.#step) * this.#step;
    if (!this.#isOpen(start)) return false;
    this.start = start;
    this.end = start + this.#step;
    this.from = this.start;
    this.until = this.end;
    return true;
  }

  *buckets(from: number, to: number, max: number): Generator<{ start: number; end: number }> {
    let given = 0;
    for (
      let start = Math.floor(from / this.#step) * this.#step;
      start < to && given < max;
      start += this.#step
    ) {
      if (!this.#isOpen(start)) continue;
      given++;
      yield { start, end: start + this.#step };
    }
  }
}
