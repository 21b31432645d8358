/**
 * The bar that rows are added to. Its loops are the hot ones: each takes rows of one bucket, in
 * order of time, and keeps what it counts in local variables.
 *
 * What isn't a finite number counts as missing, never as 0: a volume is NaN when a row that counts
 * for it has none, and a vwap or a number of trades when a part has none.
 */
import { COUNTS } from "../market/sale-conditions.ts";
import type { BarValues } from "./bar-columns.ts";
import type { Numbers } from "./numbers.ts";

export interface TradeRows {
  micros: Float64Array;
  prices: Float64Array;
  /** Null: no trade has one. */
  sizes: Numbers | null;
  /** For each row a sum of `COUNTS`; 0 is no trade at all. Null: each counts for everything. */
  counts: Uint8Array | null;
}

/** The parts of larger bars. Null: none has the column. */
export interface BarRows {
  /** Their labels, which must lie in the bucket that they are part of. */
  micros: Float64Array;
  open: Float64Array;
  high: Float64Array;
  low: Float64Array;
  close: Float64Array;
  volume: Numbers | null;
  vwap: Float64Array | null;
  count: Float64Array | null;
}

/** What ticks of a short time have become elsewhere: see storage/model/bar-parts.ts. */
export interface PartRows {
  /** Their order. */
  micros: Float64Array;
  ticks: Float64Array;
  /** Where it is 0, what follows means nothing. */
  priced: Float64Array;
  first: Float64Array;
  last: Float64Array;
  open: Float64Array;
  high: Float64Array;
  low: Float64Array;
  close: Float64Array;
  notional: Float64Array;
  /** Null: they have none. */
  volume: Numbers | null;
}

export class RunningBar {
  start = Number.NaN;
  end = Number.NaN;
  #open = Number.NaN;
  #openAt = Number.NaN;
  #high = Number.NEGATIVE_INFINITY;
  #low = Number.POSITIVE_INFINITY;
  #close = Number.NaN;
  #closeAt = Number.NaN;
  /** Whether `#close` is only that of a trade with `LAST_IF_NONE`. */
  #isCloseWeak = false;
  #volume = 0;
  /** Once the volume is whole and beyond what a double holds. */
  #exactVolume: bigint | null = null;
  #notional = 0;
  /** Bars that this one is made of; the average price of one alone stays as it is. */
  #parts = 0;
  #partVwap = Number.NaN;
  #count = 0;
  #first = Number.NaN;
  #last = Number.NaN;

  /** Forgets its rows. */
  begin(start: number, end: number): void {
    this.start = start;
    this.end = end;
    this.#open = Number.NaN;
    this.#openAt = Number.NaN;
    this.#high = Number.NEGATIVE_INFINITY;
    this.#low = Number.POSITIVE_INFINITY;
    this.#close = Number.NaN;
    this.#closeAt = Number.NaN;
    this.#isCloseWeak = false;
    this.#volume = 0;
    this.#exactVolume = null;
    this.#notional = 0;
    this.#parts = 0;
    this.#count = 0;
    this.#first = Number.NaN;
    this.#last = Number.NaN;
  }

