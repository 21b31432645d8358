/** What the columns of answers are called, and which of the stored values they hold. */
import type { FormatType } from "../formats/format-columns.ts";
import { type KindName, kindOf } from "../storage/model/kinds.ts";

export interface MarketColumn {
  name: string;
  /** As Alpaca's market data API calls it in JSON. */
  short: string;
  type: FormatType;
  /** The stored column. */
  stored: string;
  /** Where the kind has no such column: members of `extra`, the first one found. */
  extra?: readonly string[];
  /** Only in an answer that names it. */
  onRequest?: true;
}

/** Of prices and ticks. */
export type PriceTable = "bars" | "trades" | "quotes";
export type MarketTable = PriceTable | "corporate_actions" | "options";

const SYMBOL: MarketColumn = { name: "symbol", short: "S", type: "name", stored: "ticker" };
const STAMP = "stamp";

/** `conditions`: a list, or what else the feed has sent. */
function ofExtra(name: string, short: string, type: FormatType = "text"): MarketColumn {
  return { name, short, type, stored: "extra", extra: [name, short] };
}

const EXTRA: MarketColumn = {
  name: "extra",
  short: "extra",
  type: "json",
  stored: "extra",
  onRequest: true,
};
const SEQ: MarketColumn = { name: "seq", short: "seq", type: "int64", stored: "seq", onRequest: true };

function double(name: string, short: string, stored = name): MarketColumn {
  return { name, short, type: "double", stored };
}

function count(name: string, short: string, stored = name): MarketColumn {
  return { name, short, type: "int64", stored };
}

const COLUMNS: Record<MarketTable, readonly MarketColumn[]> = {
  bars: [
    SYMBOL,
    { name: "timestamp", short: "t", type: "second", stored: STAMP },
    double("open", "o"),
    double("high", "h"),
    double("low", "l"),
    double("close", "c"),
    count("volume", "v"),
    { ...count("trade_count", "n"), extra: ["trade_count", "n"] },
    { ...double("vwap", "vw"), extra: ["vwap", "vw"] },
    EXTRA,
  ],
  trades: [
    SYMBOL,
    { name: "timestamp", short: "t", type: "instant", stored: STAMP },
    double("price", "p"),
    count("size", "s"),
    { name: "id", short: "i", type: "text", stored: "id" },
    ofExtra("exchange", "x"),
    ofExtra("conditions", "c", "json"),
    ofExtra("tape", "z"),
    SEQ,
    EXTRA,
  ],
  quotes: [
    SYMBOL,
    { name: "timestamp", short: "t", type: "instant", stored: STAMP },
    double("bid_price", "bp", "price"),
    count("bid_size", "bs", "size"),
    ofExtra("bid_exchange", "bx"),
    double("ask_price", "ap"),
    count("ask_size", "as"),
    ofExtra("ask_exchange", "ax"),
    ofExtra("conditions", "c", "json"),
    ofExtra("tape", "z"),
    { name: "id", short: "i", type: "text", stored: "id", onRequest: true },
    SEQ,
    EXTRA,
  ],
  options: [
    { name: "symbol", short: "symbol", type: "name", stored: "option_ticker" },
    { name: "underlying", short: "underlying", type: "text", stored: "ticker" },
    { name: "timestamp", short: "t", type: "instant", stored: STAMP },
    { name: "expiration_date", short: "expiration_date", type: "date", stored: "expiration_date" },
    double("strike_price", "strike_price"),
    { name: "type", short: "type", type: "text", stored: "option_type" },
    double("price", "price"),
    { name: "quote_timestamp", short: "t", type: "instant", stored: "last_quote_timestamp" },
    double("bid", "bp"),
    double("ask", "ap"),
    ...["delta", "gamma", "theta", "vega", "rho"].map((greek) => double(greek, greek)),
    double("implied_volatility", "impliedVolatility"),
    double("day_close", "day_close"),
    double("fmv", "fmv"),
    count("volume", "volume"),
    count("open_interest", "open_interest"),
  ],
  corporate_actions: [
    SYMBOL,
    { name: "ex_date", short: "ex_date", type: "date", stored: STAMP },
    { name: "type", short: "type", type: "text", stored: "type" },
    double("ratio", "ratio"),
    double("cash", "cash"),
    { name: "basis", short: "basis", type: "text", stored: "basis" },
    { name: "new_ticker", short: "new_ticker", type: "text", stored: "new_ticker" },
    SEQ,
  ],
};

export function columnsOf(table: MarketTable): readonly MarketColumn[] {
  return COLUMNS[table];
}

/** Those that every row has: whose it is, and of when. */
export function keyNames(table: MarketTable): string[] {
  return COLUMNS[table]
    .filter(({ stored }) => stored === "ticker" || stored === STAMP)
    .map(({ name }) => name);
}

/** Those of an answer that names none. */
export function usualColumns(table: MarketTable): string[] {
  return COLUMNS[table].filter(({ onRequest }) => onRequest !== true).map(({ name }) => name);
}

/** @param name long or short; null: the table has none of that name. */
export function columnNamed(table: MarketTable, name: string): MarketColumn | null {
  return COLUMNS[table].find((column) => column.name === name || column.short === name) ?? null;
}

/** The column of the kind that the answer's column is read from; null: rows of the kind lack it. */
export function storedName({ stored }: MarketColumn, kind: KindName): string | null {
  const { stamp, values, hasSeq } = kindOf(kind);
  if (stored === STAMP) return stamp.name;
  if (stored === "ticker" || stored === kindOf(kind).part || (stored === "seq" && hasSeq)) return stored;
  return values.some(({ name }) => name === stored) ? stored : null;
}
