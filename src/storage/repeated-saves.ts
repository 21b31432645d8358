/**
 * Finds a save that comes twice in one batch: the worker lost its connection and sent it again,
 * though the first had arrived. The database doesn't hold the first yet. So the second is taken
 * out, and answered like the first.
 */
import type { Save, SaveOutcome } from "./contract.ts";

export interface DistinctSaves {
  saves: Save[];
  /** Takes the outcomes of the distinct saves. */
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
