/** Goes through the rows of a walk, series by series, in pieces of batches. */
import type { ColumnBatch, ColumnData } from "../model/columns.ts";
import { type KindName, kindOf } from "../model/kinds.ts";
import { batchOfRun, type SeriesRun, seriesRuns } from "../series-runs.ts";

export class RowCursor {
  readonly #kind: KindName;
  readonly #descends: boolean;
  readonly #batches: AsyncIterator<ColumnBatch>;
  #batch: ColumnBatch | null = null;
  #stamps: BigInt64Array = new BigInt64Array(0);
  #runs: SeriesRun[] = [];
  /** The next row. */
  #row = 0;

  /** @param batches with the columns of the series, and the stamp, of a kind with a time of day. */
  constructor(
    batches: AsyncIterator<ColumnBatch>,
    { kind, descends }: { kind: KindName; descends: boolean },
  ) {
    this.#batches = batches;
    this.#kind = kind;
    this.#descends = descends;
  }

  /** The series of the next row; null: there is none. */
  async series(): Promise<SeriesRun | null> {
    for (;;) {
      const run = this.#runs[0];
      if (run !== undefined && this.#row < run.end) return run;
      if (run !== undefined) this.#runs.shift();
      else if (!(await this.#load())) return null;
    }
  }

  /** Stamp of the next row, in µs since 1970; `series` has found one. */
  get stamp(): bigint {
    return this.#stamps[this.#row]!;
  }

  /** The rows of the series in this batch that come before a stamp; null: all of them. */
  take(before: bigint | null): ColumnBatch | null {
    const start = this.#row;
    const end = before === null ? this.#runs[0]!.end : this.#firstAt(before);
    if (end === start) return null;
    this.#row = end;
    return batchOfRun(this.#batch!, { ...this.#runs[0]!, start, end });
  }

  /** The rows of the series in this batch that have the stamp of the next row. */
  takeStamp(): ColumnBatch {
    const start = this.#row;
    const { stamp } = this;
    const { end } = this.#runs[0]!;
    while (this.#row < end && this.stamp === stamp) this.#row++;
    return batchOfRun(this.#batch!, { ...this.#runs[0]!, start, end: this.#row });
  }

  async close(): Promise<void> {
    await this.#batches.return?.();
  }

  /** The first row that doesn't come before the stamp. */
  #firstAt(stamp: bigint): number {
    let low = this.#row;
    let high = this.#runs[0]!.end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = this.#stamps[middle]!;
      if (this.#descends ? at > stamp : at < stamp) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  async #load(): Promise<boolean> {
    const found = await this.#batches.next();
    if (found.done === true) return false;
    this.#batch = found.value;
    this.#runs = seriesRuns(this.#kind, found.value);
    this.#stamps = stampsOf(found.value.columns.get(kindOf(this.#kind).stamp.name)!);
    this.#row = 0;
    return true;
  }
}

function stampsOf(data: ColumnData): BigInt64Array {
  if (data.type !== "instant") throw new Error(`a stamp is ${data.type}`);
  return data.values;
}
