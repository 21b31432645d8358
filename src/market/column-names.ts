/**
 * The names by which files call the columns of bars and ticks, simplified. Only unmistakable names
 * are listed: an adjusted close is never read as the close.
 */
import type { BarLength } from "./interval.ts";

/** Bars by their length, or a type of ticks. */
export type CsvKind = BarLength | "quote" | "trade";

export function isBars(kind: CsvKind): kind is BarLength {
  return kind !== "quote" && kind !== "trade";
}

export interface NumberColumn {
  name: string;
  /** Simplified names. The first one in the header counts. */
  known: readonly string[];
  optional?: true;
  isPrice?: true;
}

/** Case, blanks, signs, a byte order mark and a number in front, as in "1. open", don't count. */
export function simplify(column: string): string {
  return column
    .toLowerCase()
    .replace(/^\uFEFF?\s*\d+\.\s*/, "")
    .replace(/[^\p{L}\p{N}]/gu, "");
}

export const DATE_NAMES = [
  ...["date", "tradedate", "tradingdate", "tradingday", "traddt", "date1", "dtyyyymmdd", "pricedate", "day"],
  ...["datum", "fecha", "data"],
];
export const TIME_NAMES = ["time", "tradetime", "timeofday"];
export const STAMP_NAMES = [
  ...["datetime", "timestamp", "tsevent", "siptimestamp", "ts", "datetimeutc", "timestamputc", "t"],
  ...["gmttime", "localtime", "timeutc", "timegmt", "dateutc", "opentime", "windowstart", "starttime"],
  ...["transacttime", "tradetimestamp", "unix", "unixtime", "unixtimestamp", "epoch", "participanttimestamp"],
  "tsrecv",
];

export const TICKER_NAMES = [
  ...[
    "ticker",
    "symbol",
    "sym",
    "tickersymbol",
    "stocksymbol",
    "tradingsymbol",
    "tckrsymb",
    "actsymbol",
    "ric",
  ],
  ...[
    "instrument",
    "instrumentname",
    "security",
    "securityname",
    "secid",
    "stock",
    "scrip",
    "sccode",
    "scname",
  ],
  ...["pair", "coin", "contract", "stockcode", "tscode"],
];
/** Of bars alone: among ticks they may be something else, such as the code of a condition. */
export const BAR_TICKER_NAMES = ["code", "isin", "name"];

/** A zone in brackets behind a name, as in "Time (EET)": its IANA name or an abbreviation. */
const ZONE = /\(\s*([A-Z]{2,5}|[A-Za-z_]+(?:\/[A-Za-z_]+)+)\s*\)\s*$/;

/** @returns the zone that a column of stamps names, and the column without it. */
export function splitZone(column: string): { name: string; zone: string | null } {
  const match = ZONE.exec(column);
  if (match === null) return { name: column, zone: null };
  return { name: column.slice(0, match.index), zone: match[1]! };
}

const OPEN = ["open", "o", "openprice", "openingprice", "opnpric"];
const HIGH = ["high", "h", "highprice", "dayhigh", "hghpric"];
const LOW = ["low", "l", "lowprice", "daylow", "lwpric"];
const CLOSE = ["close", "c", "closelast", "closeprice", "closingprice", "clspric"];
const CLOSE_BY_OTHER_NAME = ["last", "lastprice", "settle", "settlement", "settlementprice", "price"];

const VOLUME = [
  ...["volume", "vol", "v", "totalvolume", "totalvol", "realvolume", "tradevolume", "tradedvolume"],
  ...["tradingvolume", "volumetraded", "sharevolume", "basevolume", "volumebase", "volumeshares"],
  ...["quantity", "qty", "totalquantity", "totaltradequantity", "totaltradedquantity", "tradedquantity"],
  ...["tottrdqty", "ttltrdqnty", "ttltradgvol", "noofshares", "noofshrs", "numberofshares", "shares"],
  ...["sharestraded", "contracts", "contractstraded", "size", "volumeunits", "volumelots"],
  // In German the first is of shares, and the others may be of money.
  ...["tickvolume", "tickvol", "stücke", "volumen", "umsatz"],
];

