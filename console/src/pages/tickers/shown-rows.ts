/** Which lines are shown, and in which order. */
import type { Sort } from "../../components/table.tsx";
import { changeOf, type TickerRow } from "./ticker-row.ts";

const FIGURES: Record<string, (row: TickerRow) => number | null> = {
  last: ({ last }) => last,
  change: changeOf,
  volume: ({ volume }) => volume,
  // The oldest first is the largest age first.
  age: ({ newestMs }) => (newestMs === null ? null : -newestMs),
};

interface Choice {
  search: string;
  sort: Sort;
}

/** Tickers that begin with what is searched for come first, unless another order is chosen. */
export function shownRows(rows: readonly TickerRow[], { search, sort }: Choice): TickerRow[] {
  const text = search.trim().toUpperCase();
  const found = rows.filter(({ symbol }) => symbol.toUpperCase().includes(text));
  const sign = sort.isDescending ? -1 : 1;
  const figure = FIGURES[sort.column];
  if (figure === undefined) {
    const rank = ({ symbol }: TickerRow) => (symbol.toUpperCase().startsWith(text) ? 0 : 1);
    return found.sort((a, b) => rank(a) - rank(b) || sign * (a.symbol < b.symbol ? -1 : 1));
  }
  // What has no figure is last, whatever the order.
  const known = new Map(found.map((row) => [row, figure(row)]));
  return found.sort((a, b) => {
    const [x, y] = [known.get(a) ?? null, known.get(b) ?? null];
    if (x === null || y === null) return x === y ? (a.symbol < b.symbol ? -1 : 1) : x === null ? 1 : -1;
    return sign * (x - y) || (a.symbol < b.symbol ? -1 : 1);
  });
}
