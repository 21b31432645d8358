/**
 * Saves of one request that are stored together or not at all: `together` of each names their
 * group. In a batch they follow each other, and no batch has only some of them.
 */
import type { SaveOutcome, SaveRefusal } from "./contract.ts";

interface Grouped {
  together?: string | undefined;
}

/** A save of the group is refused: whoever has begun the transaction must undo it. */
export class GroupRefusedError extends Error {
  override name = "GroupRefusedError";
  /** Of the group, in its batch; `end` is exclusive. */
  readonly start: number;
  readonly end: number;
  /** Of each save of the group. */
  readonly outcomes: SaveOutcome[];

  constructor({ start, end }: { start: number; end: number }, outcomes: readonly (SaveOutcome | null)[]) {
    super("a save is refused, and with it those that belong to it");
    this.start = start;
    this.end = end;
    this.outcomes = refusedTogether(outcomes.slice(start, end));
  }
}

/** Whether the save belongs to the same group as the one before it. */
export function goesOn(before: Grouped | undefined, save: Grouped | undefined): boolean {
  return save?.together !== undefined && before?.together === save.together;
}

/** Where the group of the save begins and ends in its batch; a save without one is alone. */
export function groupOf(saves: readonly Grouped[], index: number): { start: number; end: number } {
  let start = index;
  while (goesOn(saves[start - 1], saves[start])) start--;
  let end = index + 1;
  while (goesOn(saves[end - 1], saves[end])) end++;
  return { start, end };
}

/** @throws GroupRefusedError of the first group that isn't whole. */
export function requireWholeGroups(
  saves: readonly Grouped[],
  outcomes: readonly (SaveOutcome | null)[],
): void {
  const refused = firstRefusedGroup(saves, outcomes);
  if (refused !== null) throw refused;
}

/** @param outcomes null: not known yet. */
export function firstRefusedGroup(
  saves: readonly Grouped[],
  outcomes: readonly (SaveOutcome | null)[],
): GroupRefusedError | null {
  const index = saves.findIndex(
    ({ together }, place) => together !== undefined && outcomes[place]?.ok === false,
  );
  return index < 0 ? null : new GroupRefusedError(groupOf(saves, index), outcomes);
}

/** The batch as its groups, and each save without one. */
export function inGroups<S extends Grouped>(saves: readonly S[]): S[][] {
  const groups: S[][] = [];
  for (const [index, save] of saves.entries()) {
    if (goesOn(saves[index - 1], save)) groups.at(-1)!.push(save);
    else groups.push([save]);
  }
  return groups;
}

/** Each has its own refusal, else the first one that another has. */
export function refusedTogether(outcomes: readonly (SaveOutcome | null)[]): SaveOutcome[] {
  const refusal = outcomes.find((outcome): outcome is SaveRefusal => outcome?.ok === false);
  if (refusal === undefined) throw new Error("no save of the group is refused");
  return outcomes.map((outcome) => (outcome?.ok === false ? outcome : refusal));
}

/**
 * What becomes of a batch without a group that is refused: what came before it is committed, and
 * what comes after it is left for the next transaction.
 */
export async function commitWithout<S>(
  saves: readonly S[],
  { start, end, outcomes }: GroupRefusedError,
  commit: (before: S[]) => Promise<(SaveOutcome | null)[]>,
): Promise<(SaveOutcome | null)[]> {
  const before = start === 0 ? [] : await commit(saves.slice(0, start));
  return saves.map((_, i) => (i < start ? (before[i] ?? null) : i < end ? outcomes[i - start]! : null));
}
