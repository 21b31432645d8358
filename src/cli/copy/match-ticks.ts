/**
 * Which ticks of one stamp are the same in both databases, whatever numbers they have there within
 * the stamp: by their ids, else by their values, as sets with repetition, and only then by their
 * numbers. So a tick that only the destination has stays, also in the place of another one.
 */
import type { SeriesRow, SeriesValue } from "../../storage/model/kinds.ts";
import { sumText } from "./row-sum.ts";

const [ID, EXTRA] = [5, 6];

interface TickPair {
  row: SeriesRow;
  /** What the destination is to have for it, with the number that it has there. */
  wanted: SeriesRow;
  /** What it has; null: nothing. */
  there: SeriesRow | null;
}

interface MatchedTicks {
  /** Those of which the destination has no equal one. */
  pairs: TickPair[];
  onlyInDestination: SeriesRow[];
}

type IsSame = (row: SeriesRow, there: SeriesRow) => boolean;

/** @param source, destination ticks of one stamp, in canonical form and in order. */
export function matchTicks(source: readonly SeriesRow[], destination: readonly SeriesRow[]): MatchedTicks {
  const unclaimed = new Set(destination);
  const found = new Map<SeriesRow, SeriesRow>();
  const claim = (rows: readonly SeriesRow[], keyOf: (row: SeriesRow) => SeriesValue, isSame?: IsSame) => {
    const byKey = Map.groupBy(unclaimed, keyOf);
    return rows.filter((row) => {
      const key = keyOf(row);
      const alike = key === null ? [] : (byKey.get(key) ?? []);
      const at = isSame === undefined ? alike.length - 1 : alike.findLastIndex((there) => isSame(row, there));
      const [there] = at < 0 ? [] : alike.splice(at, 1);
      if (there === undefined) return true;
      found.set(row, there);
      unclaimed.delete(there);
      return false;
    });
  };
  const differing = claim(source, (row) => sumText("ticks", row));
  const others = claim(claim(differing, idOf), valuesText, mayBe);
  claim(others, seqOf, (row, there) => idOf(row) === null && idOf(there) === null);
  const replacing = new Set(others);
  const taken = new Set(destination.map(seqOf));
  let free = 1 + [...source, ...destination].reduce((most, row) => Math.max(most, seqOf(row)), 0);
  const pairs = differing.map((row): TickPair => {
    const there = found.get(row) ?? null;
    if (there === null)
      return { row, wanted: taken.has(seqOf(row)) ? withSeq(row, free++) : row, there: null };
    return { row, wanted: withSeq(replacing.has(row) ? row : completed(row, there), seqOf(there)), there };
  });
  return { pairs, onlyInDestination: [...unclaimed] };
}

function seqOf(row: SeriesRow): number {
  return row.at(-1) as number;
}

function idOf(row: SeriesRow): SeriesValue {
  return row[ID]!;
}

function valuesText(row: SeriesRow): string {
  return JSON.stringify(row.slice(0, ID));
}

/** Of ticks with equal values: what one of them doesn't bring, the other may have. */
function mayBe(row: SeriesRow, there: SeriesRow): boolean {
  return [ID, EXTRA].every(
    (column) => row[column] === null || there[column] === null || row[column] === there[column],
  );
}

function completed(row: SeriesRow, there: SeriesRow): SeriesRow {
  return row.map((value, column) =>
    column === ID || column === EXTRA ? (value ?? there[column]!) : value,
  ) as SeriesRow;
}

function withSeq(row: SeriesRow, seq: number): SeriesRow {
  return (row as SeriesValue[]).with(-1, seq) as SeriesRow;
}
