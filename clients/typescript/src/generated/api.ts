// Written by scripts/write-client-types.ts out of the server's OpenAPI description.

/**
 * A moment: ISO 8601, a date, a `Date`, or a number since 1970 in a unit that its size tells.
 * Whole numbers beyond 2^53, such as nanoseconds, are `bigint`.
 */
export type Moment = string | number | bigint | Date;

export interface BarsParameters {
  /**
   * The length of the bars: 1Min, 5Min, 1Hour, 1Day, 1Week, 90s, or as stored bars are named (5min, hourly, daily).
   */
  timeframe: string;
  /**
   * One ticker, as it is stored: commas and stars in it mean nothing.
   */
  symbol?: string;
  /**
   * The first moment, inclusive: ISO 8601, a date, or a number since 1970. A date is a day in `tz`, and so is a time without an offset.
   */
  start?: Moment;
  /**
   * The last moment, inclusive. A date is the whole day.
   */
  end?: Moment;
  /**
   * So many rows at most, over all tickers. Without it the answer has all, as a stream.
   */
  limit?: number;
  /**
   * The order of stamps within each ticker. Tickers ascend.
   */
  sort?: "asc" | "desc";
  /**
   * The time zone of dates in `start` and `end`, and of stamps in the answer. Default: UTC.
   */
  tz?: string;
  /**
   * Columns of the answer beside symbol and timestamp, by their long or short names. Default: all but `seq` and `extra`.
   */
  columns?: string | readonly string[];
  /**
   * The answer has the epoch, and the position of each ticker that its rows hold: a subscription that begins there misses nothing and repeats nothing.
   */
  withPosition?: boolean;
  /**
   * Prices and volumes as if splits had always been made, and dividends always been paid. Default: raw, as stored.
   */
  adjustment?: "raw" | "split" | "dividend" | "all";
  /**
   * The last ex-date that counts. Default: today at the market.
   */
  adjustTo?: Moment;
  /**
   * What bars are made of. Default: stored bars of that length; for a ticker without them the longest stored ones that fit into it, else trades.
   */
  source?: string;
  /**
   * The price of a quote, with source=quotes. Default: mid.
   */
  price?: "mid" | "bid" | "ask";
  /**
   * The exchange whose sessions count. Default: none, so that every day is one.
   */
  calendar?: string;
  /**
   * The hours that count: regular or extended of the calendar, or such as 09:30-16:00. Default: regular.
   */
  session?: string;
  /**
   * Whether buckets are counted from midnight or from the open. Default: clock where they divide an hour.
   */
  align?: "clock" | "session";
  /**
   * What stands for a bucket in which nothing happened. Default: none, no row.
   */
  fill?: "none" | "null" | "zero" | "previous" | "linear";
  /**
   * Figures beside each bar, with commas between them: sma_N, ema_N, stdev_N, rsi_N, atr_N, bb_upper_N, bb_lower_N with N of up to 1000, vwap_session.
   */
  indicators?: string | readonly string[];
  /**
   * Whether trades count for what their conditions say on American tapes. Default: ignore.
   */
  saleConditions?: "ignore" | "us";
  /**
   * wide: a matrix of one column, stamps down and tickers across. Default: long.
   */
  layout?: "long" | "wide";
}
export interface TradesParameters {
  /**
   * One ticker, as it is stored: commas and stars in it mean nothing.
   */
  symbol?: string;
  /**
   * The first moment, inclusive: ISO 8601, a date, or a number since 1970. A date is a day in `tz`, and so is a time without an offset.
   */
  start?: Moment;
  /**
   * The last moment, inclusive. A date is the whole day.
   */
  end?: Moment;
  /**
   * So many rows at most, over all tickers. Without it the answer has all, as a stream.
   */
  limit?: number;
  /**
   * The order of stamps within each ticker. Tickers ascend.
   */
  sort?: "asc" | "desc";
  /**
   * The time zone of dates in `start` and `end`, and of stamps in the answer. Default: UTC.
   */
  tz?: string;
  /**
   * Columns of the answer beside symbol and timestamp, by their long or short names. Default: all but `seq` and `extra`.
   */
  columns?: string | readonly string[];
  /**
   * The answer has the epoch, and the position of each ticker that its rows hold: a subscription that begins there misses nothing and repeats nothing.
   */
  withPosition?: boolean;
}
export interface QuotesParameters {
  /**
   * One ticker, as it is stored: commas and stars in it mean nothing.
   */
  symbol?: string;
  /**
   * The first moment, inclusive: ISO 8601, a date, or a number since 1970. A date is a day in `tz`, and so is a time without an offset.
   */
  start?: Moment;
  /**
   * The last moment, inclusive. A date is the whole day.
   */
  end?: Moment;
  /**
   * So many rows at most, over all tickers. Without it the answer has all, as a stream.
   */
  limit?: number;
  /**
   * The order of stamps within each ticker. Tickers ascend.
   */
  sort?: "asc" | "desc";
  /**
   * The time zone of dates in `start` and `end`, and of stamps in the answer. Default: UTC.
   */
  tz?: string;
  /**
   * Columns of the answer beside symbol and timestamp, by their long or short names. Default: all but `seq` and `extra`.
   */
  columns?: string | readonly string[];
  /**
   * The answer has the epoch, and the position of each ticker that its rows hold: a subscription that begins there misses nothing and repeats nothing.
   */
  withPosition?: boolean;
}
export interface AsofParameters {
  /**
   * One ticker, as it is stored: commas and stars in it mean nothing.
   */
  symbol?: string;
  /**
   * The first moment, inclusive: ISO 8601, a date, or a number since 1970. A date is a day in `tz`, and so is a time without an offset.
   */
  start?: Moment;
  /**
   * The last moment, inclusive. A date is the whole day.
   */
  end?: Moment;
  /**
   * So many rows at most, over all tickers. Without it the answer has all, as a stream.
   */
  limit?: number;
  /**
   * The time zone of dates in `start` and `end`, and of stamps in the answer. Default: UTC.
   */
  tz?: string;
  /**
   * Columns of the answer beside symbol and timestamp, by their long or short names. Default: all but `seq` and `extra`.
   */
  columns?: string | readonly string[];
  /**
   * The rows of the answer: trades, quotes, or stored bars of a length.
   */
  left: string;
  /**
   * What is looked up for each of them. A bar counts from its end on, when it is known.
   */
  right: string;
  /**
   * Columns of the right, with commas between them. Default: timestamp and its numbers.
   */
  rightColumns?: string | readonly string[];
  /**
   * Which row of the right counts: the newest by then, the next, or the nearer one. Default: backward.
   */
  direction?: "backward" | "forward" | "nearest";
  /**
   * How far away a row of the right may be. Default: any; with a bound less is read.
   */
  tolerance?: string;
  /**
   * Whether a row of the same stamp counts. Default: true.
   */
  allowExact?: boolean;
}
export interface LatestParameters {
  /**
   * One ticker, as it is stored: commas and stars in it mean nothing.
   */
  symbol?: string;
  /**
   * What the newest row is wanted of. Default: trades.
   */
  of?: "trades" | "quotes" | "bars";
  /**
   * The length of the bars: 1Min, 5Min, 1Hour, 1Day, 1Week, 90s, or as stored bars are named (5min, hourly, daily).
   */
  timeframe?: string;
  /**
   * The time zone of dates in `start` and `end`, and of stamps in the answer. Default: UTC.
   */
  tz?: string;
}
export interface SnapshotsParameters {
  /**
   * One ticker, as it is stored: commas and stars in it mean nothing.
   */
  symbol?: string;
  /**
   * The time zone of dates in `start` and `end`, and of stamps in the answer. Default: UTC.
   */
  tz?: string;
}
export interface OptionChainParameters {
  /**
   * Tickers, with commas between them. `*` stands for all, and `AA*` for those that begin with AA.
   */
  contracts?: string | readonly string[];
  /**
   * Contracts of this type alone.
   */
  type?: "call" | "put";
  /**
   * The lowest strike.
   */
  strikePriceGte?: number;
  /**
   * The highest strike.
   */
  strikePriceLte?: number;
  /**
   * The date on which they expire.
   */
  expirationDate?: string | Date;
  /**
   * The first date on which they expire.
   */
  expirationDateGte?: string | Date;
  /**
   * The last date on which they expire.
   */
  expirationDateLte?: string | Date;
  /**
   * The moment of the chain; contracts that had expired by then are left out. Default: now.
   */
  asOf?: Moment;
  /**
   * The time zone of dates in `start` and `end`, and of stamps in the answer. Default: UTC.
   */
  tz?: string;
}
export interface CorporateActionsParameters {
  /**
   * One ticker, as it is stored: commas and stars in it mean nothing.
   */
  symbol?: string;
  /**
   * The first moment, inclusive: ISO 8601, a date, or a number since 1970. A date is a day in `tz`, and so is a time without an offset.
   */
  start?: Moment;
  /**
   * The last moment, inclusive. A date is the whole day.
   */
  end?: Moment;
  /**
   * So many rows at most, over all tickers. Without it the answer has all, as a stream.
   */
  limit?: number;
  /**
   * The order of stamps within each ticker. Tickers ascend.
   */
  sort?: "asc" | "desc";
  /**
   * Columns of the answer beside symbol and timestamp, by their long or short names. Default: all but `seq` and `extra`.
   */
  columns?: string | readonly string[];
  /**
   * The answer has the epoch, and the position of each ticker that its rows hold: a subscription that begins there misses nothing and repeats nothing.
   */
  withPosition?: boolean;
}
export interface TickersParameters {
  /**
   * One ticker, as it is stored: commas and stars in it mean nothing.
   */
  symbol?: string;
  /**
   * Only tickers with rows of this kind.
   */
  kind?: "daily" | "hourly" | "ticks" | "interval" | "options" | "financial" | "actions";
  /**
   * Each ticker has the list of its series, with the first and the last stamp.
   */
  series?: boolean;
  /**
   * So many tickers at most. Default: 1000.
   */
  limit?: number;
}
export interface StreamParameters {
  /**
   * As of the WebSocket /ws.
   */
  symbol?: string;
  /**
   * As of the WebSocket /ws.
   */
  types?: string | readonly string[];
  /**
   * As of the WebSocket /ws.
   */
  since?: Moment | Readonly<Record<string, Moment>>;
  /**
   * As of the WebSocket /ws.
   */
  epoch?: string;
  /**
   * As of the WebSocket /ws.
   */
  snapshot?: boolean;
  /**
   * As of the WebSocket /ws.
   */
  slow?: string;
  /**
   * As of the WebSocket /ws.
   */
  bars?: string | readonly string[];
  /**
   * As of the WebSocket /ws.
   */
  partial?: string;
  /**
   * As of the WebSocket /ws.
   */
  source?: string;
  /**
   * As of the WebSocket /ws.
   */
  calendar?: string;
  /**
   * As of the WebSocket /ws.
   */
  session?: string;
  /**
   * As of the WebSocket /ws.
   */
  emptyBars?: boolean;
}
export interface SaveBarsParameters {
  /**
   * The length of the bars: 1Min, 5Min, 1Hour, 1Day, 1Week, 90s.
   */
  timeframe?: string;
  /**
   * The ticker of rows that name none.
   */
  symbol?: string;
  /**
   * The time zone of timestamps that say none, and of the dates of daily bars whose timestamps are moments. Default: UTC.
   */
  tz?: string;
  /**
   * What would be a warning is an error, and nothing is stored.
   */
  strict?: boolean;
  /**
   * What becomes of a bar whose timestamp is stored: see save_stock_data. Default: replace.
   */
  onDuplicate?: "replace" | "ignore" | "keep" | "merge" | "error";
}
export interface SaveTradesParameters {
  /**
   * The ticker of rows that name none.
   */
  symbol?: string;
  /**
   * The time zone of timestamps that say none, and of the dates of daily bars whose timestamps are moments. Default: UTC.
   */
  tz?: string;
  /**
   * What would be a warning is an error, and nothing is stored.
   */
  strict?: boolean;
  /**
   * What becomes of a tick that is stored: see save_realtime_data. Default: ignore.
   */
  onDuplicate?: "ignore" | "append" | "keep" | "replace" | "error";
}
export interface SaveQuotesParameters {
  /**
   * The ticker of rows that name none.
   */
  symbol?: string;
  /**
   * The time zone of timestamps that say none, and of the dates of daily bars whose timestamps are moments. Default: UTC.
   */
  tz?: string;
  /**
   * What would be a warning is an error, and nothing is stored.
   */
  strict?: boolean;
  /**
   * What becomes of a tick that is stored: see save_realtime_data. Default: ignore.
   */
  onDuplicate?: "ignore" | "append" | "keep" | "replace" | "error";
}
export interface ErrorBody {
  /**
   * Parameter, value, and what was expected.
   */
  error: string;
  details?: string;
  hint?: string;
}
export interface Saved {
  rows: number;
  stored: number;
  replaced?: number;
  repeated?: number;
  skipped?: number;
  positions?: {
    [k: string]: number;
  };
  repetition?: boolean;
  epoch?: string;
  parts: {
    /**
     * First and last, from 1.
     */
    rows?: number[];
    symbols?: string[];
    stored?: number;
    replaced?: number;
    repeated?: number;
    skipped?: number;
    positions?: {
      [k: string]: number;
    };
    repetition?: boolean;
  }[];
  warnings?: string[];
}
/**
 * A row of bars: a line of NDJSON, an element of columns. Null: there is no value.
 */
