/**
 * A save of rows of several series of one ticker, such as a chain of options, is one save to
 * whoever sends it: stored together, one update. Drivers take it apart, series by series.
 */
import type { SaveOutcome, SaveRows, Stored } from "./contract.ts";
import type { SeriesRow } from "./model/kinds.ts";

export interface SeriesSaves {
  /** Each of one series. */
  saves: SaveRows[];
  /** Takes the outcomes of these. @returns one for each of the saves that were taken apart. */
  outcomesOfAll(outcomes: SaveOutcome[]): SaveOutcome[];
}

export function bySeries(all: SaveRows[]): SeriesSaves {
  if (!all.some(({ parts }) => parts !== undefined))
    return { saves: all, outcomesOfAll: (outcomes) => outcomes };
  const saves: SaveRows[] = [];
  const counts = all.map((save) => {
    const before = saves.length;
    saves.push(...ofSeries(save));
    return saves.length - before;
  });
  return {
    saves,
    outcomesOfAll(outcomes) {
      let at = 0;
      return counts.map((count) => {
        const own = outcomes.slice(at, at + count);
        at += count;
        return together(own);
      });
    },
  };
}

export function ofSeries({ parts, ...save }: SaveRows): SaveRows[] {
  if (parts === undefined) return [save];
  const rowsOf = new Map<string, SeriesRow[]>();
  for (const [index, row] of save.rows.entries()) {
    const part = parts[index]!;
    const rows = rowsOf.get(part);
    if (rows === undefined) rowsOf.set(part, [row]);
    else rows.push(row);
  }
  return [...rowsOf].map(([part, rows]) => ({ ...save, part, rows }));
}

/** Saves that replace or keep are never refused by what is stored. */
export function together(outcomes: SaveOutcome[]): SaveOutcome {
  if (outcomes.length === 1) return outcomes[0]!;
  const all: Stored = { ok: true, stored: 0, position: null };
  for (const outcome of outcomes) {
    if (!outcome.ok) return outcome;
    all.stored += outcome.stored;
    for (const count of ["replaced", "repeated", "skipped"] as const)
      if (outcome[count]) all[count] = (all[count] ?? 0) + outcome[count];
  }
  return all;
}
