import type { Buckets } from "../analysis/bar-builder.ts";
import type { BucketList } from "../analysis/bar-fill.ts";
import type { Bucket, Grid } from "../calendar/contract.ts";

/**
 * A grid for rows that last: the hour of bars from 09:00 is of the session that opens at 09:30, as
 * its end lies in it.
 */
export class LabelBuckets implements Buckets, BucketList {
  start = Number.NaN;
  end = Number.NaN;
  from = Number.NaN;
  until = Number.NaN;
  readonly #grid: Grid;
  readonly #length: number;

  /** Rows that lie in two buckets so far; they count in that of their start. */
  straddling = 0;

  /** @param length of a row, in µs; 0: rows are moments. */
  constructor(grid: Grid, length: number) {
    this.#grid = grid;
    this.#length = length;
  }

  /** Days of sessions since 1970. */
  get date(): number {
    return this.#grid.date;
  }

  get assumed(): string | null {
    return this.#grid.assumed;
  }

  seek(micros: number): boolean {
    const grid = this.#grid;
    const length = this.#length;
    if (!grid.seek(micros)) {
      if (length === 0 || !grid.seek(micros + length - 1)) return false;
      this.#take(micros, Math.max(micros + 1, grid.from));
      return true;
    }
    // A row that ends behind the bucket is looked at by itself.
    this.#take(grid.from, length === 0 ? grid.until : grid.until - length + 1);
    if (length === 0 || micros < this.until) return true;
    this.until = Math.min(micros + 1, grid.until);
    this.from = micros;
    if (grid.seek(micros + length - 1) && grid.start !== this.start) this.straddling++;
    return grid.seek(micros);
  }

  buckets(fromMicros: number, toMicros: number, max: number): Iterable<Bucket> {
    return this.#grid.buckets(fromMicros, toMicros, max);
  }

  #take(from: number, until: number): void {
    this.start = this.#grid.start;
    this.end = this.#grid.end;
    this.from = from;
    this.until = until;
  }
}
