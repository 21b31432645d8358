/** Walks a series in both databases by key, and finds rows that are missing or different. */
import { TransferRowError } from "../../storage/contract.ts";
import { type KindName, keyText, kindOf, type SeriesRow } from "../../storage/model/kinds.ts";
import { matchTicks } from "./match-ticks.ts";
import { RowSum } from "./row-sum.ts";
import { compareKeys, toCanonical } from "./series.ts";

export interface ComparisonOptions {
  kind: KindName;
  source: AsyncIterable<SeriesRow[]>;
  destination: AsyncIterable<SeriesRow[]>;
  /**
   * Called in order of stamps.
   *
   * @param row to be written.
   * @param there the destination has it, with other values.
   */
  onDifference(row: SeriesRow, there: boolean): void | Promise<void>;
  onRowsRead(rows: number): void;
}

export interface Comparison {
  source: RowSum;
  /** To be added to the source's sum where the destination says more of a tick. */
  completed: RowSum;
  /** Rows that the source lacks. */
  onlyInDestination: RowSum;
  missing: number;
  different: number;
  /** Described for the user; null if there is none. */
  firstDifference: string | null;
}

const ROWS_PER_REPORT = 1_000;

/** @throws TransferRowError a row can't be copied. */
export async function compareSeries(options: ComparisonOptions): Promise<Comparison> {
  const { kind } = options;
  await using source = new RowWalk(kind, options.source);
  await using destination = new RowWalk(kind, options.destination);
  const found: Comparison = {
    source: new RowSum(kind),
    completed: new RowSum(kind),
    onlyInDestination: new RowSum(kind),
    missing: 0,
    different: 0,
    firstDifference: null,
  };
  await source.fill();
  await destination.fill();
  let unreported = 0;
  const report = (): void => {
    if (++unreported < ROWS_PER_REPORT) return;
    options.onRowsRead(unreported);
    unreported = 0;
  };
  while (source.row !== null) {
    const row: SeriesRow = source.row;
    if (kind === "ticks" && areOfOneStamp(row, destination.row) && !areSame(kind, row, destination.row!)) {
      const rows = await source.restOfStamp();
      const matched = matchTicks(rows, await destination.restOfStamp());
      for (const there of matched.onlyInDestination) found.onlyInDestination.add(there);
      for (const each of rows) {
        found.source.add(each);
        report();
      }
      for (const { row: sent, wanted, there } of matched.pairs) {
        found.completed.exchange(sent, wanted);
        if (there !== null && sameValues(there, wanted)) continue;
        if (there !== null) found.different++;
        else found.missing++;
        found.firstDifference ??= describeDifference(kind, wanted, there);
        const taken = options.onDifference(wanted, there !== null);
        if (taken !== undefined) await taken;
      }
      continue;
    }
    while (destination.row !== null && compareKeys(kind, destination.row, row) < 0) {
      found.onlyInDestination.add(destination.row);
      if (!destination.step()) await destination.fill();
    }
    const there = destination.row !== null && compareKeys(kind, destination.row, row) === 0;
    if (!there || !sameValues(destination.row!, row)) {
      if (there) found.different++;
      else found.missing++;
      found.firstDifference ??= describeDifference(kind, row, there ? destination.row : null);
      const taken = options.onDifference(row, there);
      if (taken !== undefined) await taken;
    }
    found.source.add(row);
    if (there && !destination.step()) await destination.fill();
    if (!source.step()) await source.fill();
    report();
  }
  while (destination.row !== null) {
    found.onlyInDestination.add(destination.row);
    if (!destination.step()) await destination.fill();
  }
  options.onRowsRead(unreported);
  return found;
}

/** @throws TransferRowError */
export async function sumSeries(kind: KindName, batches: AsyncIterable<SeriesRow[]>): Promise<RowSum> {
  await using walk = new RowWalk(kind, batches);
  const sum = new RowSum(kind);
  for (await walk.fill(); walk.row !== null; ) {
    sum.add(walk.row);
    if (!walk.step()) await walk.fill();
  }
  return sum;
}

/** Gives rows one by one, without a promise for each. */
class RowWalk implements AsyncDisposable {
  /** Its values are canonical. Null at the end. */
  row: SeriesRow | null = null;
  readonly #kind: KindName;
  readonly #batches: AsyncIterator<SeriesRow[]>;
  #batch: SeriesRow[] = [];
  #at = -1;

  constructor(kind: KindName, batches: AsyncIterable<SeriesRow[]>) {
    this.#kind = kind;
    this.#batches = batches[Symbol.asyncIterator]();
  }

  /** @returns false when `fill` has to bring more. */
  step(): boolean {
    const next = this.#batch[this.#at + 1];
    if (next === undefined) return false;
    this.#at++;
    toCanonical(this.#kind, next);
    if (this.row !== null && compareKeys(this.#kind, this.row, next) >= 0) {
      const [before, after] = [this.row, next].map((row) => keyText(kindOf(this.#kind), row));
      throw new TransferRowError(
        `stored rows are not in order of their keys: ${after} comes after ${before}`,
      );
    }
    this.row = next;
    return true;
  }

  async fill(): Promise<void> {
    do {
      const next = await this.#batches.next();
      if (next.done) {
        this.row = null;
        return;
      }
      this.#batch = next.value;
      this.#at = -1;
    } while (!this.step());
  }

  /** The row and those behind it that have its stamp; the walk is past them. */
  async restOfStamp(): Promise<SeriesRow[]> {
    const rows: SeriesRow[] = [];
    for (const first = this.row; this.row !== null && areOfOneStamp(first!, this.row); ) {
      rows.push(this.row);
      if (!this.step()) await this.fill();
    }
    return rows;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#batches.return?.();
  }
}

function areOfOneStamp(a: SeriesRow, b: SeriesRow | null): boolean {
  return b !== null && a[0] === b[0];
}

function areSame(kind: KindName, a: SeriesRow, b: SeriesRow): boolean {
  return compareKeys(kind, a, b) === 0 && sameValues(a, b);
}

/** The keys are equal. */
function sameValues(a: SeriesRow, b: SeriesRow): boolean {
  for (let index = 1; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

function describeDifference(kind: KindName, row: SeriesRow, there: SeriesRow | null): string {
  const key = keyText(kindOf(kind), row);
  if (there === null) return `${key} is missing`;
  return `${key} is ${JSON.stringify(there.slice(1))}, expected ${JSON.stringify(row.slice(1))}`;
}
