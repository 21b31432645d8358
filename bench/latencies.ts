/** Collects latencies in milliseconds without allocating while a measurement runs. */
import type { LatencySummary } from "./load-plan.ts";

/** Beyond this many, only the worst is still kept up to date. 16 MB. */
const SAMPLES_MAX = 4_000_000;

export class Latencies {
  #samples = new Float32Array(65_536);
  #count = 0;
  #worst = 0;

  add(ms: number): void {
    if (ms > this.#worst) this.#worst = ms;
    if (this.#count === this.#samples.length) {
      if (this.#count >= SAMPLES_MAX) return;
      const larger = new Float32Array(Math.min(SAMPLES_MAX, this.#count * 2));
      larger.set(this.#samples);
      this.#samples = larger;
    }
    this.#samples[this.#count++] = ms;
  }

  clear(): void {
    this.#count = 0;
    this.#worst = 0;
  }

  summary(): LatencySummary {
    const sorted = this.#samples.slice(0, this.#count).sort();
    return { p50: at(sorted, 0.5), p99: at(sorted, 0.99), worst: this.#worst };
  }

  get count(): number {
    return this.#count;
  }

  /** @param shares ascending or not, each from 0 to 1. */
  quantiles(shares: readonly number[]): number[] {
    const sorted = this.#samples.slice(0, this.#count).sort();
    return shares.map((share) => at(sorted, share));
  }
}

function at(sorted: Float32Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
