/**
 * What a trade of the American tapes counts for, by its sale conditions.
 *
 * Sources: the table of conditions of a vendor (Polygon) after the rules of CTA and UTP, a summary
 * of their specifications in Alpaca's forum, and UTP's alert of April 2015. They speak of the
 * consolidated tape's daily prices. docs/sale-conditions.md has the table for readers.
 */

/**
 * What a trade counts for: a sum of these. `LAST_IF_NONE` makes the last price only where no trade
 * with `LAST` has come before; the next one that has it takes its place.
 */
export const COUNTS = { OPEN: 1, HIGH_LOW: 2, LAST: 4, VOLUME: 8, LAST_IF_NONE: 16 } as const;
export const COUNTS_ALL: number = COUNTS.OPEN | COUNTS.HIGH_LOW | COUNTS.LAST | COUNTS.VOLUME;

/** The last price if there is no other, and no open. */
const LATE = COUNTS.HIGH_LOW | COUNTS.LAST_IF_NONE | COUNTS.VOLUME;
const VOLUME_ONLY = COUNTS.VOLUME;
const NOTHING = 0;

/** A: New York, B: regional exchanges, C: Nasdaq. */
export type Tape = "A" | "B" | "C";

interface SaleCondition {
  code: string;
  tapes: string;
  name: string;
  counts: number;
  /** In bars of less than a day, where it differs. */
  intraday?: number;
}

export const SALE_CONDITIONS: readonly SaleCondition[] = [
  { code: "@", tapes: "ABC", name: "regular", counts: COUNTS_ALL },
  { code: "A", tapes: "C", name: "acquisition", counts: COUNTS_ALL },
  { code: "B", tapes: "AB", name: "average price", counts: VOLUME_ONLY },
  { code: "B", tapes: "C", name: "bunched", counts: COUNTS_ALL },
  { code: "C", tapes: "ABC", name: "cash sale", counts: VOLUME_ONLY },
  { code: "D", tapes: "C", name: "distribution", counts: COUNTS_ALL },
  { code: "E", tapes: "AB", name: "automatic execution", counts: COUNTS_ALL },
  { code: "F", tapes: "ABC", name: "intermarket sweep", counts: COUNTS_ALL },
  { code: "G", tapes: "C", name: "bunched sold", counts: LATE },
  { code: "H", tapes: "ABC", name: "price variation", counts: VOLUME_ONLY },
  { code: "I", tapes: "ABC", name: "odd lot", counts: VOLUME_ONLY },
  { code: "K", tapes: "ABC", name: "rule 127 or 155", counts: COUNTS_ALL },
  { code: "L", tapes: "ABC", name: "sold last", counts: LATE },
  { code: "M", tapes: "ABC", name: "official close of one exchange", counts: NOTHING },
  { code: "N", tapes: "ABC", name: "next day", counts: VOLUME_ONLY },
  { code: "O", tapes: "ABC", name: "opening print", counts: COUNTS_ALL },
  { code: "P", tapes: "ABC", name: "prior reference price", counts: LATE },
  { code: "Q", tapes: "ABC", name: "official open of one exchange", counts: NOTHING },
  // The older of the sources has it set high and low.
  { code: "R", tapes: "ABC", name: "seller", counts: COUNTS.LAST_IF_NONE | COUNTS.VOLUME },
  { code: "S", tapes: "C", name: "split trade", counts: COUNTS_ALL },
  // Without it there would be no prices before the open and after the close.
  { code: "T", tapes: "ABC", name: "extended hours", counts: VOLUME_ONLY, intraday: COUNTS_ALL },
  { code: "U", tapes: "ABC", name: "extended hours, out of sequence", counts: VOLUME_ONLY },
  { code: "V", tapes: "ABC", name: "contingent", counts: VOLUME_ONLY },
  { code: "W", tapes: "C", name: "average price", counts: VOLUME_ONLY },
  { code: "X", tapes: "ABC", name: "cross", counts: COUNTS_ALL },
  { code: "Y", tapes: "C", name: "yellow flag", counts: COUNTS_ALL },
  { code: "Z", tapes: "ABC", name: "sold out of sequence", counts: LATE },
  { code: "1", tapes: "C", name: "stopped stock", counts: COUNTS_ALL },
  { code: "4", tapes: "ABC", name: "derivatively priced", counts: LATE },
  { code: "5", tapes: "ABC", name: "reopening", counts: COUNTS_ALL },
  { code: "6", tapes: "ABC", name: "closing print", counts: COUNTS_ALL },
  { code: "7", tapes: "ABC", name: "qualified contingent", counts: VOLUME_ONLY },
  {
    code: "9",
    tapes: "ABC",
    name: "corrected consolidated close",
    counts: COUNTS_ALL - COUNTS.VOLUME,
    intraday: NOTHING,
  },
];

