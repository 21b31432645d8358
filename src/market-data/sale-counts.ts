/** What trades count for by their sale conditions and tape, which feeds bring as extra members. */
import { type SaleCounts, SaleRules, type Tape } from "../market/sale-conditions.ts";
import type { ColumnBatch, ColumnData, TextColumn } from "../storage/model/columns.ts";

const TAPES: readonly string[] = ["A", "B", "C"];
const NO_TAPE = "";
/** Codes that are told of in one answer. */
const UNSURE_MAX = 20;

export class SaleCounter {
  /** Codes that say nothing, or other things on different tapes. */
  readonly unsure = new Set<string>();
  readonly #bars: "daily" | "intraday";
  readonly #rules = new Map<string, SaleRules>();

  constructor(bars: "daily" | "intraday") {
    this.#bars = bars;
  }

  /** @param batch has the columns `conditions` and `tape`. @returns null: no trade has any. */
  of({ rows, columns }: ColumnBatch): Uint8Array | null {
    const conditions = columns.get("conditions") as TextColumn;
    if (conditions.nulls?.includes(0) === false) return null;
    const tapes = columns.get("tape")!;
    const byCode = conditions.dictionary.map(() => new Map<string, SaleCounts>());
    const parsed = conditions.dictionary.map(parsedConditions);
    const none = this.#rulesOf(NO_TAPE).countsOf(null).counts;
    const counts = new Uint8Array(rows).fill(none);
    for (let row = 0; row < rows; row++) {
      if (conditions.nulls?.[row] === 1) continue;
      const code = conditions.codes[row]!;
      const tape = tapeAt(tapes, row);
      let found = byCode[code]!.get(tape);
      if (found === undefined) {
        found = this.#rulesOf(tape).countsOf(parsed[code]);
        byCode[code]!.set(tape, found);
        if (found.unsure !== null && this.unsure.size < UNSURE_MAX) this.unsure.add(found.unsure);
      }
      counts[row] = found.counts;
    }
    return counts;
  }

  #rulesOf(tape: string): SaleRules {
    let rules = this.#rules.get(tape);
    if (rules === undefined) {
      rules = new SaleRules(tape === NO_TAPE ? null : (tape as Tape), this.#bars);
      this.#rules.set(tape, rules);
    }
    return rules;
  }
}

function tapeAt(tapes: ColumnData, row: number): string {
  if (tapes.type !== "text" || tapes.nulls?.[row] === 1) return NO_TAPE;
  const tape = tapes.dictionary[tapes.codes[row]!]!;
  return TAPES.includes(tape) ? tape : NO_TAPE;
}

/** The column holds JSON. */
function parsedConditions(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
