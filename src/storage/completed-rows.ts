/**
 * Saves with `complete`: a row that doesn't bring all values takes the others from what is stored
 * of its key, else from the newest row before it.
 */
import type { SaveRows } from "./contract.ts";
import type { SeriesRow } from "./model/kinds.ts";

/** The newest rows of a series up to a stamp, inclusive, newest first; this many tell all. */
export const ROWS_BEFORE = 2;

export class CompletedRows {
  /** What earlier saves of the same transaction leave, by series and stamp. */
  readonly #saved = new Map<string, Map<string, SeriesRow>>();

  /**
   * In the order of the saves.
   *
   * @param before the stored rows up to the save's, as ROWS_BEFORE says; of a save that doesn't
   *   complete nothing.
   * @returns the save that replaces.
   */
  complete(save: SaveRows, before: readonly SeriesRow[]): SaveRows {
    const { ticker, part, onDuplicate } = save;
    const key = JSON.stringify([ticker, part]);
    const saved = this.#saved.get(key) ?? new Map<string, SeriesRow>();
    this.#saved.set(key, saved);
    if (onDuplicate !== "complete") {
      for (const row of save.rows) saved.set(row[0], row);
      return save;
    }
    const rows = save.rows.map((row) => {
      const known = new Map([...before.map((each) => [each[0], each] as const), ...saved]);
      const upTo = [...known.values()].filter(([stamp]) => stamp <= row[0]).sort(newestFirst);
      const bases = upTo.slice(0, upTo[0]?.[0] === row[0] ? ROWS_BEFORE : 1);
      const whole = row.map((value, index) => {
        return value ?? bases.find((base) => base[index] !== null)?.[index] ?? null;
      }) as SeriesRow;
      saved.set(whole[0], whole);
      return whole;
    });
    return { ...save, rows, onDuplicate: "replace" };
  }
}

function newestFirst([a]: SeriesRow, [b]: SeriesRow): number {
  return a < b ? 1 : a === b ? 0 : -1;
}
