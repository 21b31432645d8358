/** Which calendar the tickers have, as settings say it: `BTC*=24/7`, `XNYS:extended`. */
import { matcherOf } from "../market/ticker-pattern.ts";

export interface CalendarRule {
  /** As it was written. */
  text: string;
  calendar: string;
  /** As of `GridOptions`; null: the regular one. */
  session: string | null;
  /** Whether the rule is for this ticker; the first one that is counts. */
  matches(ticker: string): boolean;
}

/**
 * `[TICKERS=]CALENDAR[:SESSION]`. Tickers may have a `=`, calendars and sessions have none.
 *
 * @returns null: it isn't of this form. Whether there is such a calendar, `OpenHours` tells.
 */
export function parseCalendarRule(text: string): CalendarRule | null {
  const equals = text.lastIndexOf("=");
  const pattern = equals < 0 ? "*" : text.slice(0, equals).trim();
  const named = text.slice(equals + 1).trim();
  const colon = named.indexOf(":");
  const calendar = colon < 0 ? named : named.slice(0, colon);
  const session = colon < 0 ? null : named.slice(colon + 1);
  if (pattern === "" || calendar === "" || session === "") return null;
  return { text, calendar, session, matches: matcherOf(pattern) };
}

/** @param texts of the right form. */
export function readCalendarRules(texts: readonly string[]): CalendarRule[] {
  return texts.map((text) => parseCalendarRule(text)!);
}

/** @returns the place of the first rule for the ticker; -1: there is none. */
export function ruleOf(rules: readonly CalendarRule[], ticker: string): number {
  return rules.findIndex((rule) => rule.matches(ticker));
}
