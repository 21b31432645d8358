/** Bars with the prices that splits and payments leave: see docs/corporate-actions.md. */
import {
  type Adjustment,
  type AdjustmentKind,
  adjustmentOf,
  CLOSE_AGE_DAYS_MAX,
  isAdjustedFor,
} from "../market/adjustment.ts";
import type { ActionType, Basis, CorporateAction } from "../market/corporate-actions.ts";
import { badRequest, unavailable } from "../protocol/errors.ts";
import type { JsonRecord } from "../protocol/json.ts";
import { answeredRows } from "../storage/answered-rows.ts";
import type { JsonRows, RowRange, StockReader } from "../storage/contract.ts";

/** Of one ticker; those of a century are some hundreds. */
const ACTIONS_MAX = 10_000;
/** Times that the bars are opened anew as actions were saved meanwhile. */
const TRIES = 5;
const DAY_MS = 86_400_000;
const DATE_LENGTH = "2024-01-02".length;

export interface AdjustedRead {
  range: RowRange;
  kind: AdjustmentKind;
  /** Later ex-dates don't count. */
  asOf: string;
}

export interface AdjustedBars {
  adjustment: Adjustment;
  rows: JsonRows;
}

/**
 * Opens bars, and finds the actions and closes that hold in the same moment: they are those before
 * and after.
 *
 * @param open starts the read of the bars. @throws RequestError 503 they changed again and again.
 */
export async function openWithAdjustment(
  read: AdjustedRead,
  reader: StockReader,
  open: (adjustment: Adjustment) => JsonRows | Promise<JsonRows>,
  signal: AbortSignal,
): Promise<AdjustedBars> {
  for (let tries = 1; tries <= TRIES; tries++) {
    const position = await positionOf(reader, read.range.ticker);
    const adjustment = await findAdjustment(read, reader, signal);
    const rows = await open(adjustment);
    try {
      if (position === (await positionOf(reader, read.range.ticker))) return { adjustment, rows };
      // Another row of the ticker may have been saved, such as a tick.
      if (isSame(adjustment, await findAdjustment(read, reader, signal))) return { adjustment, rows };
    } catch (error) {
      await giveUp(rows);
      throw error;
    }
    await giveUp(rows);
  }
  throw unavailable(
    `get_stock_data: the corporate actions of ${read.range.ticker} changed ${TRIES} times while they were read`,
  );
}

async function positionOf({ updates }: StockReader, ticker: string): Promise<number> {
  return (await updates.positions([ticker])).get(ticker) ?? 0;
}

async function giveUp(rows: JsonRows): Promise<void> {
  if ("chunks" in rows) await rows.chunks[Symbol.asyncIterator]().return?.();
}

function isSame(a: Adjustment, b: Adjustment): boolean {
  const same = (x: Float64Array, y: Float64Array): boolean => x.every((value, at) => value === y[at]);
  return (
    a.exDates.join() === b.exDates.join() &&
    same(a.ratios, b.ratios) &&
    same(a.payouts, b.payouts) &&
    JSON.stringify(a.notApplied) === JSON.stringify(b.notApplied)
  );
}

async function findAdjustment(
  { range, kind, asOf }: AdjustedRead,
  reader: StockReader,
  signal: AbortSignal,
): Promise<Adjustment> {
  const { ticker } = range;
  // An action of the first day that is asked for changes nothing of it, nor of what comes after.
  const from = range.kind === "daily" ? null : (range.from?.slice(0, DATE_LENGTH) ?? null);
  const actions = await readActions(reader, { ticker, from, to: asOf }, signal);
  const paid = actions.filter((action) => action.type !== "split" && isAdjustedFor(action, kind));
  const closes =
    paid.length === 0 ? new Map<string, number>() : await closesBefore(reader, ticker, paid, signal);
  return adjustmentOf(actions, kind, (date) => closes.get(date) ?? null);
}

async function readActions(
  reader: StockReader,
  { ticker, from, to }: Pick<RowRange, "ticker" | "from" | "to">,
  signal: AbortSignal,
): Promise<CorporateAction[]> {
  const rows = await reader.rows({ kind: "actions", ticker, part: null, from, to }, signal);
  const actions: CorporateAction[] = [];
  for await (const records of answeredRows(rows)) {
    actions.push(...records.map(actionOf));
    if (actions.length > ACTIONS_MAX)
      throw badRequest(`adjustment: ${ticker} has more than ${ACTIONS_MAX} corporate actions`);
  }
  return actions;
}

/** Another program may have stored anything: what isn't a number counts as missing. */
function actionOf({ ex_date, type, ratio, cash, basis, new_ticker }: JsonRecord): CorporateAction {
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

/** By ex-date, the last stored close before it: one walk over the days. */
async function closesBefore(
  reader: StockReader,
  ticker: string,
  actions: readonly CorporateAction[],
  signal: AbortSignal,
): Promise<Map<string, number>> {
  const dates = [...new Set(actions.map(({ exDate }) => exDate))].sort();
  const from = daysBefore(dates[0]!, CLOSE_AGE_DAYS_MAX);
  const to = daysBefore(dates.at(-1)!, 1);
  const rows = await reader.rows({ kind: "daily", ticker, part: null, from, to }, signal);
  const closes = new Map<string, number>();
  let last: { date: string; close: number } | null = null;
  let next = 0;
  const passTo = (date: string | null): void => {
    for (; next < dates.length && (date === null || dates[next]! <= date); next++) {
      if (last !== null && last.date >= daysBefore(dates[next]!, CLOSE_AGE_DAYS_MAX))
        closes.set(dates[next]!, last.close);
    }
  };
  for await (const records of answeredRows(rows)) {
    for (const { date: stamp, close } of records) {
      const date = String(stamp).slice(0, DATE_LENGTH);
      passTo(date);
      if (typeof close === "number") last = { date, close };
    }
  }
  passTo(null);
  return closes;
}

function daysBefore(date: string, days: number): string {
  return new Date(Date.parse(date) - days * DAY_MS).toISOString().slice(0, DATE_LENGTH);
}
