/** Applies `onDuplicate` to the rows of one transaction. */
import type { SaveOutcome, SaveRows, Stored } from "./contract.ts";
import { KINDS, partName, type SeriesRow } from "./model/kinds.ts";
import { keysTaken } from "./save-refusals.ts";

/** The stored rows of the keys of a series. */
export interface StoredKeys {
  has(stamp: string): boolean;
  /** Asked only for a "merge". */
  row(stamp: string): SeriesRow | null;
}

/** Of each stamp, the row that the saves leave in their order. */
export class StagedRows {
  readonly #rows = new Map<string, SeriesRow>();
  readonly #keys: StoredKeys;

  constructor(stored: StoredKeys) {
    this.#keys = {
      has: (stamp) => this.#rows.has(stamp) || stored.has(stamp),
      row: (stamp) => this.#rows.get(stamp) ?? stored.row(stamp),
    };
  }

  /** The outcome has no position yet. */
  stage(save: SaveRows): SaveOutcome {
    const { rows, outcome } = chooseRows(save, this.#keys);
    for (const row of rows) this.#rows.set(row[0], row);
    return outcome;
  }

  /** Ascending, each stamp once. */
  rows(): SeriesRow[] {
    return [...this.#rows.values()].sort((a, b) => (a[0] < b[0] ? -1 : 1));
  }
}

/** The rows of a save that its `onDuplicate` lets in. */
export function chooseRows(save: SaveRows, keys: StoredKeys): { rows: SeriesRow[]; outcome: SaveOutcome } {
  const { kind, ticker, part, onDuplicate, rows } = save;
  const taken = rows.filter((row) => keys.has(row[0]));
  if (taken.length === 0) return { rows, outcome: { ok: true, stored: rows.length, position: null } };
  if (onDuplicate === "error") {
    const stamps = taken.map((row) => row[0]);
    return {
      rows: [],
      outcome: keysTaken(`${KINDS[kind].wire.save}: ${ticker} ${partName(kind, part)}`, stamps),
    };
  }
  const outcome: Stored = { ok: true, stored: rows.length - taken.length, position: null };
  if (onDuplicate === "keep") {
    const known = new Set(taken);
    outcome.skipped = taken.length;
    return { rows: rows.filter((row) => !known.has(row)), outcome };
  }
  outcome.replaced = taken.length;
  return { rows: onDuplicate === "merge" ? merged(save, keys) : rows, outcome };
}

function merged({ rows, missing = [] }: SaveRows, keys: StoredKeys): SeriesRow[] {
  return rows.map((row, index) => {
    const places = missing[index] ?? [];
    const stored = places.length === 0 ? null : keys.row(row[0]);
    if (stored === null) return row;
    const filled = [...row] as SeriesRow;
    for (const place of places) filled[place] = stored[place] ?? null;
    return filled;
  });
}
