/** Bars as growing columns. */

const ROWS_AT_FIRST = 256;

/** The columns, all of doubles. NaN: the bar has no value. Stamps are in µs since 1970. */
const BAR_FIELDS = [
  "start",
  "end",
  "open",
  "high",
  "low",
  "close",
  "volume",
  "vwap",
  "count",
  "first",
  "last",
] as const;
export type BarField = (typeof BAR_FIELDS)[number];

/**
 * A bar. NaN stands for no value in all of its fields.
 *
 * - `start`, `end`: the label of its bucket, and the end of that, exclusive.
 * - `count`: trades, or quotes of bars of quotes.
 * - `first`, `last`: the stamps of the first and last row that it was made of.
 * - `exactVolume`: where it is whole and no double holds it; else null.
 */
export type BarValues = { [field in BarField]: number } & { exactVolume: bigint | null };

export class BarColumns {
  rows = 0;
  readonly columns = Object.fromEntries(
    BAR_FIELDS.map((field) => [field, new Float64Array(ROWS_AT_FIRST)]),
  ) as Record<BarField, Float64Array<ArrayBuffer>>;
  /** By row, the whole volumes that no double holds. */
  readonly exactVolumes = new Map<number, bigint>();

  push(bar: Readonly<BarValues>): void {
    const row = this.rows;
    if (row === this.columns.start.length) this.#grow();
    const { columns } = this;
    columns.start[row] = bar.start;
    columns.end[row] = bar.end;
    columns.open[row] = bar.open;
    columns.high[row] = bar.high;
    columns.low[row] = bar.low;
    columns.close[row] = bar.close;
    columns.volume[row] = bar.volume;
    columns.vwap[row] = bar.vwap;
    columns.count[row] = bar.count;
    columns.first[row] = bar.first;
    columns.last[row] = bar.last;
    if (bar.exactVolume !== null) this.exactVolumes.set(row, bar.exactVolume);
    this.rows = row + 1;
  }

  /** Of the rows alone. The array is part of this object's own. */
  column(field: BarField): Float64Array {
    return this.columns[field].subarray(0, this.rows);
  }

  at(row: number): BarValues {
    const { columns } = this;
    return {
      start: columns.start[row]!,
      end: columns.end[row]!,
      open: columns.open[row]!,
      high: columns.high[row]!,
      low: columns.low[row]!,
      close: columns.close[row]!,
      volume: columns.volume[row]!,
      vwap: columns.vwap[row]!,
      count: columns.count[row]!,
      first: columns.first[row]!,
      last: columns.last[row]!,
      exactVolume: this.exactVolumes.get(row) ?? null,
    };
  }

  /** Adds some of the bars of others. @param to exclusive. */
  append(others: BarColumns, from: number, to: number): void {
    const rows = this.rows + to - from;
    while (this.columns.start.length < rows) this.#grow();
    for (const field of BAR_FIELDS)
      this.columns[field].set(others.columns[field].subarray(from, to), this.rows);
    for (const [row, volume] of others.exactVolumes)
      if (row >= from && row < to) this.exactVolumes.set(this.rows + row - from, volume);
    this.rows = rows;
  }

  /** The last one first. */
  reversed(): BarColumns {
    const reversed = new BarColumns();
    reversed.append(this, 0, this.rows);
    for (const field of BAR_FIELDS) reversed.column(field).reverse();
    reversed.exactVolumes.clear();
    for (const [row, volume] of this.exactVolumes) reversed.exactVolumes.set(this.rows - 1 - row, volume);
    return reversed;
  }

  #grow(): void {
    for (const field of BAR_FIELDS) {
      const grown = new Float64Array(this.columns[field].length * 2);
      grown.set(this.columns[field]);
      this.columns[field] = grown;
    }
  }
}
