/** Trades, quotes and bars as the members that Alpaca's clients read, live and in history. */
import { isObject } from "../protocol/json.ts";
import type { AlpacaTime } from "./alpaca-time.ts";
import { numericId } from "./tick-ids.ts";

/** Members in the order of Alpaca's own messages; those that are absent are left out. */
export type Members = { readonly [name: string]: string | number | bigint | string[] | AlpacaTime | null };

/** What a feed has sent beside prices and sizes, by any of the names that feeds use. */
export interface Details {
  exchange?: unknown;
  bidExchange?: unknown;
  askExchange?: unknown;
  conditions?: unknown;
  tape?: unknown;
}

export interface TradeValues extends Details {
  t: AlpacaTime;
  price: number;
  size: number | bigint | null;
  id: string | null;
}

export function tradeMembers({ t, price, size, id, ...details }: TradeValues): Members {
  return {
    ...(id === null ? {} : { i: numericId(id) }),
    x: text(details.exchange),
    p: price,
    s: size ?? 0,
    t,
    c: conditions(details.conditions),
    z: text(details.tape),
  };
}

export interface QuoteValues extends Details {
  t: AlpacaTime;
  bidPrice: number | null;
  bidSize: number | bigint | null;
  askPrice: number | null;
  askSize: number | bigint | null;
}

/** A side that has no price or size has 0, as in Alpaca's own quotes. */
export function quoteMembers({ t, bidPrice, bidSize, askPrice, askSize, ...details }: QuoteValues): Members {
  return {
    bx: text(details.bidExchange),
    bp: bidPrice ?? 0,
    bs: bidSize ?? 0,
    ax: text(details.askExchange),
    ap: askPrice ?? 0,
    as: askSize ?? 0,
    t,
    c: conditions(details.conditions),
    z: text(details.tape),
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
  const extra = isObject(record.extra) ? record.extra : {};
  const find = (...names: string[]): unknown => {
    for (const name of names) {
      const value = record[name] ?? extra[name];
      if (value !== undefined && value !== null) return value;
    }
    return undefined;
  };
  return {
    exchange: find("exchange", "x"),
    bidExchange: find("bid_exchange", "bx"),
    askExchange: find("ask_exchange", "ax"),
    conditions: find("conditions", "c"),
    tape: find("tape", "z"),
  };
}

function text(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

function conditions(value: unknown): string[] {
  const list = Array.isArray(value)
    ? value
    : value === undefined || value === null || value === ""
      ? []
      : [value];
  return list.map(text);
}
