/** TradingView's data feed (UDF), over this server's own data. */

import { CalendarError } from "../calendar/contract.ts";
import { ALWAYS_OPEN, findCalendar } from "../calendar/find-calendar.ts";
import { show } from "../commands/params.ts";
import { ALL_BARS_PARAMETERS, openAllBars } from "../commands/questions/derived.ts";
import { readParameters } from "../commands/questions/parameters.ts";
import type { QuestionContext } from "../commands/questions/stored.ts";
import { TICKERS_PARAMETERS, tickersAnswer } from "../commands/questions/tickers.ts";
import { cellReader } from "../market-data/cell-reader.ts";
import { type NewestSeries, newestRows } from "../market-data/newest-rows.ts";
import { PAGE_ROWS_MAX, sourceOf } from "../market-data/page-source.ts";
import { badRequest, notFound } from "../protocol/errors.ts";
import {
  BARS_MAX,
  RESOLUTIONS,
  readCount,
  readQuery,
  readRequired,
  readResolution,
  readSeconds,
} from "./parameters.ts";
import { readUdfPath } from "./paths.ts";
import { EVERY_HOUR, sessionOf } from "./sessions.ts";

export interface UdfRequest {
  /** Decoded. */
  path: string;
  query: URLSearchParams;
  signal: AbortSignal;
}

const SEARCH_MAX = 100;
const SEARCH_USUAL = 30;
const QUOTES_MAX = 100;
const DAY_S = 86_400;

/** @returns an object, or for the time a text. @throws RequestError 400, 403, 404, 503 */
export async function answerUdf(request: UdfRequest, context: QuestionContext): Promise<object | string> {
  const found = readUdfPath(request.path);
  if (found === null) throw notFound(`${show(request.path)}: there is no such endpoint here`);
  const { endpoint, calendar } = found;
  const open = calendarNamed(calendar);
  switch (endpoint) {
    case "config":
      return CONFIG;
    case "time":
      return String(Math.floor(Date.now() / 1_000));
    case "symbols":
      return await answerSymbol(request, open, context);
    case "search":
      return await answerSearch(request, context);
    case "history":
      return await answerHistory(request, open?.name ?? null, context);
    case "quotes":
      return await answerQuotes(request, context);
  }
}

const CONFIG = {
  supports_search: true,
  supports_group_request: false,
  supports_marks: false,
  supports_timescale_marks: false,
  supports_time: true,
  supported_resolutions: RESOLUTIONS,
  exchanges: [{ value: "", name: "All", desc: "" }],
  symbols_types: [{ name: "All", value: "" }],
};

/** @throws RequestError 400 */
function calendarNamed(name: string | null): ReturnType<typeof findCalendar> | null {
  if (name === null) return null;
  try {
    const calendar = findCalendar(name);
    return calendar.name === ALWAYS_OPEN ? null : calendar;
  } catch (error) {
    if (error instanceof CalendarError) throw badRequest(error.message);
    throw error;
  }
}

async function answerSymbol(
  { query }: UdfRequest,
  calendar: ReturnType<typeof calendarNamed>,
  context: QuestionContext,
): Promise<object> {
  const symbol = readRequired(readQuery(query, ["symbol"]), "symbol");
  // With the name of an exchange before it, as adapters write what they have been told.
  const name = symbol.slice(symbol.indexOf(":") + 1);
  for (const each of new Set([symbol, name])) {
    if (!(await isStored(each, context))) continue;
    const exchange = calendar?.name ?? "";
    const hours =
      calendar === null ? EVERY_HOUR : sessionOf(calendar, Math.floor(Date.now() / (DAY_S * 1_000)));
    return {
      ...{ name: each, ticker: each, description: each, type: "stock" },
      ...{ exchange, listed_exchange: exchange, minmov: 1 },
      ...hours,
      ...{ pricescale: await priceScale(each, context), has_intraday: true, has_seconds: true },
      ...{ seconds_multipliers: ["1"], supported_resolutions: RESOLUTIONS, data_status: "streaming" },
    };
  }
  throw notFound("unknown_symbol");
}

async function isStored(symbol: string, context: QuestionContext): Promise<boolean> {
  const answer = await tickersAnswer(readParameters("tickers", TICKERS_PARAMETERS, { symbol }), context);
  return (answer as { tickers: object[] }).tickers.length > 0;
}

const DAYS = { table: "bars", kind: "daily", part: null } as const;
const TRADES: NewestSeries = { table: "trades", kind: "ticks", part: "trade", back: 0 };
const QUOTES: NewestSeries = { table: "quotes", kind: "ticks", part: "quote", back: 0 };

/** A unit of the last digit that its newest price has: 100 is a cent. */
async function priceScale(symbol: string, context: QuestionContext): Promise<number> {
  const trade = await newestOf(TRADES, symbol, context);
  const price = trade?.price ?? (await newestOf({ ...DAYS, back: 0 }, symbol, context))?.close ?? 0;
  for (let scale = 100; scale < 1e8; scale *= 10)
    if (Math.abs(price * scale - Math.round(price * scale)) < 1e-6) return scale;
  return 1e8;
}

async function answerSearch({ query }: UdfRequest, context: QuestionContext): Promise<object> {
  const read = readQuery(query, ["query", "limit"]);
  const limit = Math.min(SEARCH_MAX, readCount(read, "limit", 1_000_000) ?? SEARCH_USUAL);
  const begin = (read.query ?? "").toUpperCase();
  const symbols = begin === "" ? undefined : [`${begin.replaceAll("*", "")}*`];
  const asked = { limit, ...(symbols === undefined ? {} : { symbols }) };
  const answer = await tickersAnswer(readParameters("tickers", TICKERS_PARAMETERS, asked), context);
  return (answer as { tickers: { symbol: string }[] }).tickers.map(({ symbol }) => ({
    ...{ symbol, full_name: symbol, description: symbol, exchange: "", ticker: symbol, type: "stock" },
  }));
}

