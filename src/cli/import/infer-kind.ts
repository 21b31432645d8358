/** Infers from columns and first stamps what a file holds. It never guesses. */
import {
  type ColumnChoices,
  type ColumnPlan,
  CsvError,
  type CsvKind,
  planColumns,
} from "../../market/csv.ts";
import { type BarLength, intervalOfSeconds, secondsOfInterval } from "../../market/interval.ts";
import { DoubtError } from "./doubt.ts";

const HOUR_MS = 3_600_000;
const NIGHT_MS = 6 * HOUR_MS;
const DAY_MS = 86_400_000;
const DAY_SECONDS = 86_400;
const WEEK_DAYS = 7;
/** No length of bars. */
const MONTH = Number.POSITIVE_INFINITY;
/** So many times between bars, and most of them equal, are no accident of bars that are missing. */
const CLEAR_GAPS = 5;
const CLEAR_SHARE = 0.75;
const MONTH_DAYS = { min: 28, max: 31 };
const ASK_FOR_INTERVAL = "pass --interval, such as daily, hourly or 5min";
const ASK_FOR_TYPE = "pass --type quote or --type trade";

/** @throws DoubtError saying what to pass. */
export function inferFamily(header: readonly string[], choices: ColumnChoices): "bars" | "quote" | "trade" {
  const bars = planOrNull(header, "hourly", choices);
  const trade = planOrNull(header, "trade", choices);
  const quote = planOrNull(header, "quote", choices);
  const shared = (column: string): boolean => bars?.numbers.some((each) => each.column === column) === true;
  const isTicks = trade?.numbers.every(({ column }) => !shared(column)) === true;
  if (bars !== null && isTicks)
    throw new DoubtError(`the columns fit bars and ticks: ${ASK_FOR_INTERVAL}, or ${ASK_FOR_TYPE}`);
  if (bars !== null) return "bars";
  if (quote !== null && hasAskOrBid(quote)) {
    if (trade !== null && trade.numbers[0]!.column !== quote.numbers[0]!.column && isCalledTrade(trade))
      throw new DoubtError(`the columns fit quotes and trades: ${ASK_FOR_TYPE}`);
    return "quote";
  }
  const ohl = ohlOf(header, choices);
  if (ohl.length > 0) {
    const named = ohl.map((name) => JSON.stringify(name)).join(", ");
    const fault = faultOf(header, "hourly", choices);
    // It says itself what to pass.
    if (fault.includes("--column")) throw new DoubtError(fault);
    throw new DoubtError(
      `the columns ${named} mean bars, but ${fault}: --column TARGET=NAME says which column is which, such as --column close=NAME`,
    );
  }
  if (trade !== null) return "trade";
  if (quote !== null)
    throw new DoubtError(`the columns have a price, but neither a size nor an ask price: ${ASK_FOR_TYPE}`);
  const fault = faultOf(header, "trade", choices);
  if (fault.includes("--column")) throw new DoubtError(fault);
  throw new DoubtError(
    `the columns ${header.map((name) => JSON.stringify(name.slice(0, 40))).join(", ")} are neither bars ` +
      "(date, open, high, low, close, volume) nor ticks (timestamp, price, size): expected a header of these names, or --column TARGET=NAME",
  );
}

/** An event of an order book has a price and a size beside the best bid and ask. */
function isCalledTrade(trade: ColumnPlan): boolean {
  return trade.numbers.every(({ column }) => /^(?:trade_?)?(?:price|size)$/i.test(column));
}

function hasAskOrBid(quote: ColumnPlan): boolean {
  return quote.numbers.some(
    ({ name, column }) => name === "ask_price" || /^(?:bid|bp$)/i.test(column.trim()),
  );
}

/** Open, high and low: ticks have none of them. */
function ohlOf(header: readonly string[], { columns }: ColumnChoices): string[] {
  return header.filter(
    (name, index) =>
      /^[<\s"]*(?:open|high|low)[>\s"]*$/i.test(name) && ![...(columns?.values() ?? [])].includes(index),
  );
}

function planOrNull(header: readonly string[], kind: CsvKind, choices: ColumnChoices): ColumnPlan | null {
  const plan = planOrFault(header, kind, choices);
  return typeof plan === "string" ? null : plan;
}

function faultOf(header: readonly string[], kind: CsvKind, choices: ColumnChoices): string {
  const plan = planOrFault(header, kind, choices);
  return typeof plan === "string" ? plan : "";
}

function planOrFault(header: readonly string[], kind: CsvKind, choices: ColumnChoices): ColumnPlan | string {
  try {
    return planColumns(header, kind, choices);
  } catch (error) {
    if (error instanceof CsvError) return error.message;
    throw error;
  }
}

export interface SeenStamp {
  ticker: string;
  /** Which file it stands in. */
  file: number;
  ms: number;
  hasTime: boolean;
  /** As written, or in the zone that the user or the shape names. */
  atMidnight: boolean;
}

export interface InferredInterval {
  interval: BarLength;
  /** Ends a sentence that begins with the interval. */
  why: string;
  /** As the stamps have no time, or midnight. */
  byMidnight?: true;
}

/**
 * The length of all bars, where no file and ticker has bars of another.
 *
 * @throws DoubtError saying what to pass.
 */
export function inferInterval(stamps: readonly SeenStamp[]): InferredInterval {
  const inferred = commonInterval(stamps);
  const seconds = secondsOfInterval(inferred.interval);
  for (const [, group] of groupsOf(stamps, ({ ticker, file }) => `${file} ${ticker}`)) {
    const own = clearSeconds(group);
    if (own === null || own === seconds) continue;
    const [{ ticker }] = group as [SeenStamp];
    throw new DoubtError(
      `the bars${ticker === "" ? " of one file" : ` of ${ticker}`} are ${own === MONTH ? "a month apart" : intervalOfSeconds(own)}, and others ${inferred.interval}: import bars of each length apart, or ${ASK_FOR_INTERVAL} for all`,
    );
  }
  return inferred;
}

