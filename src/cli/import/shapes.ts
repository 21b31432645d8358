/**
 * The shapes of files that vendors and exchanges give away, known by their columns. A shape says
 * what the names alone don't: columns without a header, which of two stamps counts, the order of
 * dates.
 */
import { simplify } from "../../market/column-names.ts";
import type { DateOrder } from "../../market/date-order.ts";
import { type BarLength, parseInterval } from "../../market/interval.ts";

export interface FileShape {
  name: string;
  /** Of a file without a header. */
  columns?: string[];
  /** Columns by target, by their simplified names: the first that is there counts. */
  targets?: Record<string, string[]>;
  /** Columns that tell ticks apart together with the id. */
  idParts?: string[];
  /** Columns that say again what others say. */
  leftOut?: string[];
  /** Where the file itself proves no order of its dates. */
  dateOrder?: DateOrder;
  /** Of daily bars, which are stamped with an instant. */
  dailyZone?: string;
  /** Whole prices are of this power of ten. */
  fixedPoint?: number;
  /** What `stock-db-server export` writes. */
  isExport?: boolean;
  /** A column, by its simplified name, that says the length of bars; null: the stamps do. */
  length?: { column: string; of(text: string): BarLength | null };
  /** A column, by its simplified name, that tells trades from other events by this text. */
  tradeMark?: { column: string; text: string };
  /** What rows are that are no ticks, though their columns look so; null: they may be. */
  otherRows?(names: ReadonlySet<string>): string | null;
}

interface KnownShape extends FileShape {
  /** With a header. */
  header?(names: ReadonlySet<string>, header: readonly string[]): boolean;
  /** Without one: whether the first rows have the form. */
  bare?(rows: readonly (readonly string[])[]): boolean;
}

const INTEGER = /^\d+$/;
const DECIMAL = /^-?\d+(?:\.\d+)?(?:e-?\d+)?$/i;
const BOOLEAN = /^(?:true|false)$/i;
const EPOCH = /^\d{10}(?:\.\d+)?$|^\d{13}$|^\d{16}$/;
const SECONDS = /^\d{9,10}(?:\.\d+)?$/;

const has = (names: ReadonlySet<string>, ...wanted: string[]): boolean =>
  wanted.every((name) => names.has(name));
const hasOhlc = (names: ReadonlySet<string>): boolean => has(names, "open", "high", "low", "close");

/** Whether each row has so many fields, and each field its form. */
function rowsMatch(rows: readonly (readonly string[])[], ...forms: RegExp[][]): boolean {
  return (
    rows.length > 0 &&
    rows.every((row) =>
      forms.some(
        (form) => form.length === row.length && form.every((each, index) => each.test(row[index]!.trim())),
      ),
    )
  );
}