export interface Bar {
  /**
   * Short: S.
   */
  symbol: string;
  /**
   * ISO 8601 with its offset. Whole seconds. Short: t.
   */
  timestamp: string;
  /**
   * Short: o.
   */
  open: number | null;
  /**
   * Short: h.
   */
  high: number | null;
  /**
   * Short: l.
   */
  low: number | null;
  /**
   * Short: c.
   */
  close: number | null;
  /**
   * A count, mostly a whole number of up to 64 bits. Short: v.
   */
  volume: number | null;
  /**
   * A count, mostly a whole number of up to 64 bits. Short: n.
   */
  trade_count: number | null;
  /**
   * Short: vw.
   */
  vwap: number | null;
  /**
   * Any JSON. Only where `columns` names it.
   */
  extra?: unknown;
}
/**
 * A row of trades: a line of NDJSON, an element of columns. Null: there is no value.
 */
export interface Trade {
  /**
   * Short: S.
   */
  symbol: string;
  /**
   * ISO 8601 with its offset. Microseconds. Short: t.
   */
  timestamp: string;
  /**
   * Short: p.
   */
  price: number | null;
  /**
   * A count, mostly a whole number of up to 64 bits. Short: s.
   */
  size: number | null;
  /**
   * Short: i.
   */
  id: string | null;
  /**
   * Short: x.
   */
  exchange: string | null;
  /**
   * Any JSON. Short: c.
   */
  conditions: unknown;
  /**
   * Short: z.
   */
  tape: string | null;
  /**
   * A count, mostly a whole number of up to 64 bits. Only where `columns` names it.
   */
  seq?: number | null;
  /**
   * Any JSON. Only where `columns` names it.
   */
  extra?: unknown;
}
/**
 * A row of quotes: a line of NDJSON, an element of columns. Null: there is no value.
 */
