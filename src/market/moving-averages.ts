/**
 * Moving averages of daily closes over a ticker's whole series. Days without a close have no
 * averages and are skipped.
 *
 * A resumed computation gives the same doubles as one from the start: each row sums its window
 * afresh, oldest first, and EMAs, which depend on all earlier closes, are passed on unrounded.
 */
import { roundAverage } from "./significant.ts";

export const SMA_PERIODS = [10, 50, 100, 200] as const;
export const EMA_PERIODS = [8, 21, 34, 55, 89] as const;

/** The order of a row of averages. */
export const AVERAGE_COLUMNS = [
  ...SMA_PERIODS.map((period) => `ma_${period}`),
  ...EMA_PERIODS.map((period) => `ema_${period}`),
];

/** Closes from one checkpoint to the next. */
export const CHECKPOINT_EVERY = 128;

/** Closes that the longest window needs besides its own row's. */
export const RECENT_CLOSES_MAX = 199;

type Emas = [
  ema8: number | null,
  ema21: number | null,
  ema34: number | null,
  ema55: number | null,
  ema89: number | null,
];

/** What a row needs from earlier rows, besides the recent closes. */
export interface MovingAverageState {
  /** Days with a close so far. */
  closes: number;
  /** Unrounded; null while there are fewer closes than the period. */
  emas: Emas;
}

interface Checkpoint {
  /** Index among the given rows. */
  index: number;
  /** The state before that row. */
  state: MovingAverageState;
}

export interface Averages {
  /** One row per given close: nine values in the order of `AVERAGE_COLUMNS`, rounded. */
  rows: (number | null)[][];
  /** Ascending: the first row after each multiple of `CHECKPOINT_EVERY` closes. */
  checkpoints: Checkpoint[];
  /** The state after the last row. */
  end: MovingAverageState;
}

export function startState(): MovingAverageState {
  return { closes: 0, emas: [null, null, null, null, null] };
}

/**
 * Computes the rows that follow a state.
 * @param recentCloses The last closes before the first row, oldest first, without missing ones: at
 *   least 199, or all if there are fewer.
 * @param closes One per row, oldest first; null on a day without one.
 * @throws RangeError Fewer recent closes than the state needs.
 */
export function continueAverages(
  state: MovingAverageState,
  recentCloses: readonly number[],
  closes: readonly (number | null)[],
): Averages {
  const needed = Math.min(state.closes, RECENT_CLOSES_MAX);
  if (recentCloses.length < needed) {
    throw new RangeError(
      `continue averages after ${state.closes} closes: expected the last ${needed}, got ${recentCloses.length}`,
    );
  }
  const series = new Float64Array(needed + closes.length);
  series.set(needed === 0 ? [] : recentCloses.slice(-needed));
  let end = needed;
  let count = state.closes;
  let checkpointAt = count;
  let emas: Emas = [...state.emas];

  const rows: (number | null)[][] = [];
  const checkpoints: Checkpoint[] = [];
  for (let index = 0; index < closes.length; index += 1) {
    if (count % CHECKPOINT_EVERY === 0 && count !== checkpointAt) {
      checkpointAt = count;
      checkpoints.push({ index, state: { closes: count, emas: [...emas] } });
    }
    const close = closes[index] ?? null;
    if (close === null) {
      rows.push([null, null, null, null, null, null, null, null, null]);
      continue;
    }
    series[end] = close;
    end += 1;
    count += 1;
    const before = emas;
    emas = [
      nextEma(8, before[0], close, series, end, count),
      nextEma(21, before[1], close, series, end, count),
      nextEma(34, before[2], close, series, end, count),
      nextEma(55, before[3], close, series, end, count),
      nextEma(89, before[4], close, series, end, count),
    ];
    rows.push([
      shown(count < 10 ? null : mean(series, end, 10)),
      shown(count < 50 ? null : mean(series, end, 50)),
      shown(count < 100 ? null : mean(series, end, 100)),
      shown(count < 200 ? null : mean(series, end, 200)),
      shown(emas[0]),
      shown(emas[1]),
      shown(emas[2]),
      shown(emas[3]),
      shown(emas[4]),
    ]);
  }
  return { rows, checkpoints, end: { closes: count, emas } };
}

/** The mean of the `period` closes before `end`. Another order of the sum gives another double. */
function mean(series: Float64Array, end: number, period: number): number {
  let sum = 0;
  for (let at = end - period; at < end; at += 1) sum += series[at]!;
  return sum / period;
}

/** An EMA starts as the mean of the first closes. */
function nextEma(
  period: number,
  ema: number | null,
  close: number,
  series: Float64Array,
  end: number,
  count: number,
): number | null {
  if (count < period) return null;
  if (count === period) return mean(series, end, period);
  if (ema === null) return null;
  const weight = 2 / (period + 1);
  return close * weight + ema * (1 - weight);
}

/** Sums of absurd closes overflow to infinity, which is no average. */
function shown(value: number | null): number | null {
  return value === null || !Number.isFinite(value) ? null : roundAverage(value);
}
