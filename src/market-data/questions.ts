/** Questions of stored rows. The door that was asked has checked them. */
import type { AdjustmentKind } from "../market/adjustment.ts";
import type { StockReader } from "../storage/contract.ts";
import type { RowKey } from "../storage/model/columns.ts";

/** What questions are asked of. */
export type MarketSource = Pick<
  StockReader,
  "columns" | "newest" | "newestOfParts" | "parts" | "rows" | "tickers" | "updates"
>;

export interface StoredQuestion {
  /** Each once; of `isAll` those that had rows when it was asked. */
  tickers: readonly string[];
  /** All that have rows. */
  isAll: boolean;
  /** What was asked, without the page: a page token is good for the same text alone. */
  identity: string;
  /** Inclusive, in the stored form of the series' stamp; null: unbounded. */
  from: string | null;
  to: string | null;
  /** Of the stamps of a ticker; tickers ascend anyway. */
  order: "ascending" | "descending";
  /** Rows over all tickers; null: all. */
  limit: number | null;
  /** Only rows behind this one, where an earlier page ended. */
  after: RowKey | null;
  /** Names of `answer-columns.ts`, in the order of the answer. */
  columns: readonly string[];
  /** In which stamps are shown, and in which a day begins. */
  zone: string;
  withPositions: boolean;
  /** Ends the read when the client leaves. */
  signal?: AbortSignal | undefined;
}

/** Stored bars of one length. */
export interface StoredLength {
  kind: "daily" | "hourly" | "interval";
  /** Of interval bars, their length. */
  part: string | null;
}

export interface WantedAdjustment {
  kind: AdjustmentKind;
  /** Later ex-dates don't count: `YYYY-MM-DD`. */
  asOf: string;
  /** Of the exchange. */
  timeZone: string;
}

export interface BarsQuestion extends StoredQuestion {
  series: StoredLength;
  /** Null: as stored. */
  adjustment: WantedAdjustment | null;
}

export type ActionsQuestion = StoredQuestion;

export interface TicksQuestion extends StoredQuestion {
  type: "trade" | "quote";
}
