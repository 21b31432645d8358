import { labelsText } from "./samples.ts";

/** Counts values by upper bounds. To note one takes some 10 ns. */
export class Histogram {
  readonly #bounds: readonly number[];
  /** As many as bounds, and one for what is greater. */
  readonly #counts: Float64Array;
  #sum = 0;

  /** @param bounds ascending. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  note(value: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
    this.#counts[bucket]!++;
    this.#sum += value;
  }

  /** With the endings of their names, as `Samples` has them. */
  samples(labels: Record<string, string> = {}): Record<string, number> {
    const samples: Record<string, number> = {};
    let count = 0;
    for (const [index, ofBucket] of this.#counts.entries()) {
      count += ofBucket;
      const le = index < this.#bounds.length ? String(this.#bounds[index]) : "+Inf";
      samples[`_bucket${labelsText({ ...labels, le })}`] = count;
    }
    samples[`_sum${labelsText(labels)}`] = this.#sum;
    samples[`_count${labelsText(labels)}`] = count;
    return samples;
  }
}
