/**
 * Decides in memory where the ticks of a batch of saves go, given the stored ticks of the same stamps: for engines that are
 * asked once about all of them and told once what to write. The rule is that of `SaveTicks`.
 */
import type { Count, SaveOutcome, SaveTicks, TickRow } from "./contract.ts";
import { keysTaken } from "./save-refusals.ts";
import { Claims, withSeq } from "./tick-rule.ts";

export interface TickValues {
  price: number | null;
  /** Digits, see countText. */
  size: string | null;
  askPrice: number | null;
  askSize: string | null;
}

export interface PlacedTick extends TickValues {
  ticker: string;
  type: string;
  stamp: string;
  seq: number;
  /** `stored` is left alone, `new` has a key that is free, `replace` overwrites what may be there. */
  state: "stored" | "new" | "replace";
}

/** Tickers and types hold no NUL. */
export class TickPlacement {
  readonly #byStamp = new Map<string, Map<number, PlacedTick>>();
  readonly #placed: PlacedTick[] = [];
  #metStored = false;

  /** True when the key of a save's tick was that of a stored one: had nothing been stored, the changes would be others. */
  get metStored(): boolean {
    return this.#metStored;
  }

  addStored(key: { ticker: string; type: string; stamp: string; seq: number }, values: TickValues): void {
    this.#at(key.ticker, key.type, key.stamp).set(key.seq, { ...key, ...values, state: "stored" });
  }

  /** The position of its update is not known here: null. */
  place(save: SaveTicks): SaveOutcome {
    const { ticker, type } = save;
    const sequenced = withSeq(save.rows);
    if (save.onDuplicate === "error") {
      const taken = sequenced.filter(([row, seq]) => this.#at(ticker, type, row[0]).has(seq));
      if (taken.length > 0) {
        this.#metStored = true;
        return keysTaken(
          `save_realtime_data: ${ticker} ${type}`,
          taken.map(([row, seq]) => `${row[0]} seq ${seq}`),
        );
      }
    }
    const claims = new Claims(sequenced);
    let stored = 0;
    for (const [row, firstSeq] of sequenced) {
      if (save.onDuplicate === "replace") this.#replace(save, row, firstSeq);
      else if (!this.#append(save, row, firstSeq, claims)) continue;
      stored++;
    }
    return { ok: true, stored, seq: null };
  }

  /** What there is to write, in no order that matters; each key once. */
  changes(): { inserts: PlacedTick[]; replacements: PlacedTick[] } {
    return {
      inserts: this.#placed.filter((tick) => tick.state === "new"),
      replacements: this.#placed.filter((tick) => tick.state === "replace"),
    };
  }

  #replace({ ticker, type }: SaveTicks, row: TickRow, seq: number): void {
    const there = this.#at(ticker, type, row[0]);
    const tick = there.get(seq);
    if (tick === undefined) {
      this.#put(there, { ticker, type, stamp: row[0], seq, ...valuesOf(row), state: "replace" });
      return;
    }
    Object.assign(tick, valuesOf(row));
    if (tick.state !== "stored") return;
    tick.state = "replace";
    this.#placed.push(tick);
  }

  /** @returns false when it is there already. */
  #append({ ticker, type }: SaveTicks, row: TickRow, firstSeq: number, claims: Claims): boolean {
    const there = this.#at(ticker, type, row[0]);
    const values = valuesOf(row);
    for (let seq = firstSeq; ; seq++) {
      const tick = there.get(seq);
      if (tick === undefined) {
        this.#put(there, { ticker, type, stamp: row[0], seq, ...values, state: "new" });
        claims.claim(row, firstSeq, seq);
        return true;
      }
      this.#metStored ||= tick.state === "stored";
      if (sameValues(tick, values) && claims.isDuplicate(row, firstSeq, seq)) {
        claims.claim(row, firstSeq, seq);
        return false;
      }
    }
  }

  #put(there: Map<number, PlacedTick>, tick: PlacedTick): void {
    there.set(tick.seq, tick);
    this.#placed.push(tick);
  }

  #at(ticker: string, type: string, stamp: string): Map<number, PlacedTick> {
    const key = `${ticker}\0${type}\0${stamp}`;
    let there = this.#byStamp.get(key);
    if (there === undefined) {
      there = new Map();
      this.#byStamp.set(key, there);
    }
    return there;
  }
}

/** All the digits of a count, also of one beyond a double's whole numbers. */
export function countText(count: Count | null): string | null {
  if (count === null || typeof count === "string") return count;
  return Number.isSafeInteger(count) || !Number.isInteger(count) ? String(count) : String(BigInt(count));
}

function valuesOf([, price, size, askPrice, askSize]: TickRow): TickValues {
  return { price, size: countText(size), askPrice, askSize: countText(askSize) };
}

function sameValues(a: TickValues, b: TickValues): boolean {
  return (
    a.price === b.price &&
    a.askPrice === b.askPrice &&
    sameCount(a.size, b.size) &&
    sameCount(a.askSize, b.askSize)
  );
}

/** Whole numbers are equal as digits; 1.5 may also be written 1.50. */
function sameCount(a: string | null, b: string | null): boolean {
  if (a === b) return true;
  if (a === null || b === null || !(a.includes(".") || b.includes("."))) return false;
  return Number(a) === Number(b);
}
