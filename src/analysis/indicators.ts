/**
 * Figures that follow from the bars of one series, such as averages. A bar without what a figure
 * needs has none, and is skipped as if it weren't there.
 *
 * Windows are added up afresh for each bar, oldest first, as the stored averages are
 * (market/moving-averages.ts): where a read begins changes no digit of them. Those that depend on
 * all bars before go on from the mean of the first ones, and are read from so far back that what
 * lies before that weighs less than 1e-13.
 */
import type { BarColumns } from "./bar-columns.ts";

/** Bars that a window may have. */
export const PERIOD_MAX = 1_000;
/** What is left of a bar's weight after this many periods of an EMA is e^-32. */
const EMA_PERIODS_BACK = 16;
/** Wilder's averages forget half as fast. */
const WILDER_PERIODS_BACK = 32;
const BOLLINGER_WIDTH = 2;

/** A figure of one series. */
export interface Indicator {
  /** The figure of each row of the bars, NaN for none. Bars go on from those of the call before. */
  of(bars: BarColumns, sessions: Float64Array | null): Float64Array<ArrayBuffer>;
  /** Begins another series. */
  reset(): void;
}

export interface IndicatorKind {
  /** As it is asked for, and what its column is called: `sma_20`. */
  name: string;
  /** Bars before the first one that is asked for, from which on that has its figure. */
  barsBack: number;
  /** Whether it needs the session date of each bar. */
  bySession: boolean;
  open(): Indicator;
}

/** For messages and pages. */
export const INDICATORS_EXPECTED =
  "sma_N, ema_N, stdev_N, rsi_N, atr_N, bb_upper_N, bb_lower_N with N of up to 1000, vwap_session";

type BarStep = (bars: BarColumns, row: number) => number;

interface Family {
  periodMin: number;
  barsBack(period: number): number;
  /** What follows bar by bar. */
  start(period: number): BarStep;
}

const FAMILIES: Record<string, Family> = {
  sma: { periodMin: 1, barsBack: (period) => period - 1, start: (period) => overCloses(period, meanOf) },
  stdev: {
    periodMin: 2,
    barsBack: (period) => period - 1,
    start: (period) => overCloses(period, sampleDeviation),
  },
  bb_upper: {
    periodMin: 2,
    barsBack: (period) => period - 1,
    start: (period) => overCloses(period, bandAt(1)),
  },
  bb_lower: {
    periodMin: 2,
    barsBack: (period) => period - 1,
    start: (period) => overCloses(period, bandAt(-1)),
  },
  ema: { periodMin: 1, barsBack: (period) => EMA_PERIODS_BACK * period, start: ema },
  rsi: { periodMin: 1, barsBack: (period) => WILDER_PERIODS_BACK * period, start: rsi },
  atr: { periodMin: 1, barsBack: (period) => WILDER_PERIODS_BACK * period, start: atr },
};

/** @returns null: there is none of that name. */
export function indicatorNamed(name: string): IndicatorKind | null {
  if (name === "vwap_session") return { name, barsBack: 0, bySession: true, open: () => new SessionVwap() };
  const [, familyName = "", digits = ""] = /^([a-z_]+)_([1-9]\d{0,3})$/.exec(name) ?? [];
  if (!Object.hasOwn(FAMILIES, familyName)) return null;
  const family = FAMILIES[familyName]!;
  const period = Number(digits);
  if (period < family.periodMin || period > PERIOD_MAX) return null;
  return {
    ...{ name, barsBack: family.barsBack(period), bySession: false },
    open: () => new BarByBar(() => family.start(period)),
  };
}

class BarByBar implements Indicator {
  readonly #start: () => BarStep;
  #step: BarStep;

  constructor(start: () => BarStep) {
    this.#start = start;
    this.#step = start();
  }

  of(bars: BarColumns): Float64Array<ArrayBuffer> {
    const figures = new Float64Array(bars.rows);
    for (let row = 0; row < figures.length; row++) figures[row] = this.#step(bars, row);
    return figures;
  }

  reset(): void {
    this.#step = this.#start();
  }
}

/** The average price since the session began, by volume. */
class SessionVwap implements Indicator {
  #session = Number.NaN;
  #notional = 0;
  #volume = 0;

