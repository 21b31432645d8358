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
    const isWithin = grid.seek(micros);
    if (!isWithin && (this.#length === 0 || !grid.seek(micros + this.#length - 1))) return false;
    this.start = grid.start;
    this.end = grid.end;
    this.from = isWithin ? grid.from : micros;
    this.until = isWithin ? grid.until : Math.max(micros + 1, grid.from);
    return true;
  }

  buckets(fromMicros: number, toMicros: number, max: number): Iterable<Bucket> {
    return this.#grid.buckets(fromMicros, toMicros, max);
  }
}
