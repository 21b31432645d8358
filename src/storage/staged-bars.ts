/**
 * Bars that one transaction stores, by the rule of `SaveBars`: which of a save, and which are left
 * of several saves.
 */
import type { BarRow, SaveBars, SaveOutcome } from "./contract.ts";
import { keysTaken } from "./save-refusals.ts";

/**
 * The bars of one ticker and interval: of each stamp the one that the saves in their order leave.
 */
export class StagedBars {
  readonly #isStored: (stamp: string) => boolean;
  readonly #rows = new Map<string, BarRow>();

  /** @param isStored asked for the keys of saves that don't replace. */
  constructor(isStored: (stamp: string) => boolean) {
    this.#isStored = isStored;
  }

  /** The position of its update is not known here: null. */
  stage(save: SaveBars): SaveOutcome {
    const { rows, outcome } = chooseBars(save, (stamp) => this.#rows.has(stamp) || this.#isStored(stamp));
    for (const row of rows) this.#rows.set(row[0], row);
    return outcome;
  }

  /** Ascending, each stamp once. */
  rows(): BarRow[] {
    return [...this.#rows.values()].sort((a, b) => (a[0] < b[0] ? -1 : 1));
  }
}

/** The rows of a save that are to be written, by its `onDuplicate`. */
export function chooseBars(
  save: SaveBars,
  isTaken: (stamp: string) => boolean,
): { rows: BarRow[]; outcome: SaveOutcome } {
  const { ticker, interval, onDuplicate } = save;
  let { rows } = save;
  if (onDuplicate === "error") {
    const taken = rows.map((row) => row[0]).filter(isTaken);
    if (taken.length > 0)
      return { rows: [], outcome: keysTaken(`save_stock_data: ${ticker} ${interval}`, taken) };
  } else if (onDuplicate === "keep") {
    rows = rows.filter((row) => !isTaken(row[0]));
  }
  return { rows, outcome: { ok: true, stored: rows.length, position: null } };
}
