/** Computes what a save of daily bars changes in the averages of its series. */
import {
  AVERAGE_COLUMNS,
  continueAverages,
  type MovingAverageState,
  RECENT_CLOSES_MAX,
  startState,
} from "../market/moving-averages.ts";
import type { BarRow } from "./contract.ts";

/** A window reaches back over at most so many closes before the first row. */
export const CLOSES_BEFORE = RECENT_CLOSES_MAX;

/**
 * For databases from before corporate actions, whose averages had 4 decimals at any size. Without
 * its checkpoints, the next save of a ticker reckons all its averages anew.
 */
export const FORGET_COARSE_AVERAGES_SQL =
  "DELETE FROM daily_checkpoints WHERE ticker IN (SELECT ticker FROM daily_prices WHERE abs(close) < 1)";

/** A row of `daily_checkpoints`: the state before the row of `date`. */
export interface CheckpointRow {
  date: string;
  closes: number;
  ema_8: number;
  ema_21: number;
  ema_34: number;
  ema_55: number;
  ema_89: number;
}

/** `date`, `close` and the average columns. A `close` that is no number counts as none. */
export type StoredDay = Record<string, unknown>;

export interface SeriesPart {
  /** The last one not after the first saved bar; null: the part is the whole series. */
  checkpoint: CheckpointRow | null;
  /**
   * The last closes before the checkpoint's date, oldest first: `CLOSES_BEFORE` of them, or all.
   */
  closesBefore: number[];
  /** From the checkpoint's date on, ascending. */
  stored: StoredDay[];
}

export interface SeriesChanges {
  bars: { bar: BarRow; averages: (number | null)[] }[];
  /** Stored rows whose averages have changed. */
  averages: { date: string; averages: (number | null)[] }[];
  /** `index` is the place of the checkpoint's row among `closes`. */
  checkpoints: { index: number; date: string; state: MovingAverageState }[];
  /** The closes of all rows from the checkpoint on, as they are after the save. */
  closes: (number | null)[];
}

/** @param bars ascending, each date once. */
export function changesOfSeries(part: SeriesPart, bars: BarRow[]): SeriesChanges {
  const series = merge(part.stored, bars);
  const closes = series.map((entry) => entry.close);
  const averages = continueAverages(
    part.checkpoint === null ? startState() : stateOf(part.checkpoint),
    part.closesBefore,
    closes,
  );
  const changes: SeriesChanges = { bars: [], averages: [], checkpoints: [], closes };
  for (const [index, { date, bar, stored }] of series.entries()) {
    const values = averages.rows[index]!;
    if (bar !== null) changes.bars.push({ bar, averages: values });
    else if (AVERAGE_COLUMNS.some((name, column) => stored![name] !== values[column]))
      changes.averages.push({ date, averages: values });
  }
  for (const { index, state } of averages.checkpoints)
    changes.checkpoints.push({ index, date: series[index]!.date, state });
  return changes;
}

interface SeriesEntry {
  date: string;
  close: number | null;
  /** Null: the row is stored already. */
  bar: BarRow | null;
  stored: StoredDay | null;
}

/** Both ascend by date. A saved bar replaces the stored row of its date. */
function merge(stored: StoredDay[], bars: BarRow[]): SeriesEntry[] {
  const series: SeriesEntry[] = [];
  let next = 0;
  for (const bar of bars) {
    while (next < stored.length && (stored[next]!.date as string) < bar[0])
      series.push(entryOf(stored[next++]!));
    if (next < stored.length && stored[next]!.date === bar[0]) next++;
    series.push({ date: bar[0], close: bar[4], bar, stored: null });
  }
  while (next < stored.length) series.push(entryOf(stored[next++]!));
  return series;
}

function entryOf(row: StoredDay): SeriesEntry {
  const close = typeof row.close === "number" ? row.close : null;
  return { date: row.date as string, close, bar: null, stored: row };
}

function stateOf(checkpoint: CheckpointRow): MovingAverageState {
  const { closes, ema_8, ema_21, ema_34, ema_55, ema_89 } = checkpoint;
  return { closes, emas: [ema_8, ema_21, ema_34, ema_55, ema_89] };
}
