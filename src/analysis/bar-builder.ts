/**
 * Bars out of rows, for history, live bars and stored roll-ups alike: what a bar is, is written
 * here and in running-bar.ts alone.
 *
 * A builder has one series at a time. Arrays come in order of time, as many as the caller likes,
 * and cutting them otherwise changes nothing. Single trades and quotes may come late within the
 * running bucket; for one that belongs to a closed bucket, that bucket is built anew from its rows.
 */

import { COUNTS_ALL } from "../market/sale-conditions.ts";
import { BarColumns, type BarValues } from "./bar-columns.ts";
import { type BarRows, type PartRows, RunningBar, type TradeRows } from "./running-bar.ts";

/** What finds the bucket of a stamp; a grid of calendar/contract.ts is one. */
export interface Buckets {
  /** @returns false: the stamp lies in no bucket. */
  seek(micros: number): boolean;
  /** Of the bucket found: its label, and its end. */
  readonly start: number;
  readonly end: number;
  /** All stamps from `from` on and before `until` are of the bucket found. */
  readonly from: number;
  readonly until: number;
}

export interface PriceRows {
  micros: Float64Array;
  /** NaN: the row has none. */
  prices: Float64Array;
}

/** `late`: of a bucket before the running one. `outside`: of none. */
export type RowPlace = "running" | "late" | "outside";

interface WeightedRows {
  from: number;
  /** Exclusive. */
  to: number;
  /** How many ticks each row stands for; absent: one. */
  weights?: Float64Array;
}

/** Rows of one bucket, from one index up to another. @returns those that count for nothing. */
type AddRun = (from: number, to: number) => number;

export class BarBuilder {
  readonly #buckets: Buckets;
  readonly #running = new RunningBar();
  #isRunning = false;
  #closed = new BarColumns();
  /** The stretch of the running bucket that was found last. */
  #from = Number.NaN;
  #until = Number.NaN;
  #newest = Number.NEGATIVE_INFINITY;
  #outside = 0;
  #skipped = 0;

  /** @param buckets may be shared: what it found last isn't relied on. */
  constructor(buckets: Buckets) {
    this.#buckets = buckets;
  }

  /** Rows in no bucket so far, as outside of the session. */
  get outside(): number {
    return this.#outside;
  }

  /** Rows without a price so far. */
  get skipped(): number {
    return this.#skipped;
  }

  /**
   * @param to exclusive.
   * @throws RangeError rows aren't in order of time.
   */
  addTrades(rows: TradeRows, from = 0, to = rows.micros.length): void {
    this.#addRuns(rows.micros, { from, to }, (first, end) => this.#running.addTrades(rows, first, end));
  }

  /**
   * Rows that have a price alone, such as quotes: their bars have no volume.
   *
   * @param to exclusive.
   * @throws RangeError rows aren't in order of time.
   */
  addPrices({ micros, prices }: PriceRows, from = 0, to = micros.length): void {
    this.#addRuns(micros, { from, to }, (first, end) => this.#running.addPrices(micros, prices, first, end));
  }

  /**
   * Smaller bars. The bucket of one is that of its label.
   *
   * @param to exclusive.
   * @throws RangeError rows aren't in order of time.
   */
  addBars(rows: BarRows, from = 0, to = rows.micros.length): void {
    this.#addRuns(rows.micros, { from, to }, (first, end) => {
      this.#running.addBars(rows, first, end);
      return 0;
    });
  }

  /**
   * Partial bars, each of ticks that lie in one bucket, or in none.
   *
   * @param to exclusive.
   * @throws RangeError rows aren't in order of time.
   */
  addParts(rows: PartRows, from = 0, to = rows.micros.length): void {
    const run: AddRun = (first, end) => this.#running.addParts(rows, first, end);
    this.#addRuns(rows.micros, { from, to, weights: rows.ticks }, run);
  }

  /**
   * A trade as it comes. A later bucket closes the running one; a late one changes nothing.
   *
   * @param size NaN: it isn't known.
   * @param counts a sum of `COUNTS`.
   * @param exactSize where no double holds it.
   */
  addTrade(
    micros: number,
    price: number,
    size: number,
    counts = COUNTS_ALL,
    exactSize: bigint | null = null,
  ): RowPlace {
    const place = this.#place(micros);
    if (place === "outside") this.#outside++;
    if (place === "running" && !this.#running.addTrade(micros, price, size, counts, exactSize))
      this.#skipped++;
    return place;
  }

  /** As `addTrade`, of a row that has a price alone. */
  addPrice(micros: number, price: number): RowPlace {
    return this.addTrade(micros, price, Number.NaN);
  }

  /** The bar of the newest bucket, as it is now; null: there is none. */
  running(): BarValues | null {
    return this.#isRunning && !this.#running.isEmpty ? this.#running.bar() : null;
  }

  /** Closes the running bar. Rows may go on in a later bucket. */
  close(): void {
    if (this.#isRunning && !this.#running.isEmpty) this.#closed.push(this.#running.bar());
    this.#isRunning = false;
    this.#from = Number.NaN;
    this.#until = Number.NaN;
  }

  /** Closes the running bar. What comes next is another series, or earlier rows of the same. */
  endSeries(): void {
    this.close();
    this.#newest = Number.NEGATIVE_INFINITY;
    this.#running.begin(Number.NaN, Number.NaN);
  }

  /** How many bars `take` would give. */
  get closedRows(): number {
    return this.#closed.rows;
  }

  /** The bars that were closed since the last call, in order. */
  take(): BarColumns {
    const taken = this.#closed;
    this.#closed = new BarColumns();
    return taken;
  }

  #addRuns(micros: Float64Array, { from, to, weights }: WeightedRows, addRun: AddRun): void {
    let newest = this.#newest;
    for (let row = from; row < to; ) {
      const at = micros[row]!;
      if (!(at >= this.#from && at < this.#until)) {
        if (!(at >= newest)) throw outOfOrder(newest, at);
        const place = this.#place(at);
        if (place === "late") throw outOfOrder(newest, at);
        if (place === "outside") {
          this.#outside += weights === undefined ? 1 : weights[row]!;
          newest = at;
          row++;
          continue;
        }
      }
      const first = row;
      const until = this.#until;
      for (; row < to; row++) {
        const next = micros[row]!;
        if (next >= until) break;
        if (!(next >= newest)) throw outOfOrder(newest, next);
        newest = next;
      }
      this.#skipped += addRun(first, row);
    }
    this.#newest = newest;
  }

  /** Makes the bucket of a stamp the running one, unless it is an earlier one. */
  #place(micros: number): RowPlace {
    if (micros >= this.#from && micros < this.#until) return "running";
    const buckets = this.#buckets;
    if (!buckets.seek(micros)) return "outside";
    const { start } = buckets;
    // Also of the bucket that was closed last: it has been given away.
    if (start < this.#running.start || (start === this.#running.start && !this.#isRunning)) return "late";
    if (start !== this.#running.start) {
      this.close();
      this.#running.begin(start, buckets.end);
      this.#isRunning = true;
    }
    this.#from = buckets.from;
    this.#until = buckets.until;
    return "running";
  }
}

function outOfOrder(newest: number, micros: number): RangeError {
  return new RangeError(`rows of a bar aren't in order of time: ${micros} µs comes after ${newest} µs`);
}
