/**
 * Prices as if splits had always been made and dividends always been paid, by the formulas of
 * docs/corporate-actions.md. Stored prices stay as they were; this is reckoned when they are read.
 *
 * Nothing is rounded here. Factors are of spans of time: all bars between two ex-dates share them,
 * so rows and columns are adjusted alike.
 */
import type { CorporateAction } from "./corporate-actions.ts";

export const ADJUSTMENTS = ["split", "dividend", "all"] as const;
export type AdjustmentKind = (typeof ADJUSTMENTS)[number];

/** For a dividend, the last close before its ex-date may be so many days old. */
export const CLOSE_AGE_DAYS_MAX = 14;

export interface Adjustment {
  /** Ascending, each once. Span i lies before `exDates[i]`; one more lies after all. */
  exDates: string[];
  /** New shares for each one of the span: prices are divided by it, volumes multiplied. */
  ratios: Float64Array;
  /** What of a price is left after what was paid out since. */
  payouts: Float64Array;
  /** Actions that have no factor, in order of time. */
  notApplied: NotApplied[];
}

export interface NotApplied {
  action: CorporateAction;
  reason: string;
}

/** Whether the kind of adjustment has a factor for the action. */
export function isAdjustedFor({ type }: CorporateAction, kind: AdjustmentKind): boolean {
  if (type === "split") return kind !== "dividend";
  return type !== "symbol_change" && kind !== "split";
}

/**
 * @param actions of one ticker, in any order.
 * @param closeBefore the last stored close before the ex-date, for a share of its eve; null: there
 *   is none, or none that is recent enough.
 */
export function adjustmentOf(
  actions: readonly CorporateAction[],
  kind: AdjustmentKind,
  closeBefore: (exDate: string) => number | null,
): Adjustment {
  const byDate = Map.groupBy(actions, ({ exDate }) => exDate);
  const dates = [...byDate.keys()].filter((date) =>
    byDate.get(date)!.some((action) => isAdjustedFor(action, kind)),
  );
  dates.sort();
  const steps = dates.map((date) => stepOf(byDate.get(date)!, kind, () => closeBefore(date)));
  const ratios = new Float64Array(steps.length + 1).fill(1);
  const payouts = new Float64Array(steps.length + 1).fill(1);
  for (let at = steps.length - 1; at >= 0; at--) {
    ratios[at] = ratios[at + 1]! * steps[at]!.ratio;
    payouts[at] = payouts[at + 1]! * steps[at]!.payout;
  }
  return { exDates: dates, ratios, payouts, notApplied: steps.flatMap(({ notApplied }) => notApplied) };
}

/** New shares for each one of the first date, on the eve of the second. */
export function splitBetween(actions: readonly CorporateAction[], date: string, exDate: string): number {
  let shares = 1;
  for (const action of actions) {
    const isBetween = action.type === "split" && action.exDate > date && action.exDate < exDate;
    if (isBetween && isPositive(action.ratio)) shares *= action.ratio;
  }
  return shares;
}

/** The span of a bar. @param bounds the ex-dates, in the form of the stamp. */
export function spanOf(bounds: readonly string[], stamp: string): number {
  let low = 0;
  let high = bounds.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (bounds[middle]! <= stamp) low = middle + 1;
    else high = middle;
  }
  return low;
}

interface DayStep {
  ratio: number;
  payout: number;
  notApplied: NotApplied[];
}

/** All actions of one day. Amounts are added first, then combined with the split. */
function stepOf(actions: CorporateAction[], kind: AdjustmentKind, closeBefore: () => number | null): DayStep {
  const notApplied: NotApplied[] = [];
  let ofDay = 1;
  for (const action of actions) {
    if (action.type !== "split") continue;
    if (isPositive(action.ratio)) ofDay *= action.ratio;
    else if (kind !== "dividend") notApplied.push({ action, reason: "its ratio is not above 0" });
  }
  const ratio = kind === "dividend" ? 1 : ofDay;
  let paid = 0;
  const paying: CorporateAction[] = [];
  for (const action of actions) {
    if (action.type === "split" || !isAdjustedFor(action, kind)) continue;
    const amount = amountOf(action);
    if (amount === null) notApplied.push({ action, reason: lackOf(action) });
    else if (amount > 0) {
      paid += action.basis === "old" ? amount : amount * ofDay;
      paying.push(action);
    }
  }
  if (paying.length === 0) return { ratio, payout: 1, notApplied };
  const close = closeBefore();
  const reason = close === null ? NO_CLOSE : refusal(paid, close);
  if (reason === null) return { ratio, payout: 1 - paid / close!, notApplied };
  return { ratio, payout: 1, notApplied: [...notApplied, ...paying.map((action) => ({ action, reason }))] };
}

const NO_CLOSE = `no daily close is stored in the ${CLOSE_AGE_DAYS_MAX} days before it`;

/** A price after it would not be above 0. */
function refusal(paid: number, close: number): string | null {
  if (!isPositive(close)) return `the close before it is ${close}, expected more than 0`;
  return paid < close ? null : `what is paid for an old share, ${paid}, is not less than the close, ${close}`;
}

/** For one share. Null: it isn't known. */
function amountOf({ type, ratio, cash }: CorporateAction): number | null {
  if (cash === null || !(cash >= 0)) return null;
  if (type === "dividend" || ratio === null) return cash;
  return isPositive(ratio) ? ratio * cash : null;
}

function lackOf({ type }: CorporateAction): string {
  return type === "spinoff" ? "what its shares are worth, cash, is not known" : "its cash is not known";
}

function isPositive(value: number | null): value is number {
  return value !== null && value > 0;
}
