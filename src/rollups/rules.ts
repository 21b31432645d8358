/**
 * Which bars are rolled up: those of `--rollup` for every ticker, and those of rules that the
 * database keeps, each for the tickers of a pattern.
 */
import { parseRollupLength } from "../calendar/rollup-length.ts";
import { isCheckTicker } from "../market/check-ticker.ts";
import { matcherOf } from "../market/ticker-pattern.ts";
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
  /** How often its bars were to be made anew; absent: never. */
  remade?: number | undefined;
}

/** A series of bars that a ticker gets. */
export interface RollupSeries {
  name: string;
  kind: "hourly" | "interval";
  part: string | null;
  micros: number;
  /** Of what the bars of a ticker have been made by: another one means to make them anew. */
  label: string;
  remade: number;
}

export class RollupRules {
  readonly #rules: { isOf(ticker: string): boolean; series: RollupSeries[] }[];

  constructor(rules: readonly RollupRule[]) {
    this.#rules = rules.map(({ tickers, intervals, remade }) => ({
      isOf: matcherOf(tickers),
      series: intervals.map((interval) => seriesOf(interval, remade)),
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
      if (isOf(ticker))
        for (const each of series) found.set(each.name, laterMade(each, found.get(each.name)));
    return [...found.values()].sort((a, b) => a.micros - b.micros);
  }
}

/** @throws CalendarError */
export function seriesOf(interval: string, remade = 0): RollupSeries {
  const { name, seconds } = parseRollupLength(interval, "intervals");
  const kind = name === "hourly" ? "hourly" : "interval";
  const label = remade === 0 ? name : `${name} ${remade}`;
  return { name, kind, part: kind === "hourly" ? null : name, micros: seconds * 1e6, label, remade };
}

/** Several rules may name a length. */
function laterMade(series: RollupSeries, other: RollupSeries | undefined): RollupSeries {
  return other !== undefined && other.remade > series.remade ? other : series;
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
