/** What a frame of the update log tells, as Alpaca's clients read it. */
import { readCount, readReal } from "../commands/records.ts";
import { ID_MEMBERS } from "../market/tick-names.ts";
import { parseCalendarDate, parseTimestamp, TimestampError } from "../market/timestamp.ts";
import type { Zone } from "../market/zone.ts";
import { RequestError } from "../protocol/errors.ts";
import { parseAllIntegers } from "../protocol/exact-integers.ts";
import { foldNames, isObject, type JsonRecord } from "../protocol/json.ts";
import { AlpacaTime } from "./alpaca-time.ts";
import { barMembers, detailsOf, type Members, quoteMembers, tradeMembers } from "./market-messages.ts";

type ToldKind = "trades" | "quotes" | "minuteBars" | "dailyBars";

/** One trade, quote or bar. */
export interface ToldRow {
  /** As stored, in UTC. */
  stamp: string;
  members: Members;
}

export type ToldFrame =
  | { type: "rows"; kind: ToldKind; symbol: string; rows: ToldRow[] }
  /** The newest own bar of a minute at the beginning, or after a gap; null: none. */
  | { type: "snapshot"; symbol: string; minute: string | null }
  /** Positions whose content is lost. */
  | { type: "gap"; symbol: string; from: number | null; to: number | null }
  | { type: "other" };

const OTHER: ToldFrame = { type: "other" };
const MINUTE = "1min";
/** An integer that a double may not hold has so many digits. */
const LONG_INTEGER = /\d{16}/;
const DAY_LENGTH = "2024-01-02".length;
/** Names of stamps, where the frame names none, the likeliest first. */
const STAMPS = ["timestamp", "datetime", "date", "time", "t"];

/** @param text a frame of `protocol/frames.ts`. @param zone in which days of bars begin. */
export function readToldFrame(text: string, zone: Zone): ToldFrame {
  const frame = LONG_INTEGER.test(text) ? parseAllIntegers(text) : JSON.parse(text);
  if (!isObject(frame) || typeof frame.symbol !== "string") return OTHER;
  const { symbol, data } = frame;
  const index = typeof frame.index_col === "string" ? frame.index_col : null;
  if (Array.isArray(data)) {
    const records = data.filter(isObject).map((record) => foldNames(record));
    return barsOf(symbol, records, { interval: frame.interval, index, zone });
  }
  if (!isObject(data)) return OTHER;
  const { type, payload } = data;
  if (type === "snapshot") return snapshotOf(symbol, data);
  if (type === "gap") return { type: "gap", symbol, from: Number(data.from), to: Number(data.to) };
  if (type === "recovery" && data.recovered === false) return { type: "gap", symbol, from: null, to: null };
  if ((type !== "trade" && type !== "quote") || !Array.isArray(payload)) return OTHER;
  const records = payload.filter(isObject).map((record) => foldNames(record));
  const stampColumn = index ?? stampOfTicks(records, data.timestamp);
  const idColumn = typeof frame.id_col === "string" ? frame.id_col : null;
  const kind = type === "trade" ? "trades" : "quotes";
  const read = type === "trade" ? tradeOf : quoteOf;
  return {
    type: "rows",
    kind,
    symbol,
    rows: readAll(records, (record) => read(record, stampColumn, idColumn)),
  };
}

function snapshotOf(symbol: string, data: JsonRecord): ToldFrame {
  const bar = isObject(data.bar) ? data.bar[MINUTE] : null;
  const minute = isObject(bar) && !isOfRollup(bar) ? parseTimestamp(bar.datetime) : null;
  return { type: "snapshot", symbol, minute };
}

