/** Trades, quotes and bars as the members that Alpaca's clients read, live and in history. */
import { isObject } from "../protocol/json.ts";
import type { AlpacaTime } from "./alpaca-time.ts";
import { numericId } from "./tick-ids.ts";

/** Members in the order of Alpaca's own messages; those that are absent are left out. */
export type Members = {
  readonly t: AlpacaTime;
  readonly [name: string]: string | number | bigint | string[] | AlpacaTime | null;
};

/** What a feed has sent beside prices and sizes, by any of the names that feeds use. */
export type Details = (long: string, short: string) => unknown;

export interface TradeValues {
  t: AlpacaTime;
  price: number;
  size: number | bigint | null;
  id: string | null;
}

export function tradeMembers({ t, price, size, id }: TradeValues, details: Details): Members {
  const x = text(details("exchange", "x"));
  const c = conditions(details("conditions", "c"));
  const z = text(details("tape", "z"));
  if (id === null) return { x, p: price, s: size ?? 0, t, c, z };
  return { i: numericId(id), x, p: price, s: size ?? 0, t, c, z };
}

export interface QuoteValues {
  t: AlpacaTime;
  bidPrice: number | null;
  bidSize: number | bigint | null;
  askPrice: number | null;
  askSize: number | bigint | null;
}

/** A side that has no price or size has 0, as in Alpaca's own quotes. */
export function quoteMembers(
  { t, bidPrice, bidSize, askPrice, askSize }: QuoteValues,
  details: Details,
): Members {
  return {
    bx: text(details("bid_exchange", "bx")),
    bp: bidPrice ?? 0,
    bs: bidSize ?? 0,
    ax: text(details("ask_exchange", "ax")),
    ap: askPrice ?? 0,
    as: askSize ?? 0,
    t,
    c: conditions(details("conditions", "c")),
    z: text(details("tape", "z")),
  };
}

export interface ToldBar {
  t: AlpacaTime;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number | bigint | null;
  tradeCount: number | bigint | null;
  vwap: number | null;
}

/** Clients insist on the members `n` and `vw`, which may be null. */
export function barMembers({ t, open, high, low, close, volume, tradeCount, vwap }: ToldBar): Members {
  return { o: open, h: high, l: low, c: close, v: volume ?? 0, n: tradeCount, vw: vwap, t };
}

/** Of a record, or of its member `extra`. */
export function detailsOf(record: Readonly<Record<string, unknown>>): Details {
  const extra = isObject(record.extra) ? record.extra : null;
  return (long, short) =>
    record[long] ?? record[short] ?? (extra === null ? undefined : (extra[long] ?? extra[short]));
}

function text(value: unknown): string {
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
}

function conditions(value: unknown): string[] {
  if (value === undefined || value === null || value === "") return [];
  return (Array.isArray(value) ? value : [value]).map(text);
}
