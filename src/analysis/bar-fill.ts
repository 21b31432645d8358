/**
 * Bars of buckets in which nothing happened. Buckets are those of the grid, so nothing is made up
 * outside of sessions.
 */
import { BarColumns, type BarValues } from "./bar-columns.ts";

/**
 * - `null`: a row without values.
 * - `zero`: prices, volume and number are 0.
 * - `previous`: all prices are the last close; volume and number are 0. There is none before the
 *   first bar.
 * - `linear`: as `previous`, on the line from the last close to the next one, by the starts of
 *   their buckets. There is none before the first bar or after the last.
 */
export const FILLS = ["none", "null", "zero", "previous", "linear"] as const;
export type Fill = (typeof FILLS)[number];

/** Lists buckets, as a grid of calendar/contract.ts does. */
export interface BucketList {
  buckets(fromMicros: number, toMicros: number, max: number): Iterable<{ start: number; end: number }>;
}

export interface FillOptions {
  fill: Fill;
  /** More rows than this are refused. */
  rowsMax: number;
}

/** So many more bars would be made. */
export class FillLimitError extends Error {
  override name = "FillLimitError";

  constructor(readonly rowsMax: number) {
    super(`more than ${rowsMax} rows would be filled in`);
  }
}

export class BarFiller {
  readonly #list: BucketList;
  readonly #options: FillOptions;
  /** The bar that was passed last; null: none of this series. */
  #last: BarValues | null = null;
  /** Of the last bar that has one. */
  #close = Number.NaN;
  /** Where the first bucket to fill may begin; null: at the first bar. */
  #from: number | null = null;
  #made = 0;

  constructor(list: BucketList, options: FillOptions) {
    this.#list = list;
    this.#options = options;
  }

  /** @param from the first label that may be filled; null: none before the first bar. */
  beginSeries(from: number | null): void {
    this.#last = null;
    this.#close = Number.NaN;
    this.#from = from;
  }

  /** The bars with those between them and the ones before. @throws FillLimitError */
  add(bars: BarColumns): BarColumns {
    if (this.#options.fill === "none") return bars;
    const filled = new BarColumns();
    for (let row = 0; row < bars.rows; row++) {
      const bar = bars.at(row);
      this.#fillBefore(bar, filled);
      filled.push(bar);
      this.#last = bar;
      if (!Number.isNaN(bar.close)) this.#close = bar.close;
    }
    return filled;
  }

  /**
   * @param to labels before it may be filled; null: none after the last bar.
   * @throws FillLimitError
   */
  endSeries(to: number | null): BarColumns {
    const filled = new BarColumns();
    const { fill } = this.#options;
    const from = this.#last?.start ?? this.#from;
    if (to === null || from === null || fill === "linear" || fill === "none") return filled;
    if (fill === "previous" && Number.isNaN(this.#close)) return filled;
    for (const bucket of this.#bucketsOf(from, to, Number.POSITIVE_INFINITY))
      this.#push(filled, bucket, null);
    return filled;
  }

  #fillBefore(bar: BarValues, filled: BarColumns): void {
    const last = this.#last;
    if (last !== null && last.end === bar.start) return;
    const needsClose = this.#options.fill === "previous" || this.#options.fill === "linear";
    if (needsClose && Number.isNaN(this.#close)) return;
    const from = last?.start ?? this.#from;
    if (from === null) return;
    for (const bucket of this.#bucketsOf(from, bar.end, bar.start)) this.#push(filled, bucket, bar);
  }

  /** Those after the last bar whose labels are before `before`. */
  *#bucketsOf(from: number, to: number, before: number): Generator<{ start: number; end: number }> {
    const first = this.#last === null ? from : this.#last.start + 1;
    // One more than may be made, that of the last bar, and that of the next.
    const max = this.#options.rowsMax - this.#made + 3;
    for (const bucket of this.#list.buckets(from, to, max)) {
      if (bucket.start >= before) return;
      if (bucket.start >= first) yield bucket;
    }
  }

  #push(filled: BarColumns, { start, end }: { start: number; end: number }, next: BarValues | null): void {
    if (++this.#made > this.#options.rowsMax) throw new FillLimitError(this.#options.rowsMax);
    const price = this.#priceAt(start, next);
    const isNull = this.#options.fill === "null";
    const count = isNull ? Number.NaN : 0;
    const hasVolume = !isNull && (this.#last === null || !Number.isNaN(this.#last.volume));
    filled.push({
      ...{ start, end, open: price, high: price, low: price, close: price },
      ...{ volume: hasVolume ? 0 : Number.NaN, vwap: Number.NaN, count },
      ...{ first: Number.NaN, last: Number.NaN, exactVolume: null },
    });
  }

  #priceAt(start: number, next: BarValues | null): number {
    const last = this.#last;
    switch (this.#options.fill) {
      case "zero":
        return 0;
      case "previous":
        return this.#close;
      case "linear": {
        if (last === null || next === null || Number.isNaN(last.close)) return Number.NaN;
        const share = (start - last.start) / (next.start - last.start);
        return last.close + (next.close - last.close) * share;
      }
      default:
        return Number.NaN;
    }
  }
}
