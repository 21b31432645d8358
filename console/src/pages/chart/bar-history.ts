/** The bars of one ticker as far back as they were looked at, the oldest first. */
import type { UTCTimestamp } from "lightweight-charts";
import { type Columns, getColumns, rowCount } from "../../api/columns.ts";
import type { Bar } from "../../api/live-frames.ts";
import type { Params } from "../../api/request.ts";
import type { ChartSettings } from "./chart-settings.ts";
import { shownSeconds } from "./wall-clock.ts";

const PAGE_BARS = 600;
/** More would make each update of the chart slow. */
const BARS_MAX = 20_000;
/** Bars that are read again after one has closed. */
const NEWEST_BARS = 5;

export interface ChartBar {
  time: UTCTimestamp;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number | null;
  /** In the order of the settings' averages. */
  averages: (number | null)[];
}

export class BarHistory {
  readonly symbol: string;
  readonly warnings = new Set<string>();
  bars: ChartBar[] = [];
  /** There is nothing older, or no room for it. */
  isWhole = false;
  readonly #settings: ChartSettings;
  readonly #end: string | undefined;
  #nextPage: string | undefined;

  /** @param end no bar that begins later is read; undefined: up to the newest. */
  constructor(symbol: string, settings: ChartSettings, end?: string) {
    this.symbol = symbol;
    this.#settings = settings;
    this.#end = end;
  }

  /** Reads what comes before the oldest bar. @returns how many that are. */
  async readOlder(signal: AbortSignal): Promise<number> {
    if (this.isWhole) return 0;
    const answer = await this.#read(PAGE_BARS, this.#nextPage, signal);
    this.#nextPage = answer.nextPageToken ?? undefined;
    const before = this.bars.length;
    this.bars = ascending([...this.#barsOf(answer), ...this.bars]);
    this.isWhole = answer.nextPageToken === null || this.bars.length >= BARS_MAX;
    return this.bars.length - before;
  }

  /** Reads the newest bars again, with the averages that belong to them. */
  async readNewest(signal: AbortSignal): Promise<void> {
    const answer = await this.#read(NEWEST_BARS, undefined, signal);
    for (const bar of this.#barsOf(answer)) this.#put(bar);
  }

  /**
   * A bar as it is now. @returns null: it has no price, or is older than all that were looked at.
   */
  take(time: UTCTimestamp, { open, high, low, close, volume }: Bar): ChartBar | null {
    if (open === null || high === null || low === null || close === null) return null;
    const first = this.bars[0];
    if (first !== undefined && time < first.time && !this.isWhole) return null;
    const bar = { time, open, high, low, close, volume, averages: [] };
    this.#put(bar);
    return bar;
  }

  /** @returns undefined: there is no bar of that time. */
  at(time: number): ChartBar | undefined {
    const index = this.#indexOf(time);
    return this.bars[index]?.time === time ? this.bars[index] : undefined;
  }

  /** The bar that a day's event belongs to: the first that doesn't begin before it. */
  from(time: number): ChartBar | undefined {
    return this.bars[this.#indexOf(time)];
  }

  #put(bar: ChartBar): void {
    const index = this.#indexOf(bar.time);
    const known = this.bars[index];
    if (known?.time !== bar.time) this.bars.splice(index, 0, bar);
    else this.bars[index] = bar.averages.length > 0 ? bar : { ...bar, averages: known.averages };
  }

  /** Of the first bar that isn't before it. */
  #indexOf(time: number): number {
    let from = 0;
    let to = this.bars.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.bars[middle]!.time < time) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  #read(limit: number, pageToken: string | undefined, signal: AbortSignal): Promise<Columns> {
    const { timeframe, calendar, session, adjustment, averages } = this.#settings;
    const params: Params = {
      symbol: this.symbol,
      timeframe,
      adjustment,
      sort: "desc",
      limit,
      end: this.#end,
      page_token: pageToken,
      ...(calendar === "" ? {} : { calendar, session }),
      ...(averages.length === 0 ? {} : { indicators: averages.join(",") }),
    };
    return getColumns("v1/bars", params, signal);
  }

  #barsOf(answer: Columns): ChartBar[] {
    const { columns, warnings } = answer;
    for (const warning of warnings) this.warnings.add(warning);
    const numbers = (name: string) => (columns[name] ?? []) as (number | null)[];
    const [open, high, low, close, volume] = ["open", "high", "low", "close", "volume"].map(numbers);
    const averages = this.#settings.averages.map(numbers);
    const bars: ChartBar[] = [];
    for (let i = 0; i < rowCount(answer); i++) {
      const prices = [open![i], high![i], low![i], close![i]];
      if (prices.some((price) => typeof price !== "number")) continue;
      const [o, h, l, c] = prices as [number, number, number, number];
      bars.push({
        time: shownSeconds(columns.timestamp![i] as string),
        ...{ open: o, high: h, low: l, close: c, volume: volume![i] ?? null },
        averages: averages.map((values) => values[i] ?? null),
      });
    }
    return bars;
  }
}

/** Where clocks are set back, an hour comes twice: of equal times the chart takes the first. */
function ascending(bars: ChartBar[]): ChartBar[] {
  bars.sort((a, b) => a.time - b.time);
  return bars.filter((bar, i) => i === 0 || bar.time > bars[i - 1]!.time);
}
