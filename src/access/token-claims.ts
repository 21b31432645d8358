/** What the claims of a token let its client do. */
import { unauthorized } from "../protocol/errors.ts";
import { goesWithTickers, isPattern, seesOneOf } from "./key-record.ts";
import type { Caller } from "./key-ring.ts";
import { isScope, type Scope, wholeScopes } from "./scopes.ts";
import type { TokenRules } from "./token-rules.ts";

/** No key has such a name. */
const NAME_PREFIX = "jwt:";
/** It goes into logs and metrics. */
const SUBJECT = /^[^\p{C}]{1,128}$/u;
const PATTERNS_MAX = 1_000;

export type Claims = Record<string, unknown>;

/** @param hash of the token. @throws RequestError 401 naming the claim. */
export function callerOf(claims: Claims, hash: string, endsAt: number, rules: TokenRules): Caller {
  const { sub } = claims;
  if (typeof sub !== "string" || !SUBJECT.test(sub))
    throw unauthorized("the token's claim sub: expected a text of at most 128 characters");
  const may = scopesOf(claims[rules.scopeClaim], rules);
  const patterns = rules.tickersClaim === null ? null : patternsOf(claims, rules.tickersClaim);
  const other = patterns === null ? undefined : may.find((scope) => !goesWithTickers(scope));
  if (other !== undefined)
    throw unauthorized(`the token's claim ${rules.tickersClaim}: got tickers with ${other}, which is of all`);
  return {
    name: NAME_PREFIX + sub,
    may: wholeScopes(may),
    sees: patterns === null ? null : seesOneOf(patterns),
    ...{ rate: null, rows: null, bytes: null, socketsMax: null },
    ...{ hash, endsAt, isToken: true, rights: "" },
  };
}

/** A text with blanks, as in OAuth, or a list. Values that mean nothing here are for others. */
function scopesOf(value: unknown, { scopes }: TokenRules): Scope[] {
  const values = typeof value === "string" ? value.split(" ") : Array.isArray(value) ? value : [];
  if (scopes === null) return values.filter(isScope);
  return values.flatMap((each) => scopes.get(each) ?? []);
}

/** @returns null: all. @throws RequestError 401 */
function patternsOf(claims: Claims, name: string): string[] | null {
  const value = claims[name];
  const patterns = typeof value === "string" ? value.split(/[ ,]+/).filter((part) => part !== "") : value;
  const isUsable =
    Array.isArray(patterns) &&
    patterns.length > 0 &&
    patterns.length <= PATTERNS_MAX &&
    patterns.every(isPattern);
  if (!isUsable)
    throw unauthorized(
      `the token's claim ${name}: expected 1 to ${PATTERNS_MAX} tickers and patterns such as OPT_*, or "*"`,
    );
  return patterns.includes("*") ? null : patterns;
}
