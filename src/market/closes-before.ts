/** The closes that payments are compared with: of each ex-date the last one before it. */
import {
  type Adjustment,
  type AdjustmentKind,
  adjustmentOf,
  CLOSE_AGE_DAYS_MAX,
  isAdjustedFor,
  splitBetween,
} from "./adjustment.ts";
import { ACTION_TYPES, type CorporateAction } from "./corporate-actions.ts";

const DAY_MS = 86_400_000;
const DATE_LENGTH = "2024-01-02".length;
/** Of the centuries that can be stored; there is no 31 February. */
const DATE = /^(1[6-9]|2[0-2])\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/;

interface LastClose {
  date: string;
  close: number;
}

/** Found in one walk over the days of a ticker. */
export class ClosesBefore {
  /** The days that matter, inclusive. */
  readonly from: string;
  readonly to: string;
  readonly #dates: string[];
  readonly #found = new Map<string, LastClose>();
  #last: LastClose | null = null;
  #next = 0;

  /** @param paid actions with an amount, at least one. */
  constructor(paid: readonly CorporateAction[]) {
    this.#dates = [...new Set(paid.map(({ exDate }) => exDate))].sort();
    this.from = daysBefore(this.#dates[0]!, CLOSE_AGE_DAYS_MAX);
    this.to = daysBefore(this.#dates.at(-1)!, 1);
  }

  /** Ascending by date. */
  add(date: string, close: number | null): void {
    this.#passTo(date);
    if (close !== null) this.#last = { date, close };
  }

  /** Call it once all days were added. */
  found(): ReadonlyMap<string, LastClose> {
    this.#passTo(null);
    return this.#found;
  }

  #passTo(date: string | null): void {
    for (; this.#next < this.#dates.length; this.#next++) {
      const exDate = this.#dates[this.#next]!;
      if (date !== null && exDate > date) return;
      if (this.#last !== null && this.#last.date >= daysBefore(exDate, CLOSE_AGE_DAYS_MAX))
        this.#found.set(exDate, this.#last);
    }
  }
}

/** Actions for which a close is needed. */
export function paidBy(actions: readonly CorporateAction[], kind: AdjustmentKind): CorporateAction[] {
  return actions.filter((action) => action.type !== "split" && isAdjustedFor(action, kind));
}

/** @param closes by ex-date. */
export function adjustmentWith(
  actions: readonly CorporateAction[],
  kind: AdjustmentKind,
  closes: ReadonlyMap<string, LastClose>,
): Adjustment {
  return adjustmentOf(actions, kind, (exDate) => {
    const found = closes.get(exDate);
    // Shares may have been split on a day in between of which no close is stored.
    return found === undefined ? null : found.close / splitBetween(actions, found.date, exDate);
  });
}

/** Another program may have stored what no save could: a type or a date that is none. */
export function isUsableAction({ type, exDate }: CorporateAction): boolean {
  return ACTION_TYPES.includes(type) && DATE.test(exDate) && daysBefore(exDate, 0) === exDate;
}

export function daysBefore(date: string, days: number): string {
  return new Date(Date.parse(date) - days * DAY_MS).toISOString().slice(0, DATE_LENGTH);
}
