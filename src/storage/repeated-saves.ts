/**
 * Finds a save that comes twice in one batch: the worker lost its connection and sent it again,
 * though the first had arrived, or a client did. The database doesn't hold the first yet. So the
 * second is taken out, and answered like the first.
 */
import type { Save, SaveOutcome } from "./contract.ts";
import { mayBeLogged, usedForAnother } from "./save-counts.ts";

export interface DistinctSaves {
  saves: Save[];
  /** Takes the outcomes of the distinct saves. */
  outcomesOfAll(outcomes: (SaveOutcome | null)[]): (SaveOutcome | null)[];
}

export function takeOutRepeated(batch: Save[]): DistinctSaves {
  if (!batch.some(mayBeLogged)) return { saves: batch, outcomesOfAll: (outcomes) => outcomes };
  const saves: Save[] = [];
  const placeOf = new Map<string, number>();
  const places = batch.map((save) => {
    const identity = identityOf(save);
    const known = identity === null ? undefined : placeOf.get(identity);
    if (known !== undefined) return { place: known, isRepeated: true };
    const place = saves.push(save) - 1;
    if (identity !== null) placeOf.set(identity, place);
    return { place, isRepeated: false };
  });
  return {
    saves,
    outcomesOfAll: (outcomes) =>
      places.map(({ place, isRepeated }, index) => {
        const outcome = outcomes[place] ?? null;
        return isRepeated ? answerOfRepeated(batch[index]!, saves[place]!, outcome) : outcome;
      }),
  };
}

/** The client's, where it gives one. */
function identityOf({ update }: Save): string | null {
  if (update === undefined) return null;
  return update.request === undefined ? `save ${update.saveId}` : `request ${update.request.key}`;
}

function answerOfRepeated(save: Save, first: Save, outcome: SaveOutcome | null): SaveOutcome | null {
  if (save.update?.request?.print !== first.update?.request?.print) return usedForAnother(save.ticker);
  return outcome?.ok ? { ...outcome, isRepetition: true } : outcome;
}
