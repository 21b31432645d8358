/**
 * Of which rows the bars of each ticker are made: stored bars of that length, else the longest
 * stored ones that fit into it, else trades.
 */
import type { Timeframe } from "../calendar/contract.ts";
import { secondsOfInterval } from "../market/interval.ts";
import { inByteOrder } from "../storage/series-order.ts";
import { lengthName } from "./bar-feed.ts";
import type { BarOrigin, GridQuestion, SourceOfTickers } from "./derived-questions.ts";
import type { MarketSource, StoredLength } from "./questions.ts";
import { tickersOf } from "./symbols.ts";

const HOUR_SECONDS = 3_600;
/** Sessions of exchanges begin and end at whole five minutes, and nearly all at half hours. */
const SESSION_SECONDS = [300, 1_800];
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
  { wish, grid }: { wish: SourceWish; grid: Pick<GridQuestion, "calendar" | "session"> },
  market: MarketSource,
): Promise<SourceOfTickers[]> {
  const ordered = inByteOrder(tickers);
  if (ordered.length === 0) return [];
  if (wish !== null && wish !== "bars") return [{ source: wish, tickers: ordered }];
  const lengths = await lengthsOf(ordered, timeframe, market);
  const cuts = grid.calendar === null && grid.session === null ? [] : cutsOf(grid.session);
  const grouped: { source: BarOrigin; tickers: string[] }[] = [];
  for (const ticker of ordered) {
    const length = longestOf(lengths.get(ticker) ?? [], timeframe, cuts);
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

/**
 * The exact one first, as it is the longest that fits. A bar that begins before the open of a
 * session and ends after it would count as a whole: so one that ends there is taken, if there is.
 *
 * @param cuts seconds of which a session's begin and end are whole numbers, the best first.
 */
function longestOf(
  lengths: readonly StoredLength[],
  timeframe: Timeframe,
  cuts: readonly number[],
): StoredLength | null {
  const fitting = lengths.filter((length) => fits(length, timeframe));
  fitting.sort((a, b) => secondsOf(b) - secondsOf(a));
  const exact = fitting.find((length) => lengthName(length) === timeframe.name);
  if (exact !== undefined) return exact;
  for (const cut of cuts) {
    // A daily bar is that of a session.
    const found = fitting.find((length) => length.kind === "daily" || cut % secondsOf(length) === 0);
    if (found !== undefined) return found;
  }
  return fitting[0] ?? null;
}

/** @param session `regular`, `extended` or `HH:MM-HH:MM`; null: that of the calendar. */
function cutsOf(session: string | null): readonly number[] {
  const minutes = /^(\d\d):(\d\d)-(\d\d):(\d\d)$/
    .exec(session ?? "")
    ?.slice(1)
    .map(Number);
  if (minutes === undefined) return SESSION_SECONDS;
  const [fromHour, from, toHour, to] = minutes as [number, number, number, number];
  return [60 * divisorOf(60, divisorOf(60 * fromHour + from, 60 * toHour + to))];
}

function divisorOf(a: number, b: number): number {
  return b === 0 ? a : divisorOf(b, a % b);
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
