/** What comes in, and from whom: figures of the whole server. */
import { z } from "zod";
import type { Caller } from "../../access/key-ring.ts";
import type { CalendarRule } from "../../calendar/calendar-rule.ts";
import { type FeedFigures, muteAfterMs, type WriterFigures } from "../../feeds/feed.ts";
import type { FeedView } from "../../feeds/feed-view.ts";
import { rowsPerSecond } from "../../feeds/minute-rate.ts";
import { toWire } from "../../market/timestamp.ts";
import * as p from "./parameters.ts";
import { readSymbols } from "./stored.ts";

const LIMIT_DEFAULT = 1_000;
/** They are made in one go. */
const LIMIT_MAX = 5_000;

export const FEEDS_PARAMETERS = z.object({
  symbols: p.symbols.optional(),
  symbol: p.symbol.optional(),
  type: p
    .text({
      description: "Only feeds of this type, as updates are called: trade, quote, bar.",
      expected: "the type of a feed such as trade",
      example: "trade",
    })
    .optional(),
  stale: p.flag("Only feeds that are stale.").optional(),
  limit: p.limitOf(LIMIT_MAX, `So many feeds at most. Default: ${LIMIT_DEFAULT}.`).optional(),
});

type FeedsAsked = z.output<typeof FEEDS_PARAMETERS>;

/** What a worker knows. */
export interface KnownFeeds {
  readonly view: FeedView;
  /** 0: no feed becomes stale. */
  readonly staleAfterMs: number;
  /** The calendar of a ticker, null without one, and whether it is open. */
  sessionOf(ticker: string): { rule: CalendarRule | null; isOpen: boolean };
}

/** @throws RequestError 400, 403 a ticker that the caller may not see */
export function feedsAnswer(
  asked: FeedsAsked,
  known: KnownFeeds,
  { caller, check }: { caller: Caller; check: ((tickers: readonly string[]) => void) | null },
): object {
  const { view, staleAfterMs } = known;
  const { sees, may } = caller;
  const { limit = LIMIT_DEFAULT } = asked;
  const nowMs = Date.now();
  const isWanted = wantedBy(asked, check);
  const seen = [...view.figures].filter(({ ticker }) => sees === null || sees(ticker));
  const wanted = seen.filter(isWanted).sort(inOrder);
  const isForWriters = sees === null && may.has("metrics");
  return {
    now: shownMs(nowMs),
    since: shownMs(view.sinceMs),
    stale_after: staleAfterMs === 0 ? null : staleAfterMs / 1_000,
    known: seen.length,
    stale: seen.filter(({ staleSinceMs }) => staleSinceMs !== null).length,
    left_out: view.leftOut,
    feeds: wanted.slice(0, limit).map((figures) => shownFeed(figures, known, nowMs)),
    more: Math.max(0, wanted.length - limit),
    ...(isForWriters ? { writers: [...view.writers].map((each) => shownWriter(each, known, nowMs)) } : {}),
  };
}

function wantedBy(
  { symbol, symbols, type, stale }: FeedsAsked,
  check: ((tickers: readonly string[]) => void) | null,
): (figures: FeedFigures) => boolean {
  const isNamed = symbol !== undefined || symbols !== undefined;
  const { names, prefixes } = isNamed ? readSymbols({ symbol, symbols }) : { names: [], prefixes: [""] };
  check?.(names);
  const named = new Set(names);
  return (figures) =>
    (type === undefined || figures.type === type) &&
    (stale !== true || figures.staleSinceMs !== null) &&
    (named.has(figures.ticker) || prefixes.some((prefix) => figures.ticker.startsWith(prefix)));
}

/** By code units: in the order of bytes it would take thirty times as long. */
function inOrder(a: FeedFigures, b: FeedFigures): number {
  return (
    compare(a.ticker, b.ticker) || compare(a.type, b.type) || compare(a.interval ?? "", b.interval ?? "")
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function shownFeed(figures: FeedFigures, known: KnownFeeds, nowMs: number): object {
  const { ticker, type, interval, isLive, staleSinceMs } = figures;
  const { rule, isOpen } = known.sessionOf(ticker);
  const isWatched = isLive && muteAfterMs(figures, known.staleAfterMs) !== null;
  return {
    symbol: ticker,
    type,
    interval,
    ...shownFigures(figures, nowMs),
    calendar: rule?.calendar ?? null,
    session: rule === null ? null : (rule.session ?? "regular"),
    in_session: isOpen,
    stale: isWatched ? staleSinceMs !== null : null,
    stale_since: staleSinceMs === null ? null : shownMs(staleSinceMs),
  };
}

function shownWriter(writer: WriterFigures, known: KnownFeeds, nowMs: number): object {
  const { who, address, last } = writer;
  return {
    key: who,
    address,
    ...shownFigures(writer, nowMs),
    symbol: last.ticker,
    type: last.type,
    interval: last.interval,
    in_session: known.sessionOf(last.ticker).isOpen,
  };
}

function shownFigures(figures: FeedFigures | WriterFigures, nowMs: number): object {
  const { sinceMs, heardMs, stamp, rows, saves } = figures;
  return {
    rate: Math.round(rowsPerSecond(figures, sinceMs, nowMs) * 1_000) / 1_000,
    rows,
    saves,
    newest: stamp === null ? null : toWire(stamp),
    received: shownMs(heardMs),
    age: Math.max(0, nowMs - heardMs) / 1_000,
  };
}

function shownMs(ms: number): string {
  return new Date(ms).toISOString();
}
