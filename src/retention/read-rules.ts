/** What the rules of `--retain` mean: which rows each is for. */
import { parseRetentionRule, type RetentionRule } from "../market/retention-rule.ts";
import { kindNamed, type NamedKind } from "../storage/model/kind-names.ts";
import { kindOf } from "../storage/model/kinds.ts";

export interface KeptRows extends RetentionRule, NamedKind {}

/**
 * @param texts of the right form.
 * @throws Error A rule names no kind of rows, or one that is kept for ever.
 */
export function readRetention(texts: readonly string[]): KeptRows[] {
  return texts.map((text) => {
    const rule = parseRetentionRule(text)!;
    const named = kindNamed(rule.name);
    if (named === null)
      throw new Error(
        `--retain ${text}: got ${JSON.stringify(rule.name)}, expected ticks, trades, quotes, options, hourly, or a length of bars such as 1min`,
      );
    // Figures, actions and daily bars are few, and averages and adjustments rest on all of them.
    if (kindOf(named.kind).stamp.type === "date")
      throw new Error(`--retain ${text}: ${rule.name} are kept for ever, expected rows with a time of day`);
    return { ...rule, ...named };
  });
}

/** @returns the first rule for these rows; undefined: they are kept. */
export function ruleFor(
  rules: readonly KeptRows[],
  { kind, part, ticker }: NamedKind & { ticker: string },
): KeptRows | undefined {
  return rules.find(
    (rule) => rule.kind === kind && (rule.part === null || rule.part === part) && rule.matches(ticker),
  );
}
