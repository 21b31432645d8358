/** Batches of stored bars and ticks with adjusted prices and volumes. */
import type { Adjustment } from "../market/adjustment.ts";
import { startOfDate } from "../market/session-date.ts";
import { roundAdjusted, roundVolume } from "../market/significant.ts";
import { microsOfStamp } from "../market/stamp-micros.ts";
import { countData } from "../storage/column-values.ts";
import type { ColumnBatch, ColumnData, TextColumn } from "../storage/model/columns.ts";
import { Int64Reader } from "../storage/model/stamp-text.ts";

/** Of bars and of ticks. */
const PRICES = ["open", "high", "low", "close", "vwap", "price", "bid_price", "ask_price"];
const COUNTS_OF_SHARES = ["volume", "size", "bid_size", "ask_size"];
const DAY_MICROS = 86_400_000_000;

export interface AdjustedSeries {
  adjustments: ReadonlyMap<string, Adjustment>;
  stampName: string;
  /** Bars of a day or more have a calendar date; that of shorter ones is the exchange's. */
  hasDates: boolean;
  timeZone: string;
}

/** Rows of a ticker follow each other, in either order of their stamps. */
export class AdjustedBatches {
  readonly #series: AdjustedSeries;
  /** Of the ex-dates, in µs. */
  readonly #bounds = new Map<string, number[]>();

  constructor(series: AdjustedSeries) {
    this.#series = series;
  }

  /**
   * @param answer the same rows with the columns of the answer, of which some come from elsewhere.
   * @param stored for their tickers and stamps.
   */
  of(answer: ColumnBatch, { rows, columns: stored }: ColumnBatch): ColumnBatch {
    const { adjustments } = this.#series;
    const { codes, dictionary } = stored.get("ticker") as TextColumn;
    if (!dictionary.some((ticker) => adjustments.has(ticker))) return answer;
    const micros = microsReader(stored.get(this.#series.stampName)!);
    const ratios = new Float64Array(rows).fill(1);
    const payouts = new Float64Array(rows).fill(1);
    for (let row = 0; row < rows; row++) {
      const ticker = dictionary[codes[row]!]!;
      const adjustment = adjustments.get(ticker);
      if (adjustment === undefined) continue;
      const at = micros(row);
      const bounds = this.#boundsOf(ticker, adjustment);
      let span = 0;
      while (span < bounds.length && bounds[span]! <= at) span++;
      ratios[row] = adjustment.ratios[span]!;
      payouts[row] = adjustment.payouts[span]!;
    }
    const columns = new Map(answer.columns);
    for (const name of PRICES) {
      const prices = columns.get(name);
      if (prices?.type === "double") columns.set(name, adjustedPrices(prices, ratios, payouts));
    }
    for (const name of COUNTS_OF_SHARES) {
      const shares = columns.get(name);
      if (shares !== undefined) columns.set(name, adjustedVolumes(shares, ratios));
    }
    return { rows, columns };
  }

  #boundsOf(ticker: string, { exDates }: Adjustment): number[] {
    let bounds = this.#bounds.get(ticker);
    if (bounds === undefined) {
      const { hasDates, timeZone } = this.#series;
      bounds = exDates.map((date) => microsOfStamp(hasDates ? date : startOfDate(date, timeZone)));
      this.#bounds.clear(); // the rows of one ticker follow each other
      this.#bounds.set(ticker, bounds);
    }
    return bounds;
  }
}

function microsReader(stamps: ColumnData): (row: number) => number {
  if (stamps.type === "date") return (row) => stamps.values[row]! * DAY_MICROS;
  const reader = new Int64Reader((stamps as ColumnData & { type: "instant" }).values);
  return (row) => Number(reader.at(row));
}

function adjustedPrices(
  { values, nulls }: ColumnData & { type: "double" },
  ratios: Float64Array,
  payouts: Float64Array,
): ColumnData {
  const adjusted = values.slice();
  for (let row = 0; row < values.length; row++) {
    const ratio = ratios[row]!;
    const payout = payouts[row]!;
    if (ratio !== 1 || payout !== 1) adjusted[row] = roundAdjusted((values[row]! / ratio) * payout);
  }
  return { type: "double", values: adjusted, nulls };
}

function adjustedVolumes(data: ColumnData, ratios: Float64Array): ColumnData {
  if (!ratios.some((ratio) => ratio !== 1)) return data;
  const values = new Float64Array(ratios.length);
  const wide = new Map<number, bigint>();
  const valueAt = countReader(data);
  for (let row = 0; row < values.length; row++) {
    if (data.nulls?.[row] === 1) continue;
    const value = valueAt(row);
    if (ratios[row] !== 1) values[row] = roundVolume(Number(value) * ratios[row]!);
    else if (typeof value === "bigint") wide.set(row, value);
    else values[row] = value;
  }
  return countData(values, wide, data.nulls);
}

function countReader(data: ColumnData): (row: number) => number | bigint {
  if (data.type === "int64") {
    const reader = new Int64Reader(data.values);
    return (row) => reader.at(row);
  }
  if (data.type === "text") {
    const numbers = data.dictionary.map((text) => {
      const number = Number(text);
      return Number.isInteger(number) && !Number.isSafeInteger(number) ? BigInt(text) : number;
    });
    return (row) => numbers[data.codes[row]!]!;
  }
  return (row) => Number(data.values[row]!);
}
