import { ADJUSTMENTS, type Adjustment, type NotApplied } from "../market/adjustment.ts";
import { secondsOfInterval } from "../market/interval.ts";
import { dateAt, startOfDate } from "../market/session-date.ts";
import { toWire } from "../market/timestamp.ts";
import type { WantedAdjustment } from "../market-data/questions.ts";
import { atClientsPace } from "../protocol/clients-pace.ts";
import { badRequest } from "../protocol/errors.ts";
import type { RowRange, StockReader } from "../storage/contract.ts";
import { kindOf, partName } from "../storage/model/kinds.ts";
import { openWithAdjustment } from "./adjusted-bars.ts";
import { adjustedAnswer, RowAdjuster } from "./adjusted-rows.ts";
import type { Answer, Command } from "./context.ts";
import { readBound, readFlag, requireInterval, requireTicker, show } from "./params.ts";
import { toAnswer } from "./rows-answer.ts";

const NOTHING_FOUND = "No data found";
const DAY_SECONDS = 86_400;
/** Of actions that have no factor, in an answer; more are counted. */
const NOT_APPLIED_MAX = 100;

export const getStockData: Command = {
  name: "get_stock_data",
  scope: "read",
  about:
    "Reads bars of one length between two inclusive bounds, as stored or adjusted for splits and dividends.",
  params: [
    ...["ticker", "start_date", "end_date", "interval"],
    ...["adjustment", "adjust_to", "include_extra"],
  ],
  async run({ params, signal }, { reader, marketTimezone }) {
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    const { kind, part } = requireInterval(params.interval);
    const form = kindOf(kind).stamp.type;
    const from = readBound(params, "start_date", "start", form);
    const to = readBound(params, "end_date", "end", form);
    const withExtra = readFlag(params, "include_extra");
    const wanted = readAdjustment(params, marketTimezone);
    const range = { kind, ticker, part, from, to, withExtra };
    if (wanted !== null) return adjustedBars(range, wanted, NOTHING_FOUND, reader, signal);
    const found = reader.rows(range, signal);
    return toAnswer(found instanceof Promise ? await found : found, NOTHING_FOUND);
  },
};

/** @returns null: bars as stored. @throws RequestError 400 */
export function readAdjustment(params: Record<string, unknown>, timeZone: string): WantedAdjustment | null {
  const asOf = readBound(params, "adjust_to", "end", "date");
  const value = params.adjustment ?? (asOf === null ? "raw" : "all");
  if (value === "raw") {
    if (asOf === null) return null;
    throw badRequest('adjust_to: got a date beside "adjustment": "raw", expected one of them');
  }
  const kind = ADJUSTMENTS.find((each) => each === value);
  if (kind === undefined)
    throw badRequest(`adjustment: got ${show(value)}, expected "raw", "split", "dividend" or "all"`);
  // What is announced for a later day hasn't changed a price yet.
  return { kind, asOf: asOf ?? dateAt(Date.now(), timeZone), timeZone };
}

/** @param nothingFound the message where there is no bar. */
export async function adjustedBars(
  range: RowRange,
  wanted: WantedAdjustment,
  nothingFound: string,
  reader: StockReader,
  signal: AbortSignal,
): Promise<Answer> {
  const { kind: name, part, from } = range;
  const kind = kindOf(name);
  const hasAverages = kind.computed.length > 0;
  // Averages depend on all bars before.
  const isWhole = ({ exDates }: Adjustment): boolean => hasAverages && exDates.length > 0;
  const { adjustment, rows } = await openWithAdjustment(
    { range, ...wanted },
    reader,
    (found) => reader.rows(isWhole(found) ? { ...range, from: null } : range, signal),
    signal,
  );
  const boundOf = boundsFor(secondsOfInterval(partName(name, part)), wanted.timeZone);
  const adjuster = new RowAdjuster({
    adjustment,
    stampName: kind.stamp.name,
    bounds: adjustment.exDates.map(boundOf),
    hasAverages: isWhole(adjustment),
    from: from === null ? null : toWire(from),
  });
  // What comes before all bars changes none of them.
  const matters = ({ action }: NotApplied): boolean => boundOf(action.exDate) > (adjuster.first ?? "");
  const end = (): string => endOf(wanted, adjustment.notApplied.filter(matters));
  const answer = await adjustedAnswer(rows, adjuster, end);
  if (answer === null) return toAnswer({ empty: true }, nothingFound);
  return typeof answer === "string" ? answer : atClientsPace(answer);
}

/**
 * The stamp from which on a bar is of the date or later. Bars of a day or more have a calendar
 * date; that of shorter ones is the exchange's.
 */
function boundsFor(seconds: number, timeZone: string): (date: string) => string {
  return seconds >= DAY_SECONDS ? toWire : (date) => startOfDate(date, timeZone);
}

/** What has been done to the prices, behind the rows. */
function endOf({ kind, asOf }: WantedAdjustment, notApplied: NotApplied[]): string {
  const shown = notApplied.slice(0, NOT_APPLIED_MAX).map(notAppliedOf);
  const told = {
    type: kind,
    as_of: asOf,
    ...(shown.length === 0 ? {} : { not_applied: shown }),
    ...(notApplied.length <= NOT_APPLIED_MAX ? {} : { not_applied_count: notApplied.length }),
  };
  return `"adjustment":${JSON.stringify(told)}}`;
}

function notAppliedOf({ action, reason }: NotApplied): object {
  const { exDate, type, ratio, cash } = action;
  return {
    ex_date: toWire(exDate),
    type,
    ...(ratio === null ? {} : { ratio }),
    ...(cash === null ? {} : { cash }),
    reason,
  };
}
