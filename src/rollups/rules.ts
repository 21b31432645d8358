/**
 * Which bars are rolled up: those of `--rollup` for every ticker, and those of rules that the
 * database keeps, each for the tickers of a pattern.
 */
import { parseRollupLength } from "../calendar/rollup-interval.ts";
import { isCheckTicker } from "../market/check-ticker.ts";
import { isObject } from "../protocol/json.ts";

/** Of the database. */
export const RULES_MAX = 100;
/** Of a rule; more would make a bar's trades be read for too many. */
export const INTERVALS_MAX = 16;
/** The note that keeps the rules. */
export const RULES_NOTE = "rollups/rules";

export interface RollupRule {
  /** A ticker in which `*` stands for any characters. */
  tickers: string;
  /** Names of lengths, the shortest first. */
  intervals: string[];
}

/** A series of bars that a ticker gets. */
export interface RollupSeries {
  name: string;
  kind: "hourly" | "interval";
  part: string | null;
  micros: number;
}

export class RollupRules {
  readonly #rules: { isOf(ticker: string): boolean; series: RollupSeries[] }[];

  constructor(rules: readonly RollupRule[]) {
    this.#rules = rules.map(({ tickers, intervals }) => ({
      isOf: matcherOf(tickers),
      series: intervals.map(seriesOf),
    }));
  }

  get isEmpty(): boolean {
    return this.#rules.length === 0;
  }

  /** The shortest first. Text that isn't well-formed can't be kept as it is, and has none. */
  of(ticker: string): RollupSeries[] {
    const found = new Map<string, RollupSeries>();
    if (!ticker.isWellFormed() || isCheckTicker(ticker)) return [];
    for (const { isOf, series } of this.#rules)
      if (isOf(ticker)) for (const each of series) found.set(each.name, each);
    return [...found.values()].sort((a, b) => a.micros - b.micros);
  }
}

export function seriesOf(interval: string): RollupSeries {
  const { name, seconds } = parseRollupLength(interval, "interval");
  const kind = name === "hourly" ? "hourly" : "interval";
  return { name, kind, part: kind === "hourly" ? null : name, micros: seconds * 1e6 };
}

/** @param note null: there is none. Rules that can't be read are left out. */
export function readRules(note: string | null): RollupRule[] {
  try {
    const rules: unknown = JSON.parse(note ?? "[]");
    return Array.isArray(rules) ? rules.filter(isRule) : [];
  } catch {
    return [];
  }
}

function isRule(value: unknown): value is RollupRule {
  if (!isObject(value) || typeof value.tickers !== "string" || !Array.isArray(value.intervals)) return false;
  try {
    for (const interval of value.intervals) seriesOf(String(interval));
    return true;
  } catch {
    return false;
  }
}

/** Without a regular expression: one of many stars could take for ever. */
function matcherOf(pattern: string): (ticker: string) => boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return (ticker) => ticker === pattern;
  return (ticker) => {
    if (!ticker.startsWith(first)) return false;
    let at = first.length;
    for (const piece of rest) {
      const found = ticker.indexOf(piece, at);
      if (found < 0) return false;
      at = found + piece.length;
    }
    return ticker.length - last.length >= at && ticker.endsWith(last);
  };
}
