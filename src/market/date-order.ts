/**
 * Dates in digits whose year comes last, or has two digits, don't say which number is the day. A
 * column has one order, and some of its dates prove it: 15-01-2024 is day first. What proves
 * nothing, or proves two orders, is for the user to say.
 */

export type DateOrder = "dmy" | "mdy" | "ymd";
export const DATE_ORDERS: readonly DateOrder[] = ["dmy", "mdy", "ymd"];
export const ORDER_WORDS: Record<DateOrder, string> = {
  dmy: "day first",
  mdy: "month first",
  ymd: "year first",
};

/** Three numbers that are no ISO date, and what follows. */
const NUMERIC_DATE = /^\s*(\d{1,2})([-/. ])(\d{1,2})\2(\d{4}|\d{2})(?![\d:])/;
/** Two-digit years from here on belong to the 20th century, as in POSIX. */
const TWO_DIGIT_YEAR_PIVOT = 69;
/** A sample of different days is enough to see which number changes least. */
const DISTINCT_MAX = 400;

export interface OrderProof {
  text: string;
  where: string;
}

/** Collects what the dates of a column prove. */
export class DateOrderEvidence {
  /** Dates that need an order to be read. */
  seen = 0;
  example = "";
  /** For each order the first date that it can't read. */
  readonly refuted = new Map<DateOrder, OrderProof>();
  #twoDigitYears = false;
  readonly #firsts = new Set<number>();
  readonly #lasts = new Set<number>();

  add(text: string, where: string | (() => string)): void {
    const match = NUMERIC_DATE.exec(text);
    if (match === null) return;
    if (this.seen++ === 0) this.example = match[0].trim();
    const [first, second, last] = [Number(match[1]), Number(match[3]), Number(match[4])];
    const isShort = match[4]!.length === 2;
    if (isShort) this.#twoDigitYears = true;
    if (first < 1 || first > 31 || second > 12) this.#refute("dmy", match[0], where);
    if (first < 1 || first > 12 || second > 31) this.#refute("mdy", match[0], where);
    if (!isShort || second > 12 || last < 1 || last > 31) this.#refute("ymd", match[0], where);
    if (this.#firsts.size < DISTINCT_MAX) this.#firsts.add(first);
    if (this.#lasts.size < DISTINCT_MAX) this.#lasts.add(last);
  }

  /** What is possible, the likelier one of two first where the year has two digits. */
  possible(): DateOrder[] {
    const open = DATE_ORDERS.filter((order) => !this.refuted.has(order));
    if (!this.#twoDigitYears || !open.includes("ymd") || open.length === 1) return open;
    // Days of one file change more often than its years.
    if (this.#firsts.size > this.#lasts.size) return open.filter((order) => order !== "ymd");
    if (this.#lasts.size > this.#firsts.size) return ["ymd"];
    return open;
  }

  #refute(order: DateOrder, text: string, where: string | (() => string)): void {
    if (this.refuted.has(order)) return;
    this.refuted.set(order, { text: text.trim(), where: typeof where === "string" ? where : where() });
  }
}

export function needsOrder(text: string): boolean {
  return NUMERIC_DATE.test(text);
}

/**
 * @returns the text with its date in ISO form; unchanged when it has no date that needs an order.
 */
export function withIsoDate(text: string, order: DateOrder): string {
  const match = NUMERIC_DATE.exec(text);
  if (match === null) return text;
  const [, first = "", , second = "", last = ""] = match;
  const [year, month, day] =
    order === "dmy" ? [last, second, first] : order === "mdy" ? [last, first, second] : [first, second, last];
  const number = Number(year);
  const full = year.length === 4 ? number : number + (number < TWO_DIGIT_YEAR_PIVOT ? 2000 : 1900);
  return `${full}-${month.padStart(2, "0")}-${day.padStart(2, "0")}${text.slice(match[0].length)}`;
}
