/**
 * Counts how often something of a series and stamp was seen in the files of an import: equal ticks,
 * ticks of one stamp, bars of one time. A second import of the same files counts the same, however
 * it is cut into requests.
 *
 * Only the latest `windowMax` are remembered. That is enough for files that are roughly in order of
 * time. A row among forgotten stamps can't be counted.
 */

/** At most 100 MB. With a tick a millisecond, rows may be eight minutes out of order. */
const WINDOW_MAX = 500_000;

/** A text that sorts by time, or microseconds: of one form in a series. */
export type StampKey = string | number;

export type RowValue = string | number | boolean | bigint | null | undefined;

/** What was seen of one stamp. */
interface SeenRows {
  rows: number;
  first: readonly RowValue[];
  /** Rows by their values, once a second row has come. */
  equal: Map<string, number> | null;
}

/**
 * The rows of a ticker and kind. Most stamps come in order of time and have one row: of those,
 * nothing but the stamp and the values is kept, in order. A map has the others.
 */
class SeenSeries {
  readonly key: string;
  #stamps: StampKey[] = [];
  /** Row after row, `#width` of each: an array a row would cost the collector of garbage much. */
  #values: RowValue[] = [];
  #width = -1;
  /** Index of the first that is still remembered. */
  #head = 0;
  #last: StampKey | null = null;
  /** Stamps of several rows, and those that came late. */
  readonly #others = new Map<StampKey, SeenRows>();
  /** The first and the last stamp that is not remembered any more. */
  #forgotten: { from: StampKey; to: StampKey } | null = null;

  constructor(key: string) {
    this.key = key;
  }

  /** Whether it is later than all others: then `add` is all there is to do. */
  isNext(stamp: StampKey): boolean {
    return this.#last === null || stamp > this.#last;
  }

  add(stamp: StampKey, values: readonly RowValue[]): void {
    const isNext = this.isNext(stamp);
    if (isNext) this.#last = stamp;
    if (this.#width < 0) this.#width = values.length;
    if (!isNext || values.length !== this.#width) {
      this.#others.set(stamp, { rows: 1, first: [...values], equal: null });
      return;
    }
    this.#stamps.push(stamp);
    for (const value of values) this.#values.push(value);
  }

  /** Null: no row of the stamp is remembered. */
  find(stamp: StampKey): SeenRows | null {
    const other = this.#others.get(stamp);
    if (other !== undefined) return other;
    const at = this.#indexOf(stamp);
    if (at < 0) return null;
    const first = this.#values.slice(at * this.#width, (at + 1) * this.#width);
    const seen: SeenRows = { rows: 1, first, equal: null };
    this.#others.set(stamp, seen);
    return seen;
  }

  isForgotten(stamp: StampKey): boolean {
    return this.#forgotten !== null && stamp >= this.#forgotten.from && stamp <= this.#forgotten.to;
  }

  forget(stamp: StampKey): void {
    if (this.#stamps[this.#head] === stamp) this.#dropHead();
    this.#others.delete(stamp);
    this.#forgotten ??= { from: stamp, to: stamp };
    const span = this.#forgotten;
    if (stamp < span.from) span.from = stamp;
    if (stamp > span.to) span.to = stamp;
  }

  #dropHead(): void {
    this.#head++;
    if (this.#head < this.#stamps.length / 2) return;
    this.#stamps = this.#stamps.slice(this.#head);
    this.#values = this.#values.slice(this.#head * this.#width);
    this.#head = 0;
  }

  /** -1: it isn't among those that came in order. */
  #indexOf(stamp: StampKey): number {
    let low = this.#head;
    let high = this.#stamps.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const found = this.#stamps[middle]!;
      if (found === stamp) return middle;
      if (found < stamp) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }
}

export class Sightings {
  readonly windowMax: number;
  readonly #series = new Map<string, SeenSeries>();
  #last: SeenSeries | null = null;
  /** Two rings of one order: what came longest ago is forgotten first. */
  readonly #arrivedSeries: SeenSeries[] = [];
  readonly #arrivedStamps: StampKey[] = [];
  /** Index in the rings. */
  #oldest = 0;

  constructor(windowMax: number = WINDOW_MAX) {
    this.windowMax = windowMax;
  }

  /**
   * @returns how many rows of the series and stamp were seen before; null when too many others came
   *   between to know it.
   */
  rowsBefore(series: string, stamp: StampKey): number | null {
    const seen = this.#find(this.#seriesOf(series), stamp, []);
    return typeof seen === "object" && seen !== null ? seen.rows++ : seen;
  }

  /** As `rowsBefore`, for those with the same values, whose array may be used again. */
  equalBefore(key: string, stamp: StampKey, values: readonly RowValue[]): number | null {
    const series = this.#seriesOf(key);
    const seen = this.#find(series, stamp, values);
    if (typeof seen !== "object" || seen === null) return seen;
    seen.equal ??= new Map([[seen.first.join(), seen.rows]]);
    seen.rows++;
    const text = values.join();
    const count = seen.equal.get(text) ?? 0;
    seen.equal.set(text, count + 1);
    // A stamp may have any number of values: each takes a place of the window.
    if (count === 0) this.#arrive(series, stamp);
    return count;
  }

  /**
   * @returns what was seen of the stamp; 0 when it is the first row, null when that isn't known.
   */
  #find(series: SeenSeries, stamp: StampKey, values: readonly RowValue[]): SeenRows | 0 | null {
    if (!series.isNext(stamp)) {
      const seen = series.find(stamp);
      if (seen !== null) return seen;
      if (series.isForgotten(stamp)) return null;
    }
    series.add(stamp, values);
    this.#arrive(series, stamp);
    return 0;
  }

  #seriesOf(key: string): SeenSeries {
    if (this.#last?.key === key) return this.#last;
    let series = this.#series.get(key);
    if (series === undefined) {
      series = new SeenSeries(key);
      this.#series.set(key, series);
    }
    this.#last = series;
    return series;
  }

  #arrive(series: SeenSeries, stamp: StampKey): void {
    if (this.#arrivedStamps.length < this.windowMax) {
      this.#arrivedSeries.push(series);
      this.#arrivedStamps.push(stamp);
      return;
    }
    const at = this.#oldest;
    this.#arrivedSeries[at]!.forget(this.#arrivedStamps[at]!);
    this.#arrivedSeries[at] = series;
    this.#arrivedStamps[at] = stamp;
    this.#oldest = (at + 1) % this.windowMax;
  }
}
