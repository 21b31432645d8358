/**
 * Rows of one stamp out of the archive and out of the database. Where rows that share a stamp have
 * a `seq`, the database may have given one again that a row in the archive has.
 */
import { type KindName, kindOf, type SeriesRow } from "../model/kinds.ts";

/**
 * A stored row is an archived one of its id, or of its values, which no other stored row stands
 * for. It takes its place, and all others come behind the archived ones.
 *
 * @param archived of `rowColumnNames`, as `stored`. @returns in order of `seq`.
 */
export function mergeOneStamp(
  name: KindName,
  archived: readonly SeriesRow[],
  stored: readonly SeriesRow[],
): SeriesRow[] {
  if (archived.length === 0) return [...stored].sort(bySeq);
  const idAt = 1 + kindOf(name).values.findIndex((value) => value.name === "id");
  const identityOf = (row: SeriesRow): string =>
    idAt > 0 && row[idAt] !== null ? `id ${row[idAt]}` : JSON.stringify(row.slice(0, -1));
  const merged = [...archived].sort(bySeq);
  const places = new Map<string, number[]>();
  for (const [place, row] of merged.entries()) {
    const identity = identityOf(row);
    const known = places.get(identity);
    if (known === undefined) places.set(identity, [place]);
    else known.push(place);
  }
  let seq = Number(merged.at(-1)!.at(-1));
  for (const row of [...stored].sort(bySeq)) {
    const place = places.get(identityOf(row))?.shift();
    if (place === undefined) merged.push(withSeq(row, ++seq));
    else merged[place] = withSeq(row, Number(merged[place]!.at(-1)));
  }
  return merged;
}

function withSeq(row: SeriesRow, seq: number): SeriesRow {
  const [stamp, ...values] = row;
  return [stamp, ...values.slice(0, -1), seq];
}

function bySeq(a: SeriesRow, b: SeriesRow): number {
  return Number(a.at(-1)) - Number(b.at(-1));
}
