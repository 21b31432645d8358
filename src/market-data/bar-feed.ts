/** How rows of a source reach the builder of bars: which columns they have, and what each adds. */

import type { BarBuilder } from "../analysis/bar-builder.ts";
import { numbersOf } from "../analysis/numbers.ts";
import { type QuotePrice, quotePrices, type SkippedQuotes } from "../analysis/quote-prices.ts";
import type { Timeframe } from "../calendar/contract.ts";
import { openGrid } from "../calendar/open-grid.ts";
import { secondsOfInterval } from "../market/interval.ts";
import type { ColumnBatch } from "../storage/model/columns.ts";
import type { KindName } from "../storage/model/kinds.ts";
import type { MarketTable } from "./answer-columns.ts";
import type { BarOrigin, GridQuestion } from "./derived-questions.ts";
import { LabelBuckets } from "./label-buckets.ts";
import type { StoredLength } from "./questions.ts";
import type { SaleCounter } from "./sale-counts.ts";
import { stampsOf } from "./stamps.ts";

/** Adds rows of one ticker. @param to exclusive. */
export type AddRows = (builder: BarBuilder, from: number, to: number) => void;

export interface BarFeed {
  kind: KindName;
  parts: string[] | null;
  table: MarketTable;
  /** Columns of the table that `open` needs, beside the ticker. */
  columns: string[];
  open(batch: ColumnBatch): AddRows;
}

interface StoredSource {
  kind: KindName;
  part: string | null;
}

interface CountedRows {
  /** Counts quotes that have no price. */
  skipped: SkippedQuotes;
  /** Null: every trade counts for everything. */
  sales: SaleCounter | null;
}

export function feedOf(source: BarOrigin, { skipped, sales }: CountedRows): BarFeed {
  switch (source.of) {
    case "trades": {
      const columns = ["timestamp", "price", "size", ...(sales === null ? [] : ["conditions", "tape"])];
      return {
        ...{ kind: "ticks", parts: ["trade"], table: "trades", columns },
        open: (batch) => tradesOf(batch, sales),
      };
    }
    case "quotes": {
      const sides = source.price === "mid" ? ["bid_price", "ask_price"] : [`${source.price}_price`];
      return {
        ...{ kind: "ticks", parts: ["quote"], table: "quotes", columns: ["timestamp", ...sides] },
        open: (batch) => quotesOf(batch, source.price, skipped),
      };
    }
    case "bars": {
      const { kind, part } = source.series;
      return {
        ...{ kind, parts: part === null ? null : [part], table: "bars", columns: BAR_COLUMNS },
        open: barsOf,
      };
    }
  }
}

/** What is stored of the source. */
export function seriesOf(source: BarOrigin): StoredSource {
  if (source.of === "bars") return source.series;
  return { kind: "ticks", part: source.of === "trades" ? "trade" : "quote" };
}

/** For people. */
export function sourceText(source: BarOrigin): string {
  if (source.of === "quotes") return `the ${source.price} of quotes`;
  if (source.of === "trades") return "trades";
  return `stored ${lengthName(source.series)} bars`;
}

/** As stored bars name it. */
export function lengthName({ kind, part }: StoredLength): string {
  return part ?? kind;
}

/** A grid for the rows of the source. Each builder has its own. */
export function bucketsFor(source: BarOrigin, timeframe: Timeframe, grid: GridQuestion): LabelBuckets {
  const seconds = source.of === "bars" ? secondsOfInterval(lengthName(source.series)) : 0;
  // Days are dates of sessions already.
  if (seconds >= DAY_SECONDS) return new LabelBuckets(openGrid({ ...grid, timeframe, stamps: "dates" }), 0);
  return new LabelBuckets(openGrid({ ...grid, timeframe }), seconds * 1_000_000);
}

const DAY_SECONDS = 86_400;
const BAR_COLUMNS = ["timestamp", "open", "high", "low", "close", "volume", "trade_count", "vwap"];

function doublesOf({ rows, columns }: ColumnBatch, name: string): Float64Array {
  return numbersOf(columns.get(name))?.values ?? new Float64Array(rows).fill(Number.NaN);
}

function tradesOf(batch: ColumnBatch, sales: SaleCounter | null): AddRows {
  const sizes = numbersOf(batch.columns.get("size"));
  const counts = sales === null ? null : sales.of(batch);
  const rows = { micros: stampsOf(batch), prices: doublesOf(batch, "price"), sizes, counts };
  return (builder, from, to) => builder.addTrades(rows, from, to);
}

function quotesOf(batch: ColumnBatch, price: QuotePrice, skipped: SkippedQuotes): AddRows {
  const side = (name: QuotePrice): Float64Array =>
    price === "mid" || price === name ? doublesOf(batch, `${name}_price`) : new Float64Array(0);
  const prices = quotePrices(side("bid"), side("ask"), price, skipped);
  const rows = { micros: stampsOf(batch), prices };
  return (builder, from, to) => builder.addPrices(rows, from, to);
}

function barsOf(batch: ColumnBatch): AddRows {
  const [open, high, low, close, vwap, count] = ["open", "high", "low", "close", "vwap", "trade_count"].map(
    (name) => doublesOf(batch, name),
  ) as [Float64Array, Float64Array, Float64Array, Float64Array, Float64Array, Float64Array];
  const volume = numbersOf(batch.columns.get("volume"));
  const rows = { micros: stampsOf(batch), open, high, low, close, volume, vwap, count };
  return (builder, from, to) => builder.addBars(rows, from, to);
}