/** @returns the length of the bars of one ticker in one file, where that is beyond doubt. */
function clearSeconds(stamps: readonly SeenStamp[]): number | null {
  const gaps = gapsByTicker(stamps);
  if (stamps.every(({ hasTime, atMidnight }) => atMidnight || !hasTime)) {
    const days = gaps.map((gap) => Math.round(gap / DAY_MS));
    if (days.length >= CLEAR_GAPS && isMonthly(days)) return MONTH;
    if (days.length >= CLEAR_GAPS && isWeekly(days)) return WEEK_DAYS * DAY_SECONDS;
    return days.some((each) => each < WEEK_DAYS) ? DAY_SECONDS : null;
  }
  const shortest = gaps.reduce((least, gap) => Math.min(least, gap), Number.POSITIVE_INFINITY);
  const isClear = gaps.filter((gap) => gap === shortest).length >= gaps.length * CLEAR_SHARE;
  if (gaps.length < CLEAR_GAPS || !isClear || shortest >= DAY_MS - HOUR_MS) return null;
  return shortest / 1_000;
}

/**
 * Daily bars have no time, the same time each day, or midnight. The length of others is the time
 * between two bars of a ticker, if most have the same.
 *
 * @throws DoubtError saying what to pass.
 */
function commonInterval(stamps: readonly SeenStamp[]): InferredInterval {
  if (stamps.length === 0) throw new DoubtError(`no row tells the time of its bar: ${ASK_FOR_INTERVAL}`);
  const gaps = gapsByTicker(stamps);
  if (stamps.every((stamp) => !stamp.hasTime))
    return { ...ofDays(gaps, "its stamps are dates"), byMidnight: true };
  if (stamps.every((stamp) => stamp.atMidnight)) {
    const tickers = new Set(stamps.map(({ ticker }) => ticker)).size;
    if (gaps.length > 0 || tickers > 1 || stamps.some((stamp) => !stamp.hasTime))
      return { ...ofDays(gaps, "all stamps are at midnight"), byMidnight: true };
    throw new DoubtError(`a single bar at midnight may be of a day or an hour: ${ASK_FOR_INTERVAL}`);
  }
  if (gaps.length === 0)
    throw new DoubtError(`a single bar of a ticker tells no length: ${ASK_FOR_INTERVAL}`);
  if (gaps.every((gap) => distanceFromDays(gap) <= HOUR_MS && gap >= DAY_MS - HOUR_MS))
    return ofDays(gaps, "there is one bar a day, where clocks that change are allowed for");
  const shortest = gaps.reduce((least, gap) => Math.min(least, gap), Number.POSITIVE_INFINITY);
  if (shortest >= DAY_MS - HOUR_MS)
    throw new DoubtError(`the bars have a time, but at most one a day: ${ASK_FOR_INTERVAL}`);
  // Missing bars make some gaps longer. If most are longer, the shortest proves nothing.
  const isCommon = gaps.filter((gap) => gap === shortest).length * 2 >= gaps.length;
  const length = intervalOfSeconds(shortest / 1_000);
  if (length === null || !isCommon || !gaps.every((gap) => isMultiple(gap, shortest)))
    throw new DoubtError(`the times of the bars tell no length: ${ASK_FOR_INTERVAL}`);
  return { interval: length, why: "by the time between two bars" };
}

function ofDays(gaps: readonly number[], why: string): InferredInterval {
  const days = gaps.map((gap) => Math.round(gap / DAY_MS));
  if (isMonthly(days)) {
    throw new DoubtError(
      "the bars are a month apart, and no length of bars is a month: --interval daily stores them as daily bars",
    );
  }
  return isWeekly(days)
    ? { interval: "1week", why: "the bars are a week apart" }
    : { interval: "daily", why };
}

function isMonthly(days: readonly number[]): boolean {
  return days.length >= 2 && days.every((each) => each >= MONTH_DAYS.min && each <= MONTH_DAYS.max);
}

function isWeekly(days: readonly number[]): boolean {
  return (
    days.length >= 2 &&
    days.every((each) => each % WEEK_DAYS === 0) &&
    days.filter((each) => each === WEEK_DAYS).length * 2 >= days.length
  );
}

/** A night in which clocks change is an hour longer or shorter. */
function isMultiple(gap: number, length: number): boolean {
  if (gap % length === 0) return true;
  return gap >= NIGHT_MS && ((gap + HOUR_MS) % length === 0 || (gap - HOUR_MS) % length === 0);
}

function distanceFromDays(gap: number): number {
  const rest = gap % DAY_MS;
  return Math.min(rest, DAY_MS - rest);
}

/** The times between the bars of a ticker, of all tickers together. */
function gapsByTicker(stamps: readonly SeenStamp[]): number[] {
  return [...groupsOf(stamps, ({ ticker }) => ticker).values()].flatMap((group) => {
    const sorted = [...new Set(group.map(({ ms }) => ms))].sort((a, b) => a - b);
    return sorted.slice(1).map((ms, index) => ms - sorted[index]!);
  });
}

function groupsOf(
  stamps: readonly SeenStamp[],
  keyOf: (stamp: SeenStamp) => string,
): Map<string, SeenStamp[]> {
  const groups = new Map<string, SeenStamp[]>();
  for (const stamp of stamps) {
    const key = keyOf(stamp);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [stamp]);
    else group.push(stamp);
  }
  return groups;
}
