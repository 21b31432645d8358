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

export type RowValue = string | number | boolean | bigint | null | undefined;

/** What was seen of one stamp. Most have one row, for which nothing but its values is kept. */
interface SeenRows {
  rows: number;
  first: readonly RowValue[];
  /** Rows by their values, once a second row has come. */
  equal: Map<string, number> | null;
}

/** The rows of a ticker and kind. */
interface SeenSeries {
  key: string;
  seen: Map<string, SeenRows>;
  /** The first and the last stamp that is not remembered any more. */
  forgottenFrom: string | null;
  forgottenTo: string | null;
}

export class Sightings {
  readonly windowMax: number;
  readonly #series = new Map<string, SeenSeries>();
  #last: SeenSeries | null = null;
  /** Two rings of one order. A Map is slow to find its first entry after many deletions. */
  readonly #arrivedSeries: SeenSeries[] = [];
  readonly #arrivedStamps: string[] = [];
  /** Index in the rings. */
  #oldest = 0;

  constructor(windowMax: number = WINDOW_MAX) {
    this.windowMax = windowMax;
  }

  /**
   * @param stamp canonical text, which sorts by time.
   * @returns how many rows of the series and stamp were seen before; null when too many others came
   *   between to know it.
   */
  rowsBefore(series: string, stamp: string): number | null {
    const seen = this.#find(series, stamp, []);
    return typeof seen === "object" && seen !== null ? seen.rows++ : seen;
  }

  /** As `rowsBefore`, for those with the same values. */
  equalBefore(series: string, stamp: string, values: readonly RowValue[]): number | null {
    const seen = this.#find(series, stamp, values);
    if (typeof seen !== "object" || seen === null) return seen;
    seen.equal ??= new Map([[seen.first.join(), seen.rows]]);
    seen.rows++;
    const key = values.join();
    const count = seen.equal.get(key) ?? 0;
    seen.equal.set(key, count + 1);
    // A stamp may have any number of values: each takes a place of the window.
    if (count === 0) this.#arrive(this.#seriesOf(series), stamp);
    return count;
  }

  /**
   * @returns what was seen of the stamp; 0 when it is the first row, null when that isn't known.
   */
  #find(key: string, stamp: string, values: readonly RowValue[]): SeenRows | 0 | null {
    const series = this.#seriesOf(key);
    const seen = series.seen.get(stamp);
    if (seen !== undefined) return seen;
    const { forgottenFrom, forgottenTo } = series;
    if (forgottenFrom !== null && stamp >= forgottenFrom && stamp <= forgottenTo!) return null;
    series.seen.set(stamp, { rows: 1, first: values, equal: null });
    this.#arrive(series, stamp);
    return 0;
  }

  #seriesOf(key: string): SeenSeries {
    if (this.#last?.key === key) return this.#last;
    let series = this.#series.get(key);
    if (series === undefined) {
      series = { key, seen: new Map(), forgottenFrom: null, forgottenTo: null };
      this.#series.set(key, series);
    }
    this.#last = series;
    return series;
  }

  #arrive(series: SeenSeries, stamp: string): void {
    if (this.#arrivedStamps.length < this.windowMax) {
      this.#arrivedSeries.push(series);
      this.#arrivedStamps.push(stamp);
      return;
    }
    const at = this.#oldest;
    const [oldSeries, oldStamp] = [this.#arrivedSeries[at]!, this.#arrivedStamps[at]!];
    this.#arrivedSeries[at] = series;
    this.#arrivedStamps[at] = stamp;
    this.#oldest = (at + 1) % this.windowMax;
    oldSeries.seen.delete(oldStamp);
    const { forgottenFrom, forgottenTo } = oldSeries;
    if (forgottenFrom === null || oldStamp < forgottenFrom) oldSeries.forgottenFrom = oldStamp;
    if (forgottenTo === null || oldStamp > forgottenTo) oldSeries.forgottenTo = oldStamp;
  }
}
