/** Questions of bars that are made when they are asked for. Their door has checked them. */
import type { Fill } from "../analysis/bar-fill.ts";
import type { IndicatorKind } from "../analysis/indicators.ts";
import type { QuotePrice } from "../analysis/quote-prices.ts";
import type { GridOptions, Timeframe } from "../calendar/contract.ts";
import type { Adjustment } from "../market/adjustment.ts";
import type { StoredLength, WantedAdjustment } from "./questions.ts";

/** What bars are made of. */
export type BarOrigin =
  | { of: "trades" }
  | { of: "quotes"; price: QuotePrice }
  | { of: "bars"; series: StoredLength };

/** The buckets of bars: see calendar/contract.ts. */
export interface GridQuestion {
  /** In which days begin, and stamps are shown. */
  zone: string;
  calendar: string | null;
  session: string | null;
  align: NonNullable<GridOptions["align"]> | null;
}

/** Where an earlier page ended. */
export interface BarKey {
  ticker: string;
  /** Of the bar's bucket, in µs. */
  start: number;
}

/** Tickers whose bars are made of the same rows. */
export interface SourceOfTickers {
  source: BarOrigin;
  tickers: readonly string[];
}

export interface Adjusted {
  adjustments: ReadonlyMap<string, Adjustment>;
  /** Of the exchange. */
  timeZone: string;
}

export interface DerivedBarsQuestion {
  /** In order of their tickers; each ticker is in one of them. */
  sources: readonly SourceOfTickers[];
  /** What was asked, without the page: a page token is good for the same text alone. */
  identity: string;
  timeframe: Timeframe;
  grid: GridQuestion;
  /** Of the labels of bars, inclusive, in µs; null: unbounded. */
  from: number | null;
  to: number | null;
  order: "ascending" | "descending";
  /** Rows over all tickers; null: all. */
  limit: number | null;
  after: BarKey | null;
  /** Names of derived-columns.ts, in the order of the answer, without indicators. */
  columns: readonly string[];
  indicators: readonly IndicatorKind[];
  fill: Fill;
  /** Whether trades count for what their sale conditions say. */
  saleConditions: boolean;
  /** Null: as stored. */
  adjustment: WantedAdjustment | null;
  /** The factors of that, once they are known. */
  adjusted: Adjusted | null;
  withPositions: boolean;
  signal?: AbortSignal | undefined;
}
