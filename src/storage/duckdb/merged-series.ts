/** The daily bars of one ticker as they will be after a save. */
import type { BarRow } from "../contract.ts";

export interface SeriesEntry<Stored> {
  date: string;
  close: number | null;
  /** The saved bar, or null for a row that only stands in the series. */
  bar: BarRow | null;
  stored: Stored | null;
}

/** Both ascending by date; a saved bar takes the place of the stored row of its date. */
export function mergeSeries<Stored>(
  stored: Stored[],
  bars: BarRow[],
  read: (row: Stored) => { date: string; close: number | null },
): SeriesEntry<Stored>[] {
  const series: SeriesEntry<Stored>[] = [];
  const entries = stored.map((row) => ({ ...read(row), bar: null, stored: row }));
  let next = 0;
  for (const bar of bars) {
    while (next < entries.length && entries[next]!.date < bar[0]) series.push(entries[next++]!);
    if (next < entries.length && entries[next]!.date === bar[0]) next++;
    series.push({ date: bar[0], close: bar[4], bar, stored: null });
  }
  while (next < entries.length) series.push(entries[next++]!);
  return series;
}
