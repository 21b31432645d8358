import type { BarRow, SaveBars, SaveOutcome } from "../contract.ts";
import { keysTaken } from "../save-refusals.ts";

/** Which rows of a save of bars are to be written, by its `onDuplicate`. */
export function chooseRows(
  save: SaveBars,
  isStored: (row: BarRow) => boolean,
): { rows: BarRow[]; outcome: SaveOutcome } {
  const { onDuplicate, ticker, interval } = save;
  if (onDuplicate === "replace")
    return { rows: save.rows, outcome: { ok: true, stored: save.rows.length, seq: null } };
  if (onDuplicate === "error") {
    const taken = save.rows.filter(isStored).map((row) => row[0]);
    if (taken.length === 0)
      return { rows: save.rows, outcome: { ok: true, stored: save.rows.length, seq: null } };
    return { rows: [], outcome: keysTaken(`save_stock_data: ${ticker} ${interval}`, taken) };
  }
  const rows = save.rows.filter((row) => !isStored(row));
  return { rows, outcome: { ok: true, stored: rows.length, seq: null } };
}
