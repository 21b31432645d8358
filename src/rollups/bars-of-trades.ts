/**
 * The bars of one ticker out of its trades, for several lengths at once. The trades come in order
 * of time; the newest bar of each length stays open, so that later trades go on from it.
 */
import { microsOf, numbersOf } from "../analysis/numbers.ts";
import { RunningBar, type TradeRows } from "../analysis/running-bar.ts";
import { ROLLUP_MARK } from "../market/rollup-mark.ts";
import { stampOfMicros } from "../market/stamp-micros.ts";
import type { ColumnBatch } from "../storage/model/columns.ts";
import type { SeriesRow } from "../storage/model/kinds.ts";
import type { RollupSeries } from "./rules.ts";
import { alignedTo, type TimeSpan } from "./spans.ts";

const SECOND_LENGTH = "2024-01-02 10:00:00".length;
/** What bars are made of. */
export const TRADE_COLUMNS = ["timestamp", "price", "size"] as const;
/** An integer of 64 bits is less. */
const COUNT_END = 2n ** 63n;

/** The bars of one length. */
class OpenSeries {
  readonly series: RollupSeries;
  /** Trades outside of it are of buckets that aren't made. */
  span: TimeSpan;
  readonly #bar = new RunningBar();
  #rows: SeriesRow[] = [];
  /** The open bar has trades that no row shows. */
  #isChanged = false;

  constructor(series: RollupSeries, span: TimeSpan) {
    this.series = series;
    this.span = span;
  }

  add(rows: TradeRows): void {
    const { micros } = rows;
    const step = this.series.micros;
    let row = 0;
    while (row < micros.length && micros[row]! < this.span.from) row++;
    while (row < micros.length && micros[row]! < this.span.until) {
      const start = Math.floor(micros[row]! / step) * step;
      if (start !== this.#bar.start) {
        this.#close();
        this.#bar.begin(start, start + step);
      }
      const first = row;
      while (row < micros.length && micros[row]! < start + step) row++;
      this.#bar.addTrades(rows, first, row);
      this.#isChanged = true;
    }
  }

  /** The bars with trades that came since the last call. */
  take(): SeriesRow[] {
    this.#close();
    const rows = this.#rows;
    this.#rows = [];
    return rows;
  }

  #close(): void {
    if (this.#isChanged && !this.#bar.isEmpty) this.#rows.push(rowOf(this.series, this.#bar));
    this.#isChanged = false;
  }
}

export class BarsOfTrades {
  readonly #series: OpenSeries[];
  /** Stamp of the newest trade, in µs. */
  last = Number.NEGATIVE_INFINITY;

  /** @param span every bucket that has something of it is made. */
  constructor(series: readonly RollupSeries[], span: TimeSpan) {
    this.#series = series.map((each) => new OpenSeries(each, alignedTo(each.micros, span)));
  }

  /** What trades it needs. */
  get hull(): TimeSpan {
    return {
      from: Math.min(...this.#series.map(({ span }) => span.from)),
      until: Math.max(...this.#series.map(({ span }) => span.until)),
    };
  }

  /** From here to `madeUntil`, the buckets of every length are made. */
  get madeFrom(): number {
    return Math.max(...this.#series.map(({ span }) => span.from));
  }

  get madeUntil(): number {
    return Math.min(...this.#series.map(({ span }) => span.until));
  }

  add(trades: TradeRows): void {
    for (const series of this.#series) series.add(trades);
    this.last = trades.micros.at(-1) ?? this.last;
  }

  take(): { series: RollupSeries; span: TimeSpan; rows: SeriesRow[] }[] {
    return this.#series.map((each) => ({ series: each.series, span: each.span, rows: each.take() }));
  }

  /** From now on buckets of any later time are made. */
  openEnd(): void {
    for (const each of this.#series) each.span = { ...each.span, until: Number.POSITIVE_INFINITY };
  }

  /** The end of the buckets that a span ends in. */
  endOf(span: TimeSpan): number {
    return Math.max(...this.#series.map(({ series }) => alignedTo(series.micros, span).until));
  }
}

/** Trades of a batch of `TRADE_COLUMNS`. @throws RangeError as `microsOf`. */
export function tradesOf({ columns }: ColumnBatch): TradeRows {
  return {
    micros: microsOf(columns.get("timestamp")!),
    prices: numbersOf(columns.get("price"))!.values,
    sizes: numbersOf(columns.get("size")),
    counts: null,
  };
}

/** Those before a moment. */
export function tradesBefore(trades: TradeRows, until: number): TradeRows {
  const { micros, prices, sizes } = trades;
  let rows = micros.length;
  while (rows > 0 && micros[rows - 1]! >= until) rows--;
  if (rows === micros.length) return trades;
  return {
    micros: micros.subarray(0, rows),
    prices: prices.subarray(0, rows),
    sizes: sizes === null ? null : { values: sizes.values.subarray(0, rows), wide: sizes.wide },
    counts: null,
  };
}

function rowOf({ kind }: RollupSeries, bar: RunningBar): SeriesRow {
  const { start, open, high, low, close, volume, exactVolume, vwap, count } = bar.bar();
  const isExact = exactVolume !== null && exactVolume < COUNT_END && exactVolume >= -COUNT_END;
  const row: SeriesRow = [
    stampOfMicros(start).slice(0, SECOND_LENGTH),
    ...[open, high, low, close].map(numberOrNull),
    isExact ? String(exactVolume) : numberOrNull(volume),
  ];
  if (kind === "interval") row.push(numberOrNull(vwap), numberOrNull(count));
  row.push(ROLLUP_MARK);
  return row;
}

function numberOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
