/**
 * Of which rows the bars of each ticker are made: stored bars of that length, else the longest
 * stored ones that fit into it, else trades.
 */
import type { Timeframe } from "../calendar/contract.ts";
import { secondsOfInterval } from "../market/interval.ts";
import { inByteOrder } from "../storage/series-order.ts";
import { lengthName } from "./bar-feed.ts";
import type { BarOrigin, SourceOfTickers } from "./derived-questions.ts";
import type { MarketSource, StoredLength } from "./questions.ts";
import { tickersOf } from "./symbols.ts";

const HOUR_SECONDS = 3_600;
/** Fewer tickers are looked up one by one, more in the list of all. */
const LOOKED_UP_MAX = 20;
/** Look-ups under way at once. */
const AT_ONCE = 8;

/** `bars`: stored ones of whatever length fits. Null: also trades where there are none. */
export type SourceWish = BarOrigin | "bars" | null;

/** In order of tickers. Tickers next to each other with the same source are together. */
export async function findSources(
  tickers: readonly string[],
  timeframe: Timeframe,
  wish: SourceWish,
  market: MarketSource,
): Promise<SourceOfTickers[]> {
  const ordered = inByteOrder(tickers);
  if (ordered.length === 0) return [];
  if (wish !== null && wish !== "bars") return [{ source: wish, tickers: ordered }];
  const lengths = await lengthsOf(ordered, timeframe, market);
  const grouped: { source: BarOrigin; tickers: string[] }[] = [];
  for (const ticker of ordered) {
    const length = longestOf(lengths.get(ticker) ?? [], timeframe);
    const source: BarOrigin =
      length !== null
        ? { of: "bars", series: length }
        : wish === null
          ? { of: "trades" }
          : ownLength(timeframe);
    const last = grouped.at(-1);
    if (last !== undefined && isSame(last.source, source)) last.tickers.push(ticker);
    else grouped.push({ source, tickers: [ticker] });
  }
  return grouped;
}

/** The stored bars that have just this length. */
export function ownLength({ name }: Timeframe): BarOrigin & { of: "bars" } {
  const series: StoredLength =
    name === "daily" || name === "hourly" ? { kind: name, part: null } : { kind: "interval", part: name };
  return { of: "bars", series };
}

/** The exact one first, as it is the longest that fits. */
function longestOf(lengths: readonly StoredLength[], timeframe: Timeframe): StoredLength | null {
  const fitting = lengths.filter((length) => fits(length, timeframe));
  fitting.sort((a, b) => secondsOf(b) - secondsOf(a));
  return fitting[0] ?? null;
}

/** Whether buckets of the timeframe are whole numbers of such bars. */
function fits(length: StoredLength, { unit, count, name }: Timeframe): boolean {
  if (lengthName(length) === name) return true;
  const seconds = secondsOf(length);
  if (unit === "second") return seconds < count && count % seconds === 0;
  // Days of a session begin at any full hour of a zone. Weeks of two systems may begin otherwise.
  return length.kind === "daily" || HOUR_SECONDS % seconds === 0;
}

function secondsOf(length: StoredLength): number {
  return secondsOfInterval(lengthName(length));
}

function isSame(a: BarOrigin, b: BarOrigin): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** The stored lengths of each ticker, of those that may fit. */
async function lengthsOf(
  tickers: readonly string[],
  timeframe: Timeframe,
  market: MarketSource,
): Promise<Map<string, StoredLength[]>> {
  const found = new Map<string, StoredLength[]>(tickers.map((ticker) => [ticker, []]));
  for (const kind of ["daily", "hourly"] as const) {
    const length: StoredLength = { kind, part: null };
    if (!fits(length, timeframe)) continue;
    for (const ticker of await tickersWith(kind, tickers, market)) found.get(ticker)!.push(length);
  }
  const waiting = [...(await tickersWith("interval", tickers, market))];
  const lookUp = async (): Promise<void> => {
    for (let ticker = waiting.pop(); ticker !== undefined; ticker = waiting.pop()) {
      const parts = await market.parts("interval", ticker);
      found.get(ticker)!.push(...parts.map((part): StoredLength => ({ kind: "interval", part })));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lookUp));
  return found;
}

async function tickersWith(
  kind: StoredLength["kind"],
  tickers: readonly string[],
  market: MarketSource,
): Promise<Set<string>> {
  const found = new Set<string>();
  if (tickers.length > LOOKED_UP_MAX) {
    const wanted = new Set(tickers);
    for await (const some of tickersOf(kind, market))
      for (const ticker of some) if (wanted.has(ticker)) found.add(ticker);
    return found;
  }
  if (kind === "interval") {
    for (const ticker of tickers) if ((await market.parts(kind, ticker)).length > 0) found.add(ticker);
    return found;
  }
  for (const ticker of tickers) {
    const newest = await market.newest({ kind, ticker, part: null, from: null, to: null, limit: 1 });
    if (!newest.empty) found.add(ticker);
  }
  return found;
}
