/** Bars with the prices that splits and payments leave: see docs/corporate-actions.md. */
import { type Adjustment, type AdjustmentKind, CLOSE_AGE_DAYS_MAX } from "../market/adjustment.ts";
import { adjustmentWith, ClosesBefore, daysBefore, paidBy } from "../market/closes-before.ts";
import type { CorporateAction } from "../market/corporate-actions.ts";
import {
  isSameActions,
  mayHaveChanged,
  positionOf,
  readTickerActions,
} from "../market-data/ticker-actions.ts";
import { unavailable } from "../protocol/errors.ts";
import { answeredRows } from "../storage/answered-rows.ts";
import type { JsonRows, RowRange, StockReader } from "../storage/contract.ts";

/** Times that the bars are opened, as long as bars or actions are saved meanwhile. */
const TRIES = 5;
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
      if (tries === TRIES && isSameActions(actions, await readActions(reader, read, signal)))
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

async function giveUp(rows: JsonRows): Promise<void> {
  if ("chunks" in rows) await rows.chunks[Symbol.asyncIterator]().return?.();
}

async function findAdjustment(
  { range, kind }: AdjustedRead,
  actions: CorporateAction[],
  reader: StockReader,
  signal: AbortSignal,
): Promise<Adjustment> {
  const paid = paidBy(actions, kind);
  if (paid.length === 0) return adjustmentWith(actions, kind, new Map());
  const closes = new ClosesBefore(paid);
  const { from, to } = closes;
  const rows = await reader.rows({ kind: "daily", ticker: range.ticker, part: null, from, to }, signal);
  for await (const records of answeredRows(rows))
    for (const { date, close } of records)
      closes.add(String(date).slice(0, DATE_LENGTH), typeof close === "number" ? close : null);
  return adjustmentWith(actions, kind, closes.found());
}

function readActions(
  reader: StockReader,
  { range, asOf }: AdjustedRead,
  signal: AbortSignal,
): Promise<CorporateAction[]> {
  const { kind, ticker } = range;
  // An action before the first bar changes nothing. But averages depend on earlier bars.
  // So may the close that a payment is compared with.
  const first = range.from?.slice(0, DATE_LENGTH);
  const from = kind === "daily" || first === undefined ? null : daysBefore(first, CLOSE_AGE_DAYS_MAX);
  return readTickerActions(reader, { ticker, from, to: asOf }, signal);
}
