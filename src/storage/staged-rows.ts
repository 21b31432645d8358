/** Applies `onDuplicate` to the rows of one transaction. */
import type { SaveOutcome, SaveRows, Stored } from "./contract.ts";
import { keyText, kindOf, partName, type SeriesRow } from "./model/kinds.ts";
import { keysTaken } from "./save-refusals.ts";

/** The stored rows of a series that have the key of a row. */
export interface StoredKeys {
  has(row: SeriesRow): boolean;
  /** Asked only for a "merge". */
  row(row: SeriesRow): SeriesRow | null;
}

/** Of each key, the row that the saves leave in their order. */
export class StagedRows {
  readonly #rows = new Map<string, SeriesRow>();
  readonly #stored: StoredKeys;

  constructor(stored: StoredKeys) {
    this.#stored = stored;
  }

  /** The outcome has no position yet. */
  stage(save: SaveRows): SaveOutcome {
    const kind = kindOf(save.kind);
    const { rows, outcome } = chooseRows(save, {
      has: (row) => this.#rows.has(keyText(kind, row)) || this.#stored.has(row),
      row: (row) => this.#rows.get(keyText(kind, row)) ?? this.#stored.row(row),
    });
    for (const row of rows) this.#rows.set(keyText(kind, row), row);
    return outcome;
  }

  /** Ascending by stamp, each key once. */
  rows(): SeriesRow[] {
    return [...this.#rows.values()].sort((a, b) => (a[0] < b[0] ? -1 : 1));
  }
}

/** The rows of a save that its `onDuplicate` lets in. */
export function chooseRows(save: SaveRows, keys: StoredKeys): { rows: SeriesRow[]; outcome: SaveOutcome } {
  const { kind: name, ticker, part, onDuplicate, rows } = save;
  const kind = kindOf(name);
  const taken = rows.filter((row) => keys.has(row));
  if (taken.length === 0) return { rows, outcome: { ok: true, stored: rows.length, position: null } };
  if (onDuplicate === "error") {
    const named = taken.map((row) => keyText(kind, row));
    return {
      rows: [],
      outcome: keysTaken(`${kind.wire.save}: ${ticker} ${partName(name, part)}`, named),
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
    const stored = places.length === 0 ? null : keys.row(row);
    if (stored === null) return row;
    const filled = [...row] as SeriesRow;
    for (const place of places) filled[place] = stored[place] ?? null;
    return filled;
  });
}