const BAR_COLUMNS: readonly NumberColumn[] = [
  { name: "open", known: [...OPEN, "eröffnung", "eröffn", "erster", "ouverture", "apertura"], isPrice: true },
  { name: "high", known: [...HIGH, "hoch", "haut", "máximo", "massimo"], isPrice: true },
  { name: "low", known: [...LOW, "tief", "bas", "mínimo", "minimo"], isPrice: true },
  {
    name: "close",
    known: [
      ...[...CLOSE, "schluss", "schlusskurs", "clôture", "cierre"],
      ...[...CLOSE_BY_OTHER_NAME, "zuletzt", "dernier", "último", "ultimo"],
    ],
    isPrice: true,
  },
  // Indices and currencies have no volume.
  { name: "volume", known: VOLUME, optional: true },
];

const INTERVAL_COLUMNS: readonly NumberColumn[] = [
  ...BAR_COLUMNS,
  { name: "vwap", known: ["vwap", "vw", "wap", "weightedaverage", "average"], optional: true, isPrice: true },
  {
    name: "trade_count",
    known: [
      "tradecount",
      "trades",
      "transactions",
      "n",
      "count",
      "barcount",
      "numberoftrades",
      "tradescount",
    ],
    optional: true,
  },
];

const BID = ["bidprice", "bid", "bidpx", "bidpx00", "bp"];
const ASK = ["askprice", "ask", "offer", "offerprice", "askpx", "askpx00", "ap"];

const TICK_COLUMNS: Record<"quote" | "trade", readonly NumberColumn[]> = {
  // The price of a quote is its bid, even beside a last price.
  quote: [
    { name: "price", known: [...BID, "price"], isPrice: true },
    {
      name: "size",
      known: ["bidsize", "bidqty", "bidquantity", "bidamount", "bidvolume", "bidsz", "bidsz00", "bs", "size"],
      optional: true,
    },
    { name: "ask_price", known: ASK, optional: true, isPrice: true },
    {
      name: "ask_size",
      known: [
        "asksize",
        "askqty",
        "askquantity",
        "askamount",
        "askvolume",
        "asksz",
        "asksz00",
        "as",
        "offersize",
      ],
      optional: true,
    },
  ],
  trade: [
    { name: "price", known: ["price", "tradeprice", "last", "lastprice", "p", "px"], isPrice: true },
    {
      name: "size",
      known: [
        ...["size", "tradesize", "quantity", "qty", "lastsize", "volume", "vol", "amount", "shares"],
        ...["tradevolume", "tradevol", "tradequantity", "lastqty", "lastquantity", "s", "q", "v"],
      ],
    },
  ],
};

export const ID_NAMES = ["id", "tradeid", "aggtradeid", "i", "tradenumber", "execid"];

/** A number that counts shares or money, by its name. */
export const LIKE_VOLUME = /vol(?!at)|qty|qnty|quant|size|amount|turnover|shares|shrs|lots/;

export function numberColumns(kind: CsvKind): readonly NumberColumn[] {
  if (!isBars(kind)) return TICK_COLUMNS[kind];
  return kind === "daily" || kind === "hourly" ? BAR_COLUMNS : INTERVAL_COLUMNS;
}

export function stampNameOf(kind: CsvKind): "date" | "datetime" | "timestamp" {
  if (!isBars(kind)) return "timestamp";
  return kind === "daily" ? "date" : "datetime";
}

/** What --column may name. */
export const TARGETS: readonly string[] = [
  ...["timestamp", "date", "datetime", "time", "ticker", "id"],
  ...new Set([...INTERVAL_COLUMNS, ...TICK_COLUMNS.quote].map(({ name }) => name)),
];

/**
 * Whether a column names the volume in one currency of a pair: "Volume BTC", "Volume (USD)".
 * @returns the currency as it is written.
 */
export function volumeCurrency(column: string): string | null {
  return /^\W*vol(?:ume)?[\s_.(-]+([a-z]{2,6})\W*$/i.exec(column)?.[1] ?? null;
}
