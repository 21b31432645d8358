/** How long rows are kept, as settings say it: `trades=30d`, `OPT_*:quotes=7d`. */
import { matcherOf } from "./ticker-pattern.ts";

export interface RetentionRule {
  /** As it was written. */
  text: string;
  /** What `--kind` of the subcommands names, such as `trades` or `1min`. */
  name: string;
  days: number;
  /** Whether the rule is for this ticker; of those for its rows the first one counts. */
  matches(ticker: string): boolean;
}

const UNIT_DAYS: Record<string, number> = { d: 1, w: 7, y: 365 };
/** Whole days go, so the last one has to be over. */
const DAYS_MIN = 1;
const DAYS_MAX = 36_500;

/**
 * `[TICKERS:]KIND=SPAN`, a span such as 30d, 8w or 2y.
 *
 * @returns null: it isn't of this form. Whether there is such a kind, `readRetention` tells.
 */
export function parseRetentionRule(text: string): RetentionRule | null {
  const [, what, count, unit] = /^(.+)=(\d{1,5})([dwy])$/s.exec(text) ?? [];
  if (what === undefined) return null;
  // `ticks:TYPE` is one name, as for `--kind`.
  const parts = /^(?:(.*):)?\s*(ticks:[^:]+)$/s.exec(what) ?? /^(?:(.*):)?([^:]+)$/s.exec(what);
  const [pattern, name] = [(parts?.[1] ?? "*").trim(), (parts?.[2] ?? "").trim()];
  const days = Number(count) * UNIT_DAYS[unit!]!;
  if (pattern === "" || name === "" || days < DAYS_MIN || days > DAYS_MAX) return null;
  return { text, name, days, matches: matcherOf(pattern) };
}
