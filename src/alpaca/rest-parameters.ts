/** Parameters of Alpaca's market data API over HTTP, as this server understands them. */

import { CalendarError } from "../calendar/contract.ts";
import { parseTimeframe } from "../calendar/timeframe.ts";
import { show } from "../commands/params.ts";
import { dateAt, startOfDate } from "../market/session-date.ts";
import { readTicker, TickerError } from "../market/ticker.ts";
import { parseBound, parseTimestamp, TimestampError } from "../market/timestamp.ts";
import { badRequest } from "../protocol/errors.ts";
import { FEEDS } from "./feeds.ts";

/** Rows of a page: usually, and at most. */
const LIMIT_USUAL = 1_000;
const LIMIT_MAX = 10_000;
/** Symbols of one request. */
const SYMBOLS_MAX = 10_000;

const OF_ALL = ["feed", "currency"];
const OF_HISTORY = ["start", "end", "limit", "page_token", "sort", "asof"];
const OF_BARS = ["timeframe", "adjustment"];
const DATE = /^\d{4}-\d\d-\d\d$/;
/** A query decodes "+" to a blank. */
const BLANK_BEFORE_OFFSET = /^(.*T.*) (\d\d:?\d\d)$/;

export type RestQuery = Readonly<Record<string, string>>;

/** @param names of the parameters that there are, beside those of all. @throws RequestError 400 */
export function readQuery(query: URLSearchParams, names: readonly string[]): RestQuery {
  const known = [...names, ...OF_ALL];
  const read: Record<string, string> = Object.create(null);
  for (const [name, value] of query) {
    if (!known.includes(name))
      throw badRequest(`${show(name)} is no parameter here, expected ${known.join(", ")}`);
    if (name in read) throw badRequest(`${name}: got it twice, expected it once`);
    // Some clients send what wasn't set.
    if (value !== "") read[name] = value;
  }
  const { feed, currency } = read;
  if (feed !== undefined && !FEEDS.includes(feed))
    throw badRequest(`feed: got ${show(feed)}, expected one of ${FEEDS.join(", ")}`);
  if (currency !== undefined && currency.toUpperCase() !== "USD")
    throw badRequest(`currency: got ${show(currency)}, expected USD: prices are as they were saved`);
  return read;
}

export function historyNames(table: string): string[] {
  return [...OF_HISTORY, ...(table === "bars" ? OF_BARS : [])];
}

/** @param symbol of the path; null: the query names them. @throws RequestError 400 */
export function readSymbols(query: RestQuery, symbol: string | null): string[] {
  const names = symbol === null ? (query.symbols ?? "").split(",").map((name) => name.trim()) : [symbol];
  const symbols = [...new Set(names.filter((name) => name !== ""))];
  if (symbols.length === 0 || symbols.length > SYMBOLS_MAX)
    throw badRequest(`symbols: got ${symbols.length}, expected 1 to ${SYMBOLS_MAX} with commas between them`);
  for (const name of symbols) {
    try {
      readTicker(name);
    } catch (error) {
      if (error instanceof TickerError) throw badRequest(`symbols: ${error.message}`);
      throw error;
    }
  }
  return symbols;
}

/** @throws RequestError 400 */
export function readLimit({ limit }: RestQuery): number {
  if (limit === undefined) return LIMIT_USUAL;
  const rows = /^\d{1,9}$/.test(limit) ? Number(limit) : 0;
  if (rows >= 1 && rows <= LIMIT_MAX) return rows;
  throw badRequest(`limit: got ${show(limit)}, expected a whole number from 1 to ${LIMIT_MAX}`);
}

/** Bounds as a question takes them. */
export interface RestRange {
  start: string;
  end?: string;
}

/**
 * Without a start it is the day that has begun at the exchange, as with Alpaca.
 *
 * @param timeframe of bars; null: ticks.
 * @throws RequestError 400
 */
export function readRange(
  { start, end }: RestQuery,
  timeframe: string | null,
  marketTimezone: string,
): RestRange {
  const ofDays = timeframe !== null && hasDays(timeframe);
  const read = (name: "start" | "end", value: string): string => {
    const text = value.trim().replace(BLANK_BEFORE_OFFSET, "$1+$2");
    try {
      // Checked here, as errors should show what was sent.
      parseBound(text, name, "instant");
      return DATE.test(text) || !ofDays ? text : dateOf(name, text, marketTimezone);
    } catch (error) {
      if (error instanceof TimestampError) throw badRequest(`${name}: ${error.message}`);
      throw error;
    }
  };
  return {
    start: start === undefined ? dateAt(Date.now(), marketTimezone) : read("start", start),
    ...(end === undefined ? {} : { end: read("end", end) }),
  };
}

/** @throws RequestError 400 */
function hasDays(timeframe: string): boolean {
  try {
    return parseTimeframe(timeframe).unit !== "second";
  } catch (error) {
    if (error instanceof CalendarError) throw badRequest(error.message);
    throw error;
  }
}

/** A bar of a day is one of the moment at which the day begins at the exchange. */
function dateOf(edge: "start" | "end", text: string, zone: string): string {
  const stamp = parseTimestamp(text);
  if (stamp === null) return text;
  const ms = Date.parse(`${stamp.replace(" ", "T")}Z`);
  const date = dateAt(ms, zone);
  const hasBegun = startOfDate(date, zone).slice(0, -1).replace("T", " ") < stamp;
  return edge === "start" && hasBegun ? nextDay(date) : date;
}

function nextDay(date: string): string {
  return Temporal.PlainDate.from(date).add({ days: 1 }).toString();
}