  of(bars: BarColumns, sessions: Float64Array): Float64Array<ArrayBuffer> {
    const figures = new Float64Array(bars.rows);
    const { volume, vwap } = bars.columns;
    for (let row = 0; row < figures.length; row++) {
      if (sessions[row] !== this.#session) {
        this.reset();
        this.#session = sessions[row]!;
      }
      // NaN stays until the session ends: what was traded at an unknown price can't be left out.
      if (volume[row] !== 0) this.#notional += volume[row]! * vwap[row]!;
      this.#volume += volume[row]!;
      figures[row] = this.#notional / this.#volume;
    }
    return figures;
  }

  reset(): void {
    this.#session = Number.NaN;
    this.#notional = 0;
    this.#volume = 0;
  }
}

type OfWindow = (series: Float64Array, end: number, period: number) => number;

/** The last closes, as many as a window has. */
class Closes {
  readonly #period: number;
  readonly series: Float64Array;
  end = 0;
  count = 0;

  constructor(period: number) {
    this.#period = period;
    this.series = new Float64Array(2 * period);
  }

  push(close: number): void {
    if (this.end === this.series.length) {
      this.series.copyWithin(0, this.end - this.#period + 1);
      this.end = this.#period - 1;
    }
    this.series[this.end++] = close;
    this.count++;
  }
}

function overCloses(period: number, of: OfWindow): BarStep {
  const closes = new Closes(period);
  return (bars, row) => {
    const close = bars.columns.close[row]!;
    if (Number.isNaN(close)) return Number.NaN;
    closes.push(close);
    return closes.count < period ? Number.NaN : of(closes.series, closes.end, period);
  };
}

function meanOf(series: Float64Array, end: number, period: number): number {
  let sum = 0;
  for (let at = end - period; at < end; at++) sum += series[at]!;
  return sum / period;
}

function squaresOf(series: Float64Array, end: number, period: number): number {
  const mean = meanOf(series, end, period);
  let squares = 0;
  for (let at = end - period; at < end; at++) squares += (series[at]! - mean) ** 2;
  return squares;
}

function sampleDeviation(series: Float64Array, end: number, period: number): number {
  return Math.sqrt(squaresOf(series, end, period) / (period - 1));
}

/** Bollinger's bands are made of the deviation of the whole window. */
function bandAt(side: 1 | -1): OfWindow {
  return (series, end, period) =>
    meanOf(series, end, period) + side * BOLLINGER_WIDTH * Math.sqrt(squaresOf(series, end, period) / period);
}

/** Begins as the mean of the first values. @param weight of the newest one. */
class Smoothed {
  readonly #period: number;
  readonly #weight: number;
  readonly #first: number[] = [];
  #value = Number.NaN;

  constructor(period: number, weight: number) {
    this.#period = period;
    this.#weight = weight;
  }

  next(value: number): number {
    if (Number.isNaN(this.#value)) {
      this.#first.push(value);
      if (this.#first.length < this.#period) return Number.NaN;
      this.#value = this.#first.reduce((sum, each) => sum + each, 0) / this.#period;
    } else this.#value = value * this.#weight + this.#value * (1 - this.#weight);
    return this.#value;
  }
}

function ema(period: number): BarStep {
  const average = new Smoothed(period, 2 / (period + 1));
  return ({ columns }, row) => {
    const close = columns.close[row]!;
    return Number.isNaN(close) ? Number.NaN : average.next(close);
  };
}

function rsi(period: number): BarStep {
  const gains = new Smoothed(period, 1 / period);
  const losses = new Smoothed(period, 1 / period);
  let before = Number.NaN;
  return ({ columns }, row) => {
    const close = columns.close[row]!;
    if (Number.isNaN(close)) return Number.NaN;
    const change = close - before;
    before = close;
    if (Number.isNaN(change)) return Number.NaN;
    const gain = gains.next(Math.max(change, 0));
    const loss = losses.next(Math.max(-change, 0));
    // Where nothing has moved there is no strength: 0 / 0.
    return (100 * gain) / (gain + loss);
  };
}

function atr(period: number): BarStep {
  const average = new Smoothed(period, 1 / period);
  let before = Number.NaN;
  return ({ columns }, row) => {
    const high = columns.high[row]!;
    const low = columns.low[row]!;
    const close = columns.close[row]!;
    if (Number.isNaN(high + low + close)) return Number.NaN;
    const range = Math.max(high - low, Math.abs(high - before), Math.abs(low - before));
    before = close;
    return Number.isNaN(range) ? Number.NaN : average.next(range);
  };
}
