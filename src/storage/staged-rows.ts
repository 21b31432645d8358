/** Applies `onDuplicate` to the rows of one transaction. */
import { isMadeByRollup } from "../market/rollup-mark.ts";
import type { OnDuplicate, SaveOutcome, SaveRows, Stored } from "./contract.ts";
import { keyText, kindOf, partName, type SeriesRow } from "./model/kinds.ts";
import { keysTaken } from "./save-refusals.ts";

/** The stored rows of a series that have the key of a row. */
export interface StoredKeys {
  has(row: SeriesRow): boolean;
  /** Asked only where `asksForRows`. */
  row(row: SeriesRow): SeriesRow | null;
}

/** Whether what the rows of the key hold decides what is stored. */
export function asksForRows({ onDuplicate }: { onDuplicate: OnDuplicate }): boolean {
  return onDuplicate === "merge" || onDuplicate === "rollup";
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
  if (onDuplicate === "rollup") return rolledUp(save, new Set(taken), { keys, outcome });
  outcome.replaced = taken.length;
  return { rows: onDuplicate === "merge" ? merged(save, keys) : rows, outcome };
}

/** @param outcome with the number of new rows. */
function rolledUp(
  { kind: name, rows }: SaveRows,
  taken: ReadonlySet<SeriesRow>,
  { keys, outcome }: { keys: StoredKeys; outcome: Stored },
): { rows: SeriesRow[]; outcome: Stored } {
  const { values } = kindOf(name);
  const extraAt = 1 + values.findIndex((column) => column.name === "extra");
  let repeated = 0;
  let skipped = 0;
  const changed = rows.filter((row) => {
    const stored = taken.has(row) ? keys.row(row) : null;
    if (stored === null) return true;
    const isOwn = isMadeByRollup(stored[extraAt] ?? null);
    const isSame =
      isOwn && values.every((_, index) => (row[index + 1] ?? null) === (stored[index + 1] ?? null));
    if (isSame) repeated++;
    else if (!isOwn) skipped++;
    return isOwn && !isSame;
  });
  return {
    rows: changed,
    outcome: { ...outcome, replaced: changed.length - outcome.stored, repeated, skipped },
  };
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