const KLINE_COLUMNS = [
  ...["open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "trade_count"],
  ...["taker_buy_volume", "taker_buy_quote_volume", "ignore"],
];
const TRADE_COLUMNS = ["id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match"];
const AGG_TRADE_COLUMNS = [
  ...["agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "transact_time"],
  ...["is_buyer_maker", "is_best_match"],
];

const BINANCE_TRADE = [INTEGER, DECIMAL, DECIMAL, DECIMAL, EPOCH, BOOLEAN];
const BINANCE_AGG_TRADE = [INTEGER, DECIMAL, DECIMAL, INTEGER, INTEGER, EPOCH, BOOLEAN];
const MT4_DATE = /^\d{4}\.\d\d\.\d\d$/;

/** `32` to `35` are bars in Databento's rtype, Stooq's PER is in minutes or a letter. */
const DATABENTO_BARS: Record<string, BarLength> = { "32": "1s", "33": "1min", "34": "hourly", "35": "daily" };
const STOOQ_LETTERS: Record<string, BarLength> = { D: "daily", W: "1week" };

/** How the columns of an export begin. */
const EXPORTED = [
  ["ticker", "timestamp", "type", "price", "size", "ask_price", "ask_size", "seq"],
  ["ticker", "timestamp", "type", "price", "size", "ask_price", "ask_size", "id", "extra", "seq"],
  ["ticker", "date", "interval", "open", "high", "low", "close"],
  ["ticker", "datetime", "interval", "open", "high", "low", "close"],
];

const SHAPES: readonly KnownShape[] = [
  {
    name: "stock-db-server export",
    header: (_, header) => EXPORTED.some((names) => names.every((name, index) => header[index] === name)),
    targets: { ticker: ["ticker"] },
    isExport: true,
  },
  {
    name: "Databento",
    header: (names) => names.has("rtype") && (names.has("tsevent") || names.has("tsrecv")),
    targets: { timestamp: ["tsevent", "timestamp", "tsrecv"], ticker: ["symbol"] },
    fixedPoint: -9,
    dailyZone: "UTC",
    length: { column: "rtype", of: (text) => DATABENTO_BARS[text] ?? null },
    tradeMark: { column: "action", text: "T" },
    otherRows: (names) => (names.has("stattype") ? "statistics of a venue" : null),
  },
  {
    name: "Polygon flat file",
    header: (names) => has(names, "ticker", "windowstart") || has(names, "ticker", "siptimestamp"),
    targets: { timestamp: ["windowstart", "siptimestamp"], ticker: ["ticker"] },
    // Ids count for each exchange and each trade reporting facility.
    idParts: ["exchange", "trfid"],
    dailyZone: "America/New_York",
  },
  {
    name: "Tardis",
    header: (names) => has(names, "exchange", "symbol", "timestamp", "localtimestamp"),
    targets: { timestamp: ["timestamp"], ticker: ["symbol"] },
    otherRows: (names) => (names.has("issnapshot") ? "changes of an order book" : null),
  },
  {
    name: "CryptoDataDownload",
    header: (names) => has(names, "unix", "date", "symbol") && hasOhlc(names),
    targets: { timestamp: ["unix"], date: ["unix"], ticker: ["symbol"] },
    leftOut: ["date"],
  },
  {
    name: "Stooq",
    header: (_, header) => header.some((name) => /^<PER>$/i.test(name.trim())),
    targets: { ticker: ["ticker"] },
    leftOut: ["per"],
    length: { column: "per", of: stooqInterval },
  },
  {
    name: "MetaTrader 5",
    header: (_, header) => header.some((name) => /^<(?:TICKVOL|SPREAD|FLAGS)>$/i.test(name.trim())),
  },
  {
    name: "MetaTrader 4",
    columns: ["date", "time", "open", "high", "low", "close", "volume"],
    bare: (rows) => rowsMatch(rows, [MT4_DATE, /^\d\d:\d\d(?::\d\d)?$/, ...Array(5).fill(DECIMAL)]),
  },
  {
    name: "Binance klines",
    columns: KLINE_COLUMNS,
    bare: (rows) =>
      rowsMatch(rows, [EPOCH, ...Array(5).fill(DECIMAL), EPOCH, DECIMAL, INTEGER, DECIMAL, DECIMAL, DECIMAL]),
    header: (names) => has(names, "opentime", "closetime") && hasOhlc(names),
    targets: { timestamp: ["opentime"], trade_count: ["tradecount", "count"] },
    leftOut: ["ignore", "closetime"],
    dailyZone: "UTC",
  },
  {
    name: "Binance trades",
    columns: TRADE_COLUMNS,
    bare: (rows) => rowsMatch(rows, BINANCE_TRADE, [...BINANCE_TRADE, BOOLEAN]),
    header: (names) => has(names, "id", "price", "qty", "time", "isbuyermaker"),
    targets: { timestamp: ["time"], id: ["id"] },
  },
  {
    name: "Binance aggregated trades",
    columns: AGG_TRADE_COLUMNS,
    bare: (rows) => rowsMatch(rows, BINANCE_AGG_TRADE, [...BINANCE_AGG_TRADE, BOOLEAN]),
    header: (names) => has(names, "aggtradeid", "price", "quantity", "transacttime"),
    targets: { timestamp: ["transacttime"], id: ["aggtradeid"] },
  },
  {
    name: "Kraken bars",
    columns: ["time", "open", "high", "low", "close", "volume", "trade_count"],
    bare: (rows) => rowsMatch(rows, [SECONDS, ...Array(5).fill(DECIMAL), INTEGER]),
  },
  {
    name: "Kraken trades",
    columns: ["time", "price", "volume"],
    bare: (rows) => rowsMatch(rows, [SECONDS, DECIMAL, DECIMAL]),
  },
  {
    name: "Dukascopy",
    header: (names) =>
      names.has("gmttime") || (names.has("localtime") && (hasOhlc(names) || has(names, "ask", "bid"))),
    dateOrder: "dmy",
  },
  {
    name: "Nasdaq",
    header: (_, header) => header.some((name) => name.trim() === "Close/Last"),
    dateOrder: "mdy",
  },
  {
    name: "Investing.com",
    header: (names) => has(names, "date", "price", "open", "high", "low", "change"),
    dateOrder: "mdy",
  },
  {
    name: "Interactive Brokers",
    header: (names) => names.has("barcount") && hasOhlc(names),
  },
  {
    name: "Alpaca",
    header: (names, header) =>
      (has(names, "symbol", "timestamp", "tradecount", "vwap") && hasOhlc(names)) ||
      (header.includes("t") && has(names, "o", "h", "l", "c", "v", "n", "vw")),
  },
  {
    name: "Yahoo",
    header: (names) =>
      has(names, "date") && hasOhlc(names) && (names.has("adjclose") || names.has("stocksplits")),
  },
];

/** @param rows Some of the first rows after the header. */
export function shapeOfHeader(header: readonly string[]): FileShape | null {
  const names = new Set(header.map(simplify));
  return SHAPES.find((shape) => shape.header?.(names, header) === true) ?? null;
}

/** @returns of a file without a header, with its columns cut to those that its rows have. */
export function shapeOfRows(rows: readonly (readonly string[])[]): FileShape | null {
  const shape = SHAPES.find(({ bare }) => bare?.(rows) === true);
  if (shape === undefined) return null;
  return { ...shape, columns: shape.columns!.slice(0, rows[0]!.length) };
}

function stooqInterval(per: string): BarLength | null {
  if (Object.hasOwn(STOOQ_LETTERS, per)) return STOOQ_LETTERS[per]!;
  return INTEGER.test(per) ? parseInterval(`${per}min`) : null;
}