function barsOf(
  symbol: string,
  records: JsonRecord[],
  { interval, index, zone }: { interval: unknown; index: string | null; zone: Zone },
): ToldFrame {
  const stampColumn = index ?? STAMPS.find((name) => records.some((record) => Object.hasOwn(record, name)));
  if (stampColumn === undefined) return OTHER;
  if (interval === MINUTE)
    return {
      type: "rows",
      kind: "minuteBars",
      symbol,
      rows: readAll(records, (record) => {
        const stamp = isOfRollup(record) ? null : parseTimestamp(record[stampColumn]);
        return stamp === null ? null : barOf(record, stamp, new AlpacaTime(stamp));
      }),
    };
  const isDaily = interval === "daily" || (interval === undefined && stampColumn === "date");
  if (!isDaily) return OTHER;
  return {
    type: "rows",
    kind: "dailyBars",
    symbol,
    rows: readAll(records, (record) => {
      const date = parseCalendarDate(record[stampColumn])?.slice(0, DAY_LENGTH) ?? null;
      return date === null ? null : barOf(record, date, AlpacaTime.ofDay(date, zone));
    }),
  };
}

/**
 * A roll-up stores the bar of a minute that goes on; its bars are told when their minute is over,
 * as they are of tickers without a roll-up.
 */
function isOfRollup(bar: JsonRecord): boolean {
  return bar.rollup === true;
}

/** Rows that the server has stored can be read; those of other programs, perhaps not. */
function readAll(records: JsonRecord[], read: (record: JsonRecord) => ToldRow | null): ToldRow[] {
  const rows: ToldRow[] = [];
  for (const record of records) {
    try {
      const row = read(record);
      if (row !== null) rows.push(row);
    } catch (error) {
      if (!(error instanceof RequestError || error instanceof TimestampError)) throw error;
    }
  }
  return rows;
}

/** Whoever saves may call the stamp as they please; the frame repeats that of the first record. */
function stampOfTicks(records: JsonRecord[], first: unknown): string {
  const [record] = records;
  if (record === undefined || Object.hasOwn(record, "timestamp")) return "timestamp";
  const names = [...STAMPS, ...Object.keys(record)].filter((name) => Object.hasOwn(record, name));
  return names.find((name) => record[name] === first) ?? "timestamp";
}

/** Null: it has no price, which a trade of Alpaca's can't lack. */
function tradeOf(record: JsonRecord, stampColumn: string, idColumn: string | null): ToldRow | null {
  const stamp = parseTimestamp(record[stampColumn]);
  const price = readReal(record.price, "price", "trade");
  if (stamp === null || price === null) return null;
  const trade = { t: new AlpacaTime(stamp), price, size: countOf(record.size), id: idOf(record, idColumn) };
  return { stamp, members: tradeMembers(trade, detailsOf(record)) };
}

function quoteOf(record: JsonRecord, stampColumn: string): ToldRow | null {
  const stamp = parseTimestamp(record[stampColumn]);
  if (stamp === null) return null;
  const quote = {
    t: new AlpacaTime(stamp),
    bidPrice: readReal(record.bid_price, "bid_price", "quote"),
    bidSize: countOf(record.bid_size),
    askPrice: readReal(record.ask_price, "ask_price", "quote"),
    askSize: countOf(record.ask_size),
  };
  return { stamp, members: quoteMembers(quote, detailsOf(record)) };
}

/** Null: a price is missing. */
function barOf(record: JsonRecord, stamp: string, t: AlpacaTime): ToldRow | null {
  const open = readReal(record.open, "open", "bar");
  const high = readReal(record.high, "high", "bar");
  const low = readReal(record.low, "low", "bar");
  const close = readReal(record.close, "close", "bar");
  if (open === null || high === null || low === null || close === null) return null;
  const bar = {
    ...{ t, open, high, low, close },
    volume: countOf(record.volume),
    tradeCount: countOf(record.trade_count ?? record.n),
    vwap: readReal(record.vwap ?? record.vw, "vwap", "bar"),
  };
  return { stamp, members: barMembers(bar) };
}

function countOf(value: unknown): number | bigint | null {
  const count = readCount(value, "size", "row");
  return typeof count === "string" ? BigInt(count) : count;
}

function idOf(record: JsonRecord, idColumn: string | null): string | null {
  for (const name of idColumn === null ? ID_MEMBERS : [idColumn]) {
    const value = record[name];
    if (value !== undefined && value !== null && value !== "") return String(value);
  }
  return null;
}
