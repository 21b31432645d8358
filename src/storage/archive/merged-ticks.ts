/**
 * Ticks of one stamp out of the archive and out of the database, which may have given a `seq` again
 * that one in the archive has.
 */
import type { TickRow } from "../contract.ts";
import { countText } from "../count-text.ts";
import type { SeriesRow } from "../model/kinds.ts";
import { StampTicks, type TickSlot } from "../stamp-ticks.ts";
import { placeTicks } from "../tick-placement.ts";
import { countOf } from "../transfer-rows.ts";

/**
 * As if the archived ones were stored, and the others came in a save that matches: see `SaveTicks`.
 * @param archived of `rowColumnNames`, as `stored`. @returns in order of `seq`.
 */
export function mergeOneStamp(archived: readonly SeriesRow[], stored: readonly SeriesRow[]): SeriesRow[] {
  if (archived.length === 0) return [...stored].sort(bySeq);
  const ticks = new StampTicks();
  for (const row of archived) {
    const [, price, size, askPrice, askSize, id, extra, seq] = row as TickRow;
    const counts = { size: countText(size), askSize: countText(askSize) };
    ticks.addStored(seq!, { price, askPrice, id, extra, ...counts });
  }
  const rows = [...stored].sort(bySeq).map((row) => [...row.slice(0, -1), null] as unknown as TickRow);
  placeTicks({ kind: "ticks", ticker: "", part: "", rows, onDuplicate: "match" }, () => ticks, countText);
  const stamp = archived[0]![0];
  return [...ticks.slots].sort(([a], [b]) => a - b).map(([seq, slot]) => rowOf(stamp, slot, seq));
}

function rowOf(stamp: string, slot: TickSlot, seq: number): SeriesRow {
  const { price, size, askPrice, askSize, id, extra } = slot;
  return [stamp, price, countOf(size, stamp), askPrice, countOf(askSize, stamp), id, extra, seq];
}

function bySeq(a: SeriesRow, b: SeriesRow): number {
  return Number(a.at(-1)) - Number(b.at(-1));
}
