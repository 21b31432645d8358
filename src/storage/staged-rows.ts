/** Applies `onDuplicate` to the rows of one transaction. */
import type { SaveOutcome, SaveRows } from "./contract.ts";
import { KINDS, partName, type SeriesRow } from "./model/kinds.ts";
import { keysTaken } from "./save-refusals.ts";

/** Of each stamp, the row that the saves leave in their order. */
export class StagedRows {
  readonly #isStored: (stamp: string) => boolean;
  readonly #rows = new Map<string, SeriesRow>();

  /** @param isStored It is asked for the keys of saves that don't replace. */
  constructor(isStored: (stamp: string) => boolean) {
    this.#isStored = isStored;
  }

  /** The outcome has no position yet. */
  stage(save: SaveRows): SaveOutcome {
    const { rows, outcome } = chooseRows(save, (stamp) => this.#rows.has(stamp) || this.#isStored(stamp));
    for (const row of rows) this.#rows.set(row[0], row);
    return outcome;
  }

  /** Ascending, each stamp once. */
  rows(): SeriesRow[] {
    return [...this.#rows.values()].sort((a, b) => (a[0] < b[0] ? -1 : 1));
  }
}

/** The rows of a save that its `onDuplicate` lets in. */
export function chooseRows(
  save: SaveRows,
  isTaken: (stamp: string) => boolean,
): { rows: SeriesRow[]; outcome: SaveOutcome } {
  const { kind, ticker, part, onDuplicate } = save;
  let { rows } = save;
  if (onDuplicate === "error") {
    const taken = rows.map((row) => row[0]).filter(isTaken);
    if (taken.length > 0)
      return {
        rows: [],
        outcome: keysTaken(`${KINDS[kind].wire.save}: ${ticker} ${partName(kind, part)}`, taken),
      };
  } else if (onDuplicate === "keep") {
    rows = rows.filter((row) => !isTaken(row[0]));
  }
  return { rows, outcome: { ok: true, stored: rows.length, position: null } };
}
