/** Applies `onDuplicate` to the rows of one transaction. */
import type { SaveOutcome, SaveRows } from "./contract.ts";
import { keyText, kindOf, partName, type SeriesRow } from "./model/kinds.ts";
import { keysTaken } from "./save-refusals.ts";

/** Of each key, the row that the saves leave in their order. */
export class StagedRows {
  readonly #isStored: (row: SeriesRow) => boolean;
  readonly #rows = new Map<string, SeriesRow>();

  /** @param isStored It is asked for the keys of saves that don't replace. */
  constructor(isStored: (row: SeriesRow) => boolean) {
    this.#isStored = isStored;
  }

  /** The outcome has no position yet. */
  stage(save: SaveRows): SaveOutcome {
    const kind = kindOf(save.kind);
    const isTaken = (row: SeriesRow): boolean => this.#rows.has(keyText(kind, row)) || this.#isStored(row);
    const { rows, outcome } = chooseRows(save, isTaken);
    for (const row of rows) this.#rows.set(keyText(kind, row), row);
    return outcome;
  }

  /** Ascending by stamp, each key once. */
  rows(): SeriesRow[] {
    return [...this.#rows.values()].sort((a, b) => (a[0] < b[0] ? -1 : 1));
  }
}

/** The rows of a save that its `onDuplicate` lets in. */
export function chooseRows(
  save: SaveRows,
  isTaken: (row: SeriesRow) => boolean,
): { rows: SeriesRow[]; outcome: SaveOutcome } {
  const { kind: name, ticker, part, onDuplicate } = save;
  const kind = kindOf(name);
  let { rows } = save;
  if (onDuplicate === "error") {
    const taken = rows.filter(isTaken).map((row) => keyText(kind, row));
    if (taken.length > 0)
      return {
        rows: [],
        outcome: keysTaken(`${kind.wire.save}: ${ticker} ${partName(name, part)}`, taken),
      };
  } else if (onDuplicate === "keep") {
    rows = rows.filter((row) => !isTaken(row));
  }
  return { rows, outcome: { ok: true, stored: rows.length, position: null } };
}