async function answerHistory(
  { query, signal }: UdfRequest,
  calendar: string | null,
  context: QuestionContext,
): Promise<object> {
  const read = readQuery(query, ["symbol", "resolution", "from", "to", "countback"]);
  const symbol = readRequired(read, "symbol");
  const timeframe = readResolution(read);
  const to = readSeconds(read, "to");
  const countback = readCount(read, "countback", BARS_MAX);
  // That many bars are wanted, however old they are.
  const from = countback === null ? readSeconds(read, "from") : null;
  if (from !== null && from > to) throw badRequest(`from: got ${from}, expected at most to, ${to}`);
  const ask = (bounds: BarsWanted) => readBars({ symbol, timeframe, calendar, ...bounds }, context, signal);
  const bars = await ask({ from, to, limit: countback ?? BARS_MAX });
  if (bars.t.length > 0) return { s: "ok", ...bars };
  if (from === null) return { s: "no_data" };
  const earlier = await ask({ from: null, to: from, limit: 1 });
  return earlier.t.length === 0 ? { s: "no_data" } : { s: "no_data", nextTime: earlier.t[0] };
}

interface BarsWanted {
  /** Seconds, inclusive; null: since ever. */
  from: number | null;
  /** Exclusive. */
  to: number;
  limit: number;
}

interface BarLists {
  t: number[];
  o: number[];
  h: number[];
  l: number[];
  c: number[];
  v: number[];
}

/** The newest of them, oldest first. Those that lack a price are left out. */
async function readBars(
  {
    symbol,
    timeframe,
    calendar,
    from,
    to,
    limit,
  }: BarsWanted & {
    symbol: string;
    timeframe: string;
    calendar: string | null;
  },
  { reader, marketTimezone }: QuestionContext,
  signal: AbortSignal,
): Promise<BarLists> {
  const asked = {
    ...{ symbols: [symbol], timeframe, limit, sort: "desc", tz: "UTC" },
    ...{ end: new Date(to * 1_000 - 1).toISOString() },
    ...(from === null ? {} : { start: new Date(from * 1_000).toISOString() }),
    ...(calendar === null ? {} : { calendar }),
  };
  const pages = { reader: limit > PAGE_ROWS_MAX ? reader : sourceOf(reader, limit), marketTimezone };
  const { answer } = await openAllBars(readParameters("bars", ALL_BARS_PARAMETERS, asked), pages, signal);
  const bars: BarLists = { t: [], o: [], h: [], l: [], c: [], v: [] };
  for await (const { columns, rows } of answer.batches) {
    const readers = ["timestamp", "open", "high", "low", "close", "volume"].map((name) =>
      cellReader(columns.get(name)!),
    );
    for (let row = 0; row < rows; row++) {
      const cells = readers.map((each) => each(row));
      if (cells.slice(1, 5).includes(null)) continue;
      const [t, o, h, l, c, v] = cells.map(Number) as [number, number, number, number, number, number];
      bars.t.push(t / 1_000_000);
      bars.o.push(o);
      bars.h.push(h);
      bars.l.push(l);
      bars.c.push(c);
      bars.v.push(v);
    }
  }
  for (const list of Object.values(bars)) list.reverse();
  return bars;
}

async function answerQuotes({ query }: UdfRequest, context: QuestionContext): Promise<object> {
  const symbols = [...new Set(readRequired(readQuery(query, ["symbols"]), "symbols").split(","))];
  if (symbols.length > QUOTES_MAX)
    throw badRequest(`symbols: got ${symbols.length}, expected at most ${QUOTES_MAX}`);
  const d: object[] = [];
  for (const symbol of symbols) d.push(await quoteOf(symbol, context));
  return { s: "ok", d };
}

async function quoteOf(symbol: string, context: QuestionContext): Promise<object> {
  const [trade, quote, day, before] = await Promise.all([
    newestOf(TRADES, symbol, context),
    newestOf(QUOTES, symbol, context),
    newestOf({ ...DAYS, back: 0 }, symbol, context),
    newestOf({ ...DAYS, back: 1 }, symbol, context),
  ]);
  const last = trade?.price ?? day?.close;
  if (last === undefined) return { s: "error", n: symbol, v: {}, errmsg: "no price is stored" };
  const close = before?.close;
  const v = {
    ...{ lp: last, short_name: symbol, exchange: "", description: symbol },
    ...(close === undefined
      ? {}
      : { ch: last - close, chp: (100 * (last - close)) / close, prev_close_price: close }),
    ...{ ask: quote?.ask_price, bid: quote?.bid_price, volume: day?.volume },
    ...{ open_price: day?.open, high_price: day?.high, low_price: day?.low },
  };
  return { s: "ok", n: symbol, v };
}

/** @returns its numbers; null: there is no row. */
async function newestOf(
  series: NewestSeries,
  symbol: string,
  { reader, marketTimezone }: QuestionContext,
): Promise<Record<string, number | undefined> | null> {
  const { batch, isFound } = await newestRows(series, [symbol], marketTimezone, reader);
  if (!isFound[0]) return null;
  const numbers = [...batch.columns].map(([name, data]) => [name, cellReader(data)(0)] as const);
  return Object.fromEntries(
    numbers
      .filter(([, value]) => typeof value === "number" || typeof value === "bigint")
      .map(([name, value]) => [name, Number(value)]),
  );
}
