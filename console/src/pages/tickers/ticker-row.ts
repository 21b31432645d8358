/** What a line of the list shows, out of what the server says. */
import type { Bar, LiveFrame, Quote, Trade } from "../../api/live-frames.ts";

export interface TickerRow {
  symbol: string;
  last: number | null;
  /** What the change counts from: the close of the day before, or the day's first trade. */
  reference: number | null;
  /** Of the day of `last`. */
  volume: number | null;
  /** Of the newest tick or bar, in ms; null: none is known. */
  newestMs: number | null;
  /** Of what `last` comes from. */
  lastMs: number | null;
  /** The day whose volume it is, as in `2024-01-02`. */
  day: string | null;
  hasDailyBars: boolean;
  /** The server has been told how soon a feed is stale, and this one is. */
  isStale: boolean;
  isLoaded: boolean;
}

/** As /v1/snapshots has it, with the short names. */
export interface ShortSnapshot {
  latestTrade?: { t: string; p: number | null; s: number | null };
  latestQuote?: { t: string; bp: number | null; ap: number | null };
  minuteBar?: ShortBar;
  dailyBar?: ShortBar;
  prevDailyBar?: ShortBar;
}

interface ShortBar {
  t: string;
  c: number | null;
  v: number | null;
}

export function emptyRow(symbol: string): TickerRow {
  const unknown = { last: null, reference: null, volume: null, newestMs: null, lastMs: null, day: null };
  return { symbol, ...unknown, hasDailyBars: false, isStale: false, isLoaded: false };
}

export function fillRow(row: TickerRow, snapshot: ShortSnapshot): void {
  const { latestTrade, latestQuote, minuteBar, dailyBar, prevDailyBar } = snapshot;
  row.isLoaded = true;
  row.hasDailyBars = dailyBar !== undefined;
  const stamps = [latestTrade, latestQuote, minuteBar, dailyBar].flatMap((each) => (each ? [each.t] : []));
  row.newestMs = stamps.length === 0 ? null : Math.max(...stamps.map((stamp) => Date.parse(stamp)));
  const ofDay = dailyBar?.t.slice(0, 10) ?? null;
  const intraday = newer(
    latestTrade && { stamp: latestTrade.t, price: latestTrade.p },
    minuteBar && { stamp: minuteBar.t, price: minuteBar.c },
  );
  if (intraday !== null && (ofDay === null || intraday.stamp.slice(0, 10) >= ofDay)) {
    row.last = intraday.price;
    row.lastMs = Date.parse(intraday.stamp);
    const day = intraday.stamp.slice(0, 10);
    if (day === row.day && !row.hasDailyBars) return;
    row.day = day;
    row.reference = (day === ofDay ? prevDailyBar?.c : dailyBar?.c) ?? null;
    row.volume = day === ofDay ? (dailyBar?.v ?? null) : null;
  } else if (dailyBar !== undefined) {
    row.last = dailyBar.c;
    row.lastMs = Date.parse(dailyBar.t);
    row.day = ofDay;
    row.reference = prevDailyBar?.c ?? null;
    row.volume = dailyBar.v;
  } else if (latestQuote !== undefined) {
    row.last = middle(latestQuote.bp, latestQuote.ap);
    row.lastMs = Date.parse(latestQuote.t);
  }
}

/** @returns whether something of it is shown. */
export function takeFrame(row: TickerRow, frame: LiveFrame): boolean {
  if (frame.type === "trade") for (const trade of frame.records) takeTrade(row, trade);
  else if (frame.type === "quote") for (const quote of frame.records) takeQuote(row, quote);
  else if (frame.type === "bar") for (const bar of frame.records) takeBar(row, bar, frame.interval);
  else if (frame.type === "feed_stale" || frame.type === "feed_alive")
    row.isStale = frame.type === "feed_stale";
  else return false;
  return true;
}

export function changeOf({ last, reference }: TickerRow): number | null {
  return last === null || reference === null || reference === 0 ? null : last / reference - 1;
}

function takeTrade(row: TickerRow, { timestamp, price, size }: Trade): void {
  noteAge(row, timestamp);
  const day = timestamp.slice(0, 10);
  if (price === null || (row.day !== null && day < row.day)) return;
  if (day !== row.day) {
    row.reference = row.hasDailyBars ? row.last : price;
    row.volume = null;
    row.day = day;
  }
  // Where daily bars are stored, they alone tell the day's volume.
  if (!row.hasDailyBars && size !== null) row.volume = (row.volume ?? 0) + size;
  takePrice(row, timestamp, price);
}

/** Its middle is shown of tickers that have no trades. */
function takeQuote(row: TickerRow, { timestamp, bid_price, ask_price }: Quote): void {
  noteAge(row, timestamp);
  if (row.day === null) takePrice(row, timestamp, middle(bid_price, ask_price));
}

function takeBar(row: TickerRow, { timestamp, close, volume }: Bar, interval: string): void {
  noteAge(row, timestamp);
  const day = timestamp.slice(0, 10);
  if (interval === "daily" && (row.day === null || day >= row.day)) {
    if (day !== row.day) row.reference = row.last;
    row.hasDailyBars = true;
    row.day = day;
    row.volume = volume;
    row.last = close ?? row.last;
  } else takePrice(row, timestamp, close);
}

function takePrice(row: TickerRow, timestamp: string, price: number | null): void {
  const ms = Date.parse(timestamp);
  if (price === null || (row.lastMs !== null && ms < row.lastMs)) return;
  row.lastMs = ms;
  row.last = price;
}

function noteAge(row: TickerRow, timestamp: string): void {
  row.newestMs = Math.max(row.newestMs ?? Number.NEGATIVE_INFINITY, Date.parse(timestamp));
}

interface PriceAt {
  stamp: string;
  price: number | null;
}

function newer(a: PriceAt | undefined, b: PriceAt | undefined): PriceAt | null {
  if (a === undefined || b === undefined) return a ?? b ?? null;
  return Date.parse(a.stamp) >= Date.parse(b.stamp) ? a : b;
}

function middle(bid: number | null, ask: number | null): number | null {
  return bid === null || ask === null ? (bid ?? ask) : (bid + ask) / 2;
}
