import { stampOfMicros } from "../market/stamp-micros.ts";
import type { Save } from "../storage/contract.ts";
import { kindOf } from "../storage/model/kinds.ts";

/** Of the rows of a save, in its stored form; null: they have none. */
export function newestStampOf(save: Save): string | null {
  if (save.kind === "ticks" && save.columns !== undefined) {
    const stamps = save.columns.columns.get(kindOf(save.kind).stamp.name);
    if (stamps?.type !== "instant" || stamps.values.length === 0) return null;
    let newest = stamps.values[0]!;
    for (const micros of stamps.values) if (micros > newest) newest = micros;
    return stampOfMicros(Number(newest));
  }
  let newest: string | null = null;
  for (const [stamp] of save.rows) if (newest === null || stamp > newest) newest = stamp;
  return newest;
}
