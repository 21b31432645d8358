/** The newest trades, quotes and bars for Alpaca's clients. */
import { recordsOf } from "../commands/rows-answer.ts";
import { microsOfStamp, stampOfMicros } from "../market/stamp-micros.ts";
import type { Zone } from "../market/zone.ts";
import { STATUS } from "../protocol/codes.ts";
import { RequestError } from "../protocol/errors.ts";
import { isObject, type JsonRecord, stringifyExact } from "../protocol/json.ts";
import type { StockReader } from "../storage/contract.ts";
import { turn } from "../time/pauses.ts";
import { AlpacaTime } from "./alpaca-time.ts";
import { barMembers, detailsOf, type Members, quoteMembers, tradeMembers } from "./market-messages.ts";
import { readQuery, readSymbols } from "./rest-parameters.ts";
import type { RestTable } from "./rest-paths.ts";

/** Milliseconds of look-ups between two turns for the worker's other clients. */
const TURN_MS = 10;
const SINGULAR: Record<RestTable, string> = { bars: "bar", trades: "trade", quotes: "quote" };

/** Rows that are looked at for the newest one that has a price. */
const LOOKED_AT = 10;
const DAY_LENGTH = "2024-01-02".length;

export interface LatestContext {
  reader: Pick<StockReader, "newest">;
  /** In which days of bars begin. */
  zone: Zone;
}

/** @param symbol of the path; null: the query names them. @throws RequestError 400, 404, 503 */
export async function answerLatest(
  { table, symbol }: { table: RestTable; symbol: string | null },
  query: URLSearchParams,
  context: LatestContext,
): Promise<string> {
  const symbols = readSymbols(readQuery(query, symbol === null ? ["symbols"] : []), symbol);
  const found = await ofEach(symbols, (ticker) => newestOf(table, ticker, context));
  const singular = SINGULAR[table];
  if (symbol === null) return stringifyExact({ [table]: Object.fromEntries(found) });
  const own = found.get(symbol);
  if (own === undefined) throw new RequestError(STATUS.notFound, `no ${singular} found for ${symbol}`);
  return stringifyExact({ symbol, [singular]: own });
}

/** @param symbol of the path; null: the query names them. @throws RequestError 400, 404, 503 */
export async function answerSnapshots(
  symbol: string | null,
  query: URLSearchParams,
  context: LatestContext,
): Promise<string> {
  const symbols = readSymbols(readQuery(query, symbol === null ? ["symbols"] : []), symbol);
  const found = await ofEach(symbols, (ticker) => snapshotOf(ticker, context));
  if (symbol === null) return stringifyExact(Object.fromEntries(found));
  const own = found.get(symbol)!;
  if (Object.keys(own).length === 0)
    throw new RequestError(STATUS.notFound, `no snapshot found for ${symbol}`);
  return stringifyExact({ symbol, ...own });
}

/** What it has; a client takes an empty one as well. */
async function snapshotOf(ticker: string, context: LatestContext): Promise<Record<string, Members>> {
  const days = await newestDays(ticker, context);
  const found = {
    latestTrade: await newestOf("trades", ticker, context),
    latestQuote: await newestOf("quotes", ticker, context),
    minuteBar: await newestOf("bars", ticker, context),
    dailyBar: days.at(-1) ?? null,
    prevDailyBar: days.at(-2) ?? null,
  };
  const known = Object.entries(found).filter((entry): entry is [string, Members] => entry[1] !== null);
  return Object.fromEntries(known);
}

const SERIES = {
  trades: { kind: "ticks", part: "trade" },
  quotes: { kind: "ticks", part: "quote" },
  bars: { kind: "interval", part: "1min" },
} as const;

/** Null: there is none. */
async function newestOf(
  table: RestTable,
  ticker: string,
  { reader }: LatestContext,
): Promise<Members | null> {
  const range = { ...SERIES[table], ticker, from: null, to: null, withExtra: true };
  const records = await recordsOf(await reader.newest({ ...range, limit: LOOKED_AT }));
  return records.map((record) => MEMBERS[table](record)).findLast((members) => members !== null) ?? null;
}

/** Ascending. */
async function newestDays(ticker: string, { reader, zone }: LatestContext): Promise<Members[]> {
  const range = { kind: "daily", part: null, ticker, from: null, to: null, withExtra: true } as const;
  const records = await recordsOf(await reader.newest({ ...range, limit: LOOKED_AT }));
  return records
    .map((record) => barOf(record, AlpacaTime.ofDay(String(record.date).slice(0, DAY_LENGTH), zone)))
    .filter((bar) => bar !== null);
}

const MEMBERS: Record<RestTable, (record: JsonRecord) => Members | null> = {
  trades(record) {
    const { price, size, id } = record;
    if (typeof price !== "number") return null;
    const t = timeOf(record.timestamp);
    const text = id === null || id === undefined ? null : String(id);
    return tradeMembers({ t, price, size: countOf(size), id: text }, detailsOf(record));
  },
  quotes: (record) =>
    quoteMembers(
      {
        t: timeOf(record.timestamp),
        bidPrice: realOf(record.price),
        bidSize: countOf(record.size),
        askPrice: realOf(record.ask_price),
        askSize: countOf(record.ask_size),
      },
      detailsOf(record),
    ),
  bars: (record) => barOf(record, timeOf(record.datetime)),
};

/** Null: a price is missing. */
function barOf(record: JsonRecord, t: AlpacaTime): Members | null {
  const [open, high, low, close] = ["open", "high", "low", "close"].map((name) => realOf(record[name]));
  if (open == null || high == null || low == null || close == null) return null;
  const { n, vw } = isObject(record.extra) ? record.extra : ({} as JsonRecord);
  return barMembers({
    ...{ t, open, high, low, close },
    volume: countOf(record.volume),
    tradeCount: countOf(record.trade_count ?? n),
    vwap: realOf(record.vwap ?? vw),
  });
}

/** @param stamp as answers have it. */
function timeOf(stamp: unknown): AlpacaTime {
  return new AlpacaTime(stampOfMicros(microsOfStamp(String(stamp))));
}

function realOf(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

function countOf(value: unknown): number | bigint | null {
  return typeof value === "number" || typeof value === "bigint" ? value : null;
}

/** By symbol; those for which there is nothing are left out. */
async function ofEach<T>(
  symbols: readonly string[],
  ask: (symbol: string) => Promise<T | null>,
): Promise<Map<string, T>> {
  const found = new Map<string, T>();
  let turnBegan = performance.now();
  for (const symbol of symbols) {
    if (performance.now() - turnBegan > TURN_MS) {
      await turn();
      turnBegan = performance.now();
    }
    const answer = await ask(symbol);
    if (answer !== null) found.set(symbol, answer);
  }
  return found;
}
