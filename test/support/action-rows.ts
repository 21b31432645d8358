/** Rows of corporate actions that every server takes. */
import { type ActionType, firstSeqOf } from "../../src/market/corporate-actions.ts";
import type { SeriesRow, SeriesValue } from "../../src/storage/model/kinds.ts";

const NEW_TICKERS = ["B", "9", "comma, and\nline", "é😀", "'; --", 'quote " and \\'];

/** @param place among the actions of its type and day. */
export function randomAction(
  random: () => number,
  exDate: string,
  { type, place }: { type: ActionType; place: number },
): SeriesRow {
  const oneOf = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const values: Record<ActionType, SeriesValue[]> = {
    split: [oneOf([7, 1.5, 1 / 3, 0.05]), null, null, null],
    dividend: [null, oneOf([0, 0.47, 1 / 3]), oneOf([null, "new", "old"]), null],
    spinoff: [oneOf([null, 0.25]), oneOf([null, 20.5]), null, oneOf([null, ...NEW_TICKERS])],
    symbol_change: [null, null, null, oneOf(NEW_TICKERS)],
  };
  return [exDate, type, ...values[type], firstSeqOf(type) + place];
}
