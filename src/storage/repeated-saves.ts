/**
 * Finds a save that comes twice in one batch: the worker lost its connection and sent it again,
 * though the first had arrived, or a client did. The database doesn't hold the first yet. So the
 * second is taken out, and answered like the first.
 */
import type { Save, SaveOutcome } from "./contract.ts";
import { mayBeLogged, usedForAnother } from "./save-counts.ts";
import { inGroups } from "./save-groups.ts";

export interface DistinctSaves {
  saves: Save[];
  /** Takes the outcomes of the distinct saves. */
  outcomesOfAll(outcomes: (SaveOutcome | null)[]): (SaveOutcome | null)[];
}

export function takeOutRepeated(batch: Save[]): DistinctSaves {
  if (!batch.some(mayBeLogged)) return { saves: batch, outcomesOfAll: (outcomes) => outcomes };
  const saves: Save[] = [];
  const placeOf = new Map<string, number>();
  const firstOf = (save: Save): number | undefined => {
    const identity = identityOf(save);
    return identity === null ? undefined : placeOf.get(identity);
  };
  const placed = inGroups(batch).flatMap((group): Placed[] => {
    const other = group.find((save) => {
      const first = firstOf(save);
      return first !== undefined && !isSameRequest(save, saves[first]!);
    });
    if (other !== undefined) return group.map(() => ({ refused: usedForAnother(other.ticker) }));
    return group.map((save) => {
      const first = firstOf(save);
      if (first !== undefined) return { place: first, isRepeated: true };
      const place = saves.push(save) - 1;
      const identity = identityOf(save);
      if (identity !== null) placeOf.set(identity, place);
      return { place, isRepeated: false };
    });
  });
  return {
    saves,
    outcomesOfAll: (outcomes) =>
      placed.map((each) => {
        if ("refused" in each) return each.refused;
        const outcome = outcomes[each.place] ?? null;
        return each.isRepeated && outcome?.ok ? { ...outcome, isRepetition: true } : outcome;
      }),
  };
}

/** Of the save that is committed for it, or of one whose identity was used for another one. */
type Placed = { place: number; isRepeated: boolean } | { refused: SaveOutcome };

/** The client's, where it gives one. */
function identityOf({ update }: Save): string | null {
  if (update === undefined) return null;
  return update.request === undefined ? `save ${update.saveId}` : `request ${update.request.key}`;
}

function isSameRequest(save: Save, other: Save): boolean {
  return save.update?.request?.print === other.update?.request?.print;
}
