/**
 * Decides in memory where the ticks of a save go, given the ticks of the same stamps: for engines
 * that are asked once about those of a whole batch, and told once what to write. The rule is that
 * of `SaveTicks`; when two counts are the same is the engine's to say.
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
   * To be written: `new` has a key that is free as far as is known, `replace` overwrites what may
   * be there. Null: as it is stored.
   */
  change: "new" | "replace" | null;
}

/** The ticks of one stamp of one series, by `seq`: those stored, and those to be. */
export type TickSlots = Map<number, TickSlot>;

export interface CountRule {
  countText(count: Count | null): string | null;
  isSameCount(a: string | null, b: string | null): boolean;
}

export interface PlacedTicks {
  /** The position of its update is not known here: null. */
  outcome: SaveOutcome;
  /**
   * The key of one of its ticks was that of a stored one: had nothing been stored, the changes
   * would be others.
   */
  metStored: boolean;
}

/** Writes the changes into the slots, from which the next save of the batch is placed. */
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
