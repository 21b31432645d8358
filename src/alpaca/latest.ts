/** The newest trades, quotes and bars for Alpaca's clients. */
import type { QuestionContext } from "../commands/questions/stored.ts";
import { type NewestSeries, newestRows } from "../market-data/newest-rows.ts";
import { STATUS } from "../protocol/codes.ts";
import { RequestError } from "../protocol/errors.ts";
import { stringifyExact } from "../protocol/json.ts";
import { turn } from "../time/pauses.ts";
import { rowReader } from "./batch-rows.ts";
import type { Members } from "./market-messages.ts";
import { readQuery, readSymbols } from "./rest-parameters.ts";
import type { RestTable } from "./rest-paths.ts";

/** Symbols that are looked up without a turn for the worker's other clients. */
const TURN_SYMBOLS = 50;
const SINGULAR: Record<RestTable, string> = { bars: "bar", trades: "trade", quotes: "quote" };
const DAYS = { table: "bars", kind: "daily", part: null } as const;
const NEWEST: Record<RestTable, NewestSeries> = {
  trades: { table: "trades", kind: "ticks", part: "trade", back: 0 },
  quotes: { table: "quotes", kind: "ticks", part: "quote", back: 0 },
  bars: { table: "bars", kind: "interval", part: "1min", back: 0 },
};
/** In the order of Alpaca's answers. */
const SNAPSHOT: Record<string, NewestSeries> = {
  latestTrade: NEWEST.trades,
  latestQuote: NEWEST.quotes,
  minuteBar: NEWEST.bars,
  dailyBar: { ...DAYS, back: 0 },
  prevDailyBar: { ...DAYS, back: 1 },
};

/** @param symbol of the path; null: the query names them. @throws RequestError 400, 404, 503 */
export async function answerLatest(
  { table, symbol }: { table: RestTable; symbol: string | null },
  query: URLSearchParams,
  context: QuestionContext,
): Promise<string> {
  const symbols = readSymbols(readQuery(query, symbol === null ? ["symbols"] : []), symbol);
  const found = await newestOf(NEWEST[table], symbols, context);
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
  context: QuestionContext,
): Promise<string> {
  const symbols = readSymbols(readQuery(query, symbol === null ? ["symbols"] : []), symbol);
  // Clients take an empty one as well.
  const found = new Map(symbols.map((each): [string, Record<string, Members>] => [each, {}]));
  for (const [name, series] of Object.entries(SNAPSHOT))
    for (const [each, members] of await newestOf(series, symbols, context)) found.get(each)![name] = members;
  if (symbol === null) return stringifyExact(Object.fromEntries(found));
  const own = found.get(symbol)!;
  if (Object.keys(own).length === 0)
    throw new RequestError(STATUS.notFound, `no snapshot found for ${symbol}`);
  return stringifyExact({ symbol, ...own });
}

/** By symbol; those for which there is nothing, or whose newest row lacks a price, are left out. */
async function newestOf(
  series: NewestSeries,
  symbols: readonly string[],
  { reader, marketTimezone }: QuestionContext,
): Promise<Map<string, Members>> {
  const found = new Map<string, Members>();
  for (let at = 0; at < symbols.length; at += TURN_SYMBOLS) {
    if (at > 0) await turn();
    const some = symbols.slice(at, at + TURN_SYMBOLS);
    const { batch, isFound } = await newestRows(series, some, marketTimezone, reader);
    const read = rowReader(series.table as RestTable, batch);
    for (const [row, symbol] of some.entries()) {
      const members = isFound[row] ? read(row).members : null;
      if (members !== null) found.set(symbol, members);
    }
  }
  return found;
}
