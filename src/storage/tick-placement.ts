/**
 * Places the ticks of a save in memory, by the rule of `SaveTicks`, for engines that read the ticks
 * of the same stamps once for a batch and write the changes once. The engine says when two counts
 * are the same.
 */
import type { Count, SaveOutcome, SaveTicks, TickRow } from "./contract.ts";
import { Claims, refuseTaken, withSeq } from "./tick-rule.ts";

interface TickValues {
  price: number | null;
  /** Digits. */
  size: string | null;
  askPrice: number | null;
  askSize: string | null;
}

export interface TickSlot extends TickValues {
  isStored: boolean;
  /**
   * `new`: the key is free as far as is known; `replace`: it may be taken; null: nothing to write.
   */
  change: "new" | "replace" | null;
}

/** The ticks of one stamp of one series, stored or to be stored, by `seq`. */
export type TickSlots = Map<number, TickSlot>;

export interface CountRule {
  countText(count: Count | null): string | null;
  isSameCount(a: string | null, b: string | null): boolean;
}

export interface PlacedTicks {
  /** It has no position yet. */
  outcome: SaveOutcome;
  /** A key was taken by a stored tick: without stored ticks the changes would differ. */
  metStored: boolean;
}

/** Writes the changes into the slots. The next save of the batch is placed in these. */
export function placeTicks(
  save: SaveTicks,
  slotsOf: (stamp: string) => TickSlots,
  counts: CountRule,
): PlacedTicks {
  const sequenced = withSeq(save.rows);
  if (save.onDuplicate === "error") {
    const refused = refuseTaken(save, sequenced, (stamp, seq) => slotsOf(stamp).has(seq));
    if (refused !== null) return { outcome: refused, metStored: true };
  }
  const claims = new Claims(sequenced);
  let stored = 0;
  let metStored = false;
  for (const [row, firstSeq] of sequenced) {
    const slots = slotsOf(row[0]);
    const values = valuesOf(row, counts);
    if (save.onDuplicate === "replace") {
      replace(slots, firstSeq, values);
      stored++;
      continue;
    }
    for (let seq = firstSeq; ; seq++) {
      const there = slots.get(seq);
      if (there === undefined) {
        slots.set(seq, { ...values, isStored: false, change: "new" });
        claims.claim(row, firstSeq, seq);
        stored++;
        break;
      }
      metStored ||= there.change === null;
      if (isSame(there, values, counts) && claims.isDuplicate(row, firstSeq, seq)) {
        claims.claim(row, firstSeq, seq);
        break;
      }
    }
  }
  return { outcome: { ok: true, stored, position: null }, metStored };
}

function replace(slots: TickSlots, seq: number, values: TickValues): void {
  const there = slots.get(seq);
  if (there === undefined) slots.set(seq, { ...values, isStored: false, change: "replace" });
  else {
    Object.assign(there, values);
    there.change ??= "replace";
  }
}

function valuesOf([, price, size, askPrice, askSize]: TickRow, { countText }: CountRule): TickValues {
  return { price, size: countText(size), askPrice, askSize: countText(askSize) };
}

function isSame(a: TickValues, b: TickValues, { isSameCount }: CountRule): boolean {
  return (
    a.price === b.price &&
    a.askPrice === b.askPrice &&
    isSameCount(a.size, b.size) &&
    isSameCount(a.askSize, b.askSize)
  );
}