  /** Whether no row has counted for anything. */
  get isEmpty(): boolean {
    return Number.isNaN(this.#first);
  }

  /** As it is now. */
  bar(): BarValues {
    const volume = finite(this.#volume);
    return {
      start: this.start,
      end: this.end,
      open: this.#open,
      high: finite(this.#high),
      low: finite(this.#low),
      close: this.#close,
      volume,
      vwap: this.#vwap(volume),
      count: this.#count,
      first: this.#first,
      last: this.#last,
      exactVolume: this.#exactVolume,
    };
  }

  #vwap(volume: number): number {
    if (this.#parts === 1 && volume !== 0) return this.#partVwap;
    return volume > 0 ? finite(this.#notional / volume) : Number.NaN;
  }

  /** Prices without sizes. @param to exclusive. @returns how many rows had none. */
  addPrices(micros: Float64Array, prices: Float64Array, from: number, to: number): number {
    let high = this.#high;
    let low = this.#low;
    let first = -1;
    let last = -1;
    let skipped = 0;
    for (let row = from; row < to; row++) {
      const price = prices[row]!;
      // Neither NaN nor infinite.
      if (price - price !== 0) {
        skipped++;
        continue;
      }
      if (price > high) high = price;
      if (price < low) low = price;
      if (first < 0) first = row;
      last = row;
    }
    if (first < 0) return skipped;
    this.#high = high;
    this.#low = low;
    this.#count += to - from - skipped;
    this.#volume = Number.NaN;
    this.#setEnds(micros[first]!, prices[first]!, micros[last]!, prices[last]!);
    return skipped;
  }

  /** @param to exclusive. @returns those without a price. */
  addTrades(rows: TradeRows, from: number, to: number): number {
    const { micros, prices, sizes, counts } = rows;
    if (counts !== null) return this.#addCounted(rows, counts, from, to);
    if (sizes === null) return this.addPrices(micros, prices, from, to);
    const { values } = sizes;
    let volume = this.#volume;
    let notional = this.#notional;
    let high = this.#high;
    let low = this.#low;
    let first = -1;
    let last = -1;
    let skipped = 0;
    for (let row = from; row < to; row++) {
      const price = prices[row]!;
      if (price - price !== 0) {
        skipped++;
        continue;
      }
      const size = values[row]!;
      volume += size;
      notional += price * size;
      if (price > high) high = price;
      if (price < low) low = price;
      if (first < 0) first = row;
      last = row;
    }
    if (first < 0) return skipped;
    this.#high = high;
    this.#low = low;
    this.#count += to - from - skipped;
    this.#notional = notional;
    if (this.#isPlain(volume)) this.#volume = volume;
    else {
      for (let row = from; row < to; row++)
        if (Number.isFinite(prices[row])) this.#addSize(values[row]!, sizes.wide?.get(row) ?? null);
    }
    this.#setEnds(micros[first]!, prices[first]!, micros[last]!, prices[last]!);
    return skipped;
  }

  /**
   * A trade, by what it counts for. Within the bucket it may come out of order: the open is that of
   * the earliest, the close that of the latest, of equal stamps the one that came last.
   *
   * @param size NaN: it isn't known.
   * @param counts a sum of `COUNTS`.
   * @param exactSize where `size` isn't exact.
   * @returns False: it has no price, and counts for nothing.
   */
  addTrade(micros: number, price: number, size: number, counts: number, exactSize: bigint | null): boolean {
    if (!Number.isFinite(price)) return false;
    if (counts === 0) return true;
    if (counts & COUNTS.OPEN && !(micros >= this.#openAt)) {
      this.#open = price;
      this.#openAt = micros;
    }
    if (counts & COUNTS.HIGH_LOW) {
      if (price > this.#high) this.#high = price;
      if (price < this.#low) this.#low = price;
    }
    if (this.#isNextClose(micros, counts)) {
      this.#close = price;
      this.#closeAt = micros;
      this.#isCloseWeak = (counts & COUNTS.LAST) === 0;
    }
    if (counts & COUNTS.VOLUME) {
      this.#notional += price * size;
      this.#addSize(size, exactSize);
    }
    this.#count++;
    this.#setTimes(micros, micros);
    return true;
  }

  /** @param to exclusive. */
  addBars(rows: BarRows, from: number, to: number): void {
    for (let row = from; row < to; row++) {
      const micros = rows.micros[row]!;
      const open = rows.open[row]!;
      if (Number.isFinite(open) && !(micros >= this.#openAt)) {
        this.#open = open;
        this.#openAt = micros;
      }
      const high = rows.high[row]!;
      if (high > this.#high && high !== Number.POSITIVE_INFINITY) this.#high = high;
      const low = rows.low[row]!;
      if (low < this.#low && low !== Number.NEGATIVE_INFINITY) this.#low = low;
      const close = rows.close[row]!;
      if (Number.isFinite(close) && !(micros < this.#closeAt)) {
        this.#close = close;
        this.#closeAt = micros;
      }
      const volume = rows.volume === null ? Number.NaN : rows.volume.values[row]!;
      const vwap = rows.vwap === null ? Number.NaN : rows.vwap[row]!;
      // A part without volume has no average price, and changes none.
      if (volume !== 0) this.#notional += volume * vwap;
      if (++this.#parts === 1) this.#partVwap = finite(vwap);
      this.#addSize(volume, rows.volume?.wide?.get(row) ?? null);
      this.#count += rows.count === null ? Number.NaN : rows.count[row]!;
      this.#setTimes(micros, micros);
    }
  }

  /** @param to exclusive. @returns how many ticks had no price. */
  addParts(rows: PartRows, from: number, to: number): number {
    const { ticks, priced, volume } = rows;
    let skipped = 0;
    for (let row = from; row < to; row++) {
      const count = priced[row]!;
      skipped += ticks[row]! - count;
      if (count === 0) continue;
      if (rows.high[row]! > this.#high) this.#high = rows.high[row]!;
      if (rows.low[row]! < this.#low) this.#low = rows.low[row]!;
      this.#count += count;
      this.#notional += rows.notional[row]!;
      if (volume === null) this.#volume = Number.NaN;
      else this.#addSize(volume.values[row]!, volume.wide?.get(row) ?? null);
      this.#setEnds(rows.first[row]!, rows.open[row]!, rows.last[row]!, rows.close[row]!);
    }
    return skipped;
  }

  #addCounted({ micros, prices, sizes }: TradeRows, counts: Uint8Array, from: number, to: number): number {
    let skipped = 0;
    for (let row = from; row < to; row++) {
      const size = sizes === null ? Number.NaN : sizes.values[row]!;
      const exact = sizes?.wide?.get(row) ?? null;
      if (!this.addTrade(micros[row]!, prices[row]!, size, counts[row]!, exact)) skipped++;
    }
    return skipped;
  }

  /** A weak close is that of the first trade, and gives way to any that is none. */
  #isNextClose(micros: number, counts: number): boolean {
    if (counts & COUNTS.LAST) return this.#isCloseWeak || !(micros < this.#closeAt);
    return (
      (counts & COUNTS.LAST_IF_NONE) !== 0 &&
      (Number.isNaN(this.#close) || (this.#isCloseWeak && micros < this.#closeAt))
    );
  }

  #setEnds(first: number, open: number, last: number, close: number): void {
    if (!(first >= this.#openAt)) {
      this.#open = open;
      this.#openAt = first;
    }
    if (this.#isCloseWeak || !(last < this.#closeAt)) {
      this.#close = close;
      this.#closeAt = last;
      this.#isCloseWeak = false;
    }
    this.#setTimes(first, last);
  }

  #setTimes(first: number, last: number): void {
    if (!(first >= this.#first)) this.#first = first;
    if (!(last <= this.#last)) this.#last = last;
  }

  /** Whether doubles alone tell the sum. */
  #isPlain(sum: number): boolean {
    return this.#exactVolume === null && (Number.isSafeInteger(sum) || !Number.isInteger(sum));
  }

  #addSize(size: number, exactSize: bigint | null): void {
    const sum = this.#volume + size;
    if (exactSize === null && this.#isPlain(sum)) {
      this.#volume = sum;
      return;
    }
    const before = this.#exactVolume ?? wholeOf(this.#volume);
    const added = exactSize ?? wholeOf(size);
    const exact = before === null || added === null ? null : before + added;
    this.#volume = exact === null ? sum : Number(exact);
    this.#exactVolume = exact === null || Number.isSafeInteger(this.#volume) ? null : exact;
  }
}

function wholeOf(value: number): bigint | null {
  return Number.isSafeInteger(value) ? BigInt(value) : null;
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : Number.NaN;
}