export interface SaleCounts {
  /** A sum of `COUNTS`; 0 is no trade at all. */
  readonly counts: number;
  /** Codes that say nothing here, or other things on different tapes; null: none. */
  readonly unsure: string | null;
}

/** Conditions that are remembered, and characters of each; others are read anew. */
const REMEMBERED_MAX = 4_096;
const REMEMBERED_LENGTH_MAX = 64;
/** Codes of one letter without anything between them, as the tapes write them: at most four. */
const TAPE_FIELD = /^(?!\d+$)\S{2,4}$/;

/** One for each tape and each kind of bar, as what is remembered holds for these alone. */
export class SaleRules {
  readonly #remembered = new Map<string, SaleCounts>();
  readonly #tape: Tape | null;
  readonly #isDaily: boolean;

  /** @param tape Null: it isn't known, so a code counts for what it counts for on every tape. */
  constructor(tape: Tape | null, bars: "daily" | "intraday") {
    this.#tape = tape;
    this.#isDaily = bars === "daily";
  }

  /**
   * @param conditions As they came: `"@ T"`, `"@,I"`, `"@FTI"`, `["@", "I"]`, the same as JSON
   *   text, or nothing. A trade counts for what all of its codes let it count for.
   *   Numbers are ids that each vendor has chosen for itself: they are unsure.
   */
  countsOf(conditions: unknown): SaleCounts {
    if (conditions == null || conditions === "") return { counts: COUNTS_ALL, unsure: null };
    const key = typeof conditions === "string" ? conditions : `list ${JSON.stringify(conditions)}`;
    let counts = this.#remembered.get(key);
    if (counts === undefined) {
      counts = this.#read(codesIn(conditions));
      if (this.#remembered.size >= REMEMBERED_MAX) this.#remembered.clear();
      if (key.length <= REMEMBERED_LENGTH_MAX) this.#remembered.set(key, counts);
    }
    return counts;
  }

  #read(codes: string[]): SaleCounts {
    let counts: number = COUNTS_ALL | COUNTS.LAST_IF_NONE;
    const unsure: string[] = [];
    for (const code of codes) {
      const rules = SALE_CONDITIONS.filter(
        (rule) => rule.code === code && (this.#tape === null || rule.tapes.includes(this.#tape)),
      ).map((rule) => (this.#isDaily ? rule.counts : (rule.intraday ?? rule.counts)));
      if (new Set(rules).size !== 1) unsure.push(code);
      // What may be the last price may be it where there is no other.
      for (const rule of rules) counts &= rule & COUNTS.LAST ? rule | COUNTS.LAST_IF_NONE : rule;
    }
    if (counts & COUNTS.LAST) counts -= COUNTS.LAST_IF_NONE;
    return { counts, unsure: unsure.length === 0 ? null : unsure.join(" ") };
  }
}

function codesIn(conditions: unknown): string[] {
  if (Array.isArray(conditions)) return conditions.flatMap((each) => codesIn(each));
  if (typeof conditions !== "string") return [numberLike(conditions)];
  if (conditions.startsWith("[")) {
    const parsed = parsedList(conditions);
    if (parsed !== null) return codesIn(parsed);
  }
  return conditions
    .split(/[\s,]+/)
    .filter((word) => word !== "")
    .flatMap((word) => (TAPE_FIELD.test(word) ? [...word] : [word]));
}

/** Not to be taken for a code that is a digit. */
function numberLike(value: unknown): string {
  return typeof value === "number" ? `#${value}` : String(JSON.stringify(value));
}

function parsedList(text: string): unknown[] | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return Array.isArray(parsed) ? parsed : null;
  } catch {
    return null;
  }
}
