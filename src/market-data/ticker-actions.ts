/** Corporate actions of a ticker, and whether they may have changed while its bars were read. */

import { isUsableAction } from "../market/closes-before.ts";
import type { ActionType, Basis, CorporateAction } from "../market/corporate-actions.ts";
import { badRequest } from "../protocol/errors.ts";
import { BAR_DELETE, CORPORATE_ACTION, TICKER_RENAME } from "../protocol/frames.ts";
import type { JsonRecord } from "../protocol/json.ts";
import { answeredRows } from "../storage/answered-rows.ts";
import type { StockReader } from "../storage/contract.ts";

/** Of one ticker; those of a century are some hundreds. */
const ACTIONS_MAX = 10_000;
/** Updates that are looked at for their types; if there are more, bars may be among them. */
const UPDATES_MAX = 1_000;
const UPDATE_CHARACTERS_MAX = 4 * 1024 * 1024;
/** Types of updates of bars and actions. */
const MATTERS = new Set(["bar", CORPORATE_ACTION, BAR_DELETE, TICKER_RENAME]);
const DATE_LENGTH = "2024-01-02".length;

export async function positionOf({ updates }: Pick<StockReader, "updates">, ticker: string): Promise<number> {
  return (await updates.positions([ticker])).get(ticker) ?? 0;
}

/** Whether bars or actions may have been saved since. Ticks don't count. */
export async function mayHaveChanged(
  reader: Pick<StockReader, "updates">,
  ticker: string,
  position: number,
): Promise<boolean> {
  const newest = await positionOf(reader, ticker);
  if (newest === position) return false;
  const missed = newest - position;
  if (missed < 0 || missed > UPDATES_MAX) return true;
  const limit = { updates: missed, characters: UPDATE_CHARACTERS_MAX };
  const found = await reader.updates.after(ticker, position, limit);
  // Those of a copy or an import aren't kept.
  if (found.length < missed) return true;
  return found.some(({ type }) => MATTERS.has(type));
}

/** @param range of ex-dates, inclusive; null: unbounded. */
export async function readTickerActions(
  reader: Pick<StockReader, "rows">,
  range: { ticker: string; from: string | null; to: string | null },
  signal: AbortSignal | undefined,
): Promise<CorporateAction[]> {
  const rows = await reader.rows({ kind: "actions", part: null, ...range }, signal);
  const actions: CorporateAction[] = [];
  for await (const records of answeredRows(rows)) {
    actions.push(...records.map(actionOf).filter(isUsableAction));
    if (actions.length > ACTIONS_MAX)
      throw badRequest(`adjustment: ${range.ticker} has more than ${ACTIONS_MAX} corporate actions`);
  }
  return actions;
}

export function isSameActions(a: readonly CorporateAction[], b: readonly CorporateAction[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** What isn't a number counts as missing. */
export function actionOf({ ex_date, type, ratio, cash, basis, new_ticker }: JsonRecord): CorporateAction {
  const number = (value: unknown): number | null => (typeof value === "number" ? value : null);
  return {
    exDate: String(ex_date).slice(0, DATE_LENGTH),
    type: type as ActionType,
    ratio: number(ratio),
    cash: number(cash),
    basis: basis as Basis | null,
    newTicker: new_ticker as string | null,
  };
}
