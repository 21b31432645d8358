/**
 * A save that comes twice in one batch: the worker sent it again, as its connection was lost, and
 * the first had arrived after all. The database doesn't hold the first yet, so the second is taken
 * out before, and answered like it afterwards.
 */
import type { Save, SaveOutcome } from "./contract.ts";

export interface DistinctSaves {
  saves: Save[];
  /** An outcome for each save of the batch, from those of the distinct ones. */
  outcomesOfAll(outcomes: (SaveOutcome | null)[]): (SaveOutcome | null)[];
}

export function takeOutRepeated(batch: Save[]): DistinctSaves {
  if (!batch.some((save) => save.update?.repeated))
    return { saves: batch, outcomesOfAll: (outcomes) => outcomes };
  const saves: Save[] = [];
  const placeOf = new Map<string, number>();
  const places = batch.map((save) => {
    const saveId = save.update?.saveId;
    const known = saveId === undefined ? undefined : placeOf.get(saveId);
    if (known !== undefined) return { place: known, isRepeated: true };
    const place = saves.push(save) - 1;
    if (saveId !== undefined) placeOf.set(saveId, place);
    return { place, isRepeated: false };
  });
  return {
    saves,
    outcomesOfAll: (outcomes) =>
      places.map(({ place, isRepeated }) => {
        const outcome = outcomes[place] ?? null;
        return isRepeated && outcome?.ok ? { ...outcome, stored: 0 } : outcome;
      }),
  };
}
