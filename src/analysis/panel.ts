/**
 * A wide table: stamps down, tickers across. Its columns come one after the other, so all of them
 * are in memory before the first row is known. Stamps that tickers share are kept once.
 */

/** A panel that is too large. */
export class PanelLimitError extends Error {
  override name = "PanelLimitError";

  constructor(
    readonly cellsMax: number,
    rows: number,
    columns: number,
  ) {
    super(`${rows} stamps of ${columns} tickers are more than ${cellsMax} cells`);
  }
}

interface PanelColumn {
  stamps: Float64Array;
  values: Float64Array;
  /** Rows that were given. */
  given: number;
}

export class Panel {
  readonly #cellsMax: number;
  readonly #columns: PanelColumn[] = [];
  #stamps: Float64Array = new Float64Array(0);

  /** @param cellsMax stamps times tickers. */
  constructor(cellsMax: number) {
    this.#cellsMax = cellsMax;
  }

  /** Of all columns, ascending, each once. */
  get stamps(): Float64Array {
    return this.#stamps;
  }

  /**
   * The next column.
   *
   * @param stamps ascending, each once.
   * @param values NaN: there is none. Both arrays are kept.
   * @throws PanelLimitError
   */
  add(stamps: Float64Array, values: Float64Array): void {
    const before = this.#columns.at(-1)?.stamps;
    const isShared = before !== undefined && isEqual(before, stamps);
    if (!isShared) this.#stamps = union(this.#stamps, stamps);
    const [rows, columns] = [this.#stamps.length, this.#columns.length + 1];
    if (rows * columns > this.#cellsMax) throw new PanelLimitError(this.#cellsMax, rows, columns);
    this.#columns.push({ stamps: isShared ? before : stamps, values, given: 0 });
  }

  /** The next rows of all columns, in their order. @param from where the call before ended. */
  rows(from: number, to: number): Float64Array<ArrayBuffer>[] {
    return this.#columns.map((column) => {
      const cells = new Float64Array(to - from).fill(Number.NaN);
      let { given } = column;
      for (let row = from; row < to && given < column.stamps.length; row++)
        if (this.#stamps[row] === column.stamps[given]) cells[row - from] = column.values[given++]!;
      column.given = given;
      return cells;
    });
  }
}

/** @returns `all` itself where it has every one of `some`. */
function union(all: Float64Array, some: Float64Array): Float64Array {
  if (all.length === 0) return some;
  let at = 0;
  let missing = 0;
  for (let row = 0; row < some.length; row++) {
    const stamp = some[row]!;
    while (at < all.length && all[at]! < stamp) at++;
    if (all[at] !== stamp) missing++;
  }
  if (missing === 0) return all;
  const merged = new Float64Array(all.length + missing);
  let other = 0;
  at = 0;
  for (let row = 0; row < merged.length; row++) {
    const own = at < all.length ? all[at]! : Number.POSITIVE_INFINITY;
    const others = other < some.length ? some[other]! : Number.POSITIVE_INFINITY;
    merged[row] = Math.min(own, others);
    if (own <= others) at++;
    if (others <= own) other++;
  }
  return merged;
}

function isEqual(a: Float64Array, b: Float64Array): boolean {
  if (a.length !== b.length) return false;
  for (let row = 0; row < a.length; row++) if (a[row] !== b[row]) return false;
  return true;
}