export interface Quote {
  /**
   * Short: S.
   */
  symbol: string;
  /**
   * ISO 8601 with its offset. Microseconds. Short: t.
   */
  timestamp: string;
  /**
   * Short: bp.
   */
  bid_price: number | null;
  /**
   * A count, mostly a whole number of up to 64 bits. Short: bs.
   */
  bid_size: number | null;
  /**
   * Short: bx.
   */
  bid_exchange: string | null;
  /**
   * Short: ap.
   */
  ask_price: number | null;
  /**
   * A count, mostly a whole number of up to 64 bits. Short: as.
   */
  ask_size: number | null;
  /**
   * Short: ax.
   */
  ask_exchange: string | null;
  /**
   * Any JSON. Short: c.
   */
  conditions: unknown;
  /**
   * Short: z.
   */
  tape: string | null;
  /**
   * Only where `columns` names it. Short: i.
   */
  id?: string | null;
  /**
   * A count, mostly a whole number of up to 64 bits. Only where `columns` names it.
   */
  seq?: number | null;
  /**
   * Any JSON. Only where `columns` names it.
   */
  extra?: unknown;
}
/**
 * A row of options: a line of NDJSON, an element of columns. Null: there is no value.
 */
export interface OptionSnapshot {
  symbol: string | null;
  underlying: string;
  /**
   * ISO 8601 with its offset. Microseconds. Short: t.
   */
  timestamp: string;
  expiration_date: string | null;
  strike_price: number | null;
  type: string | null;
  price: number | null;
  /**
   * ISO 8601 with its offset. Microseconds. Short: t.
   */
  quote_timestamp: string | null;
  /**
   * Short: bp.
   */
  bid: number | null;
  /**
   * Short: ap.
   */
  ask: number | null;
  delta: number | null;
  gamma: number | null;
  theta: number | null;
  vega: number | null;
  rho: number | null;
  /**
   * Short: impliedVolatility.
   */
  implied_volatility: number | null;
  day_close: number | null;
  fmv: number | null;
  /**
   * A count, mostly a whole number of up to 64 bits.
   */
  volume: number | null;
  /**
   * A count, mostly a whole number of up to 64 bits.
   */
  open_interest: number | null;
}
/**
 * A row of corporate actions: a line of NDJSON, an element of columns. Null: there is no value.
 */
export interface CorporateAction {
  /**
   * Short: S.
   */
  symbol: string;
  ex_date: string;
  type: string | null;
  ratio: number | null;
  cash: number | null;
  basis: string | null;
  new_ticker: string | null;
  /**
   * A count, mostly a whole number of up to 64 bits. Only where `columns` names it.
   */
  seq?: number | null;
}
