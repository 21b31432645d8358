/** Bars with the prices that splits and payments leave: see docs/corporate-actions.md. */
import {
  type Adjustment,
  type AdjustmentKind,
  adjustmentOf,
  CLOSE_AGE_DAYS_MAX,
  isAdjustedFor,
  splitBetween,
} from "../market/adjustment.ts";
import {
  ACTION_TYPES,
  type ActionType,
  type Basis,
  type CorporateAction,
} from "../market/corporate-actions.ts";
import { badRequest, unavailable } from "../protocol/errors.ts";
import { BAR_DELETE, CORPORATE_ACTION, TICKER_RENAME } from "../protocol/frames.ts";
import type { JsonRecord } from "../protocol/json.ts";
import { answeredRows } from "../storage/answered-rows.ts";
import type { JsonRows, RowRange, StockReader } from "../storage/contract.ts";

/** Of one ticker; those of a century are some hundreds. */
const ACTIONS_MAX = 10_000;
/** Times that the bars are opened, as long as bars or actions are saved meanwhile. */
const TRIES = 5;
/** Updates that are looked at for their types; if there are more, bars may be among them. */
const UPDATES_MAX = 1_000;
const UPDATE_CHARACTERS_MAX = 4 * 1024 * 1024;
/** Types of updates of bars and actions. */
const MATTERS = new Set(["bar", CORPORATE_ACTION, BAR_DELETE, TICKER_RENAME]);
const DAY_MS = 86_400_000;
const DATE_LENGTH = "2024-01-02".length;
/** Of the centuries that can be stored; there is no 31 February. */
const DATE = /^(1[6-9]|2[0-2])\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/;

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
 * Opens bars, and finds the actions and closes that hold in the moment in which they were opened:
 * nothing of that was saved between the reads.
 *
 * Once the bars are open, only a few rows are read. A read of many needs a connection of its own,
 * and readers who hold one each would wait for each other.
 *
 * @param open starts the read of the bars.
 * @throws RequestError 503 actions were saved again and again.
 */
export async function openWithAdjustment(
  read: AdjustedRead,
  reader: StockReader,
  open: (adjustment: Adjustment) => JsonRows | Promise<JsonRows>,
  signal: AbortSignal,
): Promise<AdjustedBars> {
  const { ticker } = read.range;
  for (let tries = 1; tries <= TRIES; tries++) {
    const position = await positionOf(reader, ticker);
    const actions = await readActions(reader, read, signal);
    const adjustment = await findAdjustment(read, actions, reader, signal);
    const rows = await open(adjustment);
    try {
      if (!(await mayHaveChanged(reader, ticker, position))) return { adjustment, rows };
      // Where bars are saved all the time, a close that is corrected may be of another moment.
      if (tries === TRIES && isSame(actions, await readActions(reader, read, signal)))
        return { adjustment, rows };
    } catch (error) {
      await giveUp(rows);
      throw error;
    }
    await giveUp(rows);
  }
  throw unavailable(
    `adjustment: corporate actions of ${ticker} were saved ${TRIES} times while its bars were opened`,
  );
}

async function positionOf({ updates }: StockReader, ticker: string): Promise<number> {
  return (await updates.positions([ticker])).get(ticker) ?? 0;
}

/** Whether bars or actions may have been saved since. Ticks don't count. */
async function mayHaveChanged(reader: StockReader, ticker: string, position: number): Promise<boolean> {
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

function isSame(a: CorporateAction[], b: CorporateAction[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

async function giveUp(rows: JsonRows): Promise<void> {
  if ("chunks" in rows) await rows.chunks[Symbol.asyncIterator]().return?.();
}

async function findAdjustment(
  { range, kind }: AdjustedRead,
  actions: CorporateAction[],
  reader: StockReader,
  signal: AbortSignal,
): Promise<Adjustment> {
  const paid = actions.filter((action) => action.type !== "split" && isAdjustedFor(action, kind));
  const closes =
    paid.length === 0 ? new Map<string, LastClose>() : await closesBefore(reader, range.ticker, paid, signal);
  return adjustmentOf(actions, kind, (exDate) => {
    const found = closes.get(exDate);
    // Shares may have been split on a day in between of which no close is stored.
    return found === undefined ? null : found.close / splitBetween(actions, found.date, exDate);
  });
}

async function readActions(
  reader: StockReader,
  { range, asOf }: AdjustedRead,
  signal: AbortSignal,
): Promise<CorporateAction[]> {
  const { kind, ticker } = range;
  // An action before the first bar changes nothing. But averages depend on earlier bars.
  // So may the close that a payment is compared with.
  const first = range.from?.slice(0, DATE_LENGTH);
  const from = kind === "daily" || first === undefined ? null : daysBefore(first, CLOSE_AGE_DAYS_MAX);
  const rows = await reader.rows({ kind: "actions", ticker, part: null, from, to: asOf }, signal);
  const actions: CorporateAction[] = [];
  for await (const records of answeredRows(rows)) {
    actions.push(...records.map(actionOf).filter(isStorable));
    if (actions.length > ACTIONS_MAX)
      throw badRequest(`adjustment: ${ticker} has more than ${ACTIONS_MAX} corporate actions`);
  }
  return actions;
}

/** What isn't a number counts as missing. */
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

/** Another program may have stored what no save could: a type or a date that is none. */
function isStorable({ type, exDate }: CorporateAction): boolean {
  return ACTION_TYPES.includes(type) && DATE.test(exDate) && daysBefore(exDate, 0) === exDate;
}

interface LastClose {
  date: string;
  close: number;
}

/** By ex-date, the last stored close before it: one walk over the days. */
async function closesBefore(
  reader: StockReader,
  ticker: string,
  actions: readonly CorporateAction[],
  signal: AbortSignal,
): Promise<Map<string, LastClose>> {
  const dates = [...new Set(actions.map(({ exDate }) => exDate))].sort();
  const from = daysBefore(dates[0]!, CLOSE_AGE_DAYS_MAX);
  const to = daysBefore(dates.at(-1)!, 1);
  const rows = await reader.rows({ kind: "daily", ticker, part: null, from, to }, signal);
  const closes = new Map<string, LastClose>();
  let last: LastClose | null = null;
  let next = 0;
  const passTo = (date: string | null): void => {
    for (; next < dates.length && (date === null || dates[next]! <= date); next++) {
      if (last !== null && last.date >= daysBefore(dates[next]!, CLOSE_AGE_DAYS_MAX))
        closes.set(dates[next]!, last);
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
