/** Questions of bars, stored or made when they are asked for: parameters, and what answers them. */
import type { z } from "zod";
import { FILLS } from "../../analysis/bar-fill.ts";
import { INDICATORS_EXPECTED, type IndicatorKind, indicatorNamed } from "../../analysis/indicators.ts";
import { CalendarError, type Timeframe } from "../../calendar/contract.ts";
import { findCalendar } from "../../calendar/find-calendar.ts";
import { openGrid } from "../../calendar/open-grid.ts";
import { parseTimeframe } from "../../calendar/timeframe.ts";
import { microsOfStamp } from "../../market/stamp-micros.ts";
import { columnNamed } from "../../market-data/answer-columns.ts";
import { derivedBars } from "../../market-data/derived-bars.ts";
import { derivedColumnNames } from "../../market-data/derived-columns.ts";
import type {
  BarKey,
  DerivedBarsQuestion,
  GridQuestion,
  SourceOfTickers,
} from "../../market-data/derived-questions.ts";
import { findSources, ownLength, type SourceWish } from "../../market-data/find-sources.ts";
import { wideJsonForm } from "../../market-data/json-forms.ts";
import { readPageToken } from "../../market-data/page-token.ts";
import type { MarketSource } from "../../market-data/questions.ts";
import { findTickers, SYMBOLS_MAX } from "../../market-data/symbols.ts";
import { UnknownSymbols } from "../../market-data/unknown-symbols.ts";
import { wideTable } from "../../market-data/wide-bars.ts";
import { badRequest } from "../../protocol/errors.ts";
import type { KindName } from "../../storage/model/kinds.ts";
import * as p from "./parameters.ts";
import {
  BARS_PARAMETERS,
  type OpenedQuestion,
  openBars,
  type QuestionContext,
  readAdjustment,
  readBound,
  readSymbols,
} from "./stored.ts";

/** Figures beside each bar. */
const INDICATORS_MAX = 20;
const SOURCES_EXPECTED = '"stored", "bars", "trades", "quotes", or the length of stored bars such as "1Min"';

export const ALL_BARS_PARAMETERS = BARS_PARAMETERS.extend({
  source: p
    .text({
      description:
        "What bars are made of. Default: stored bars of that length; for a ticker without them the longest stored ones that fit into it, else trades.",
      expected: SOURCES_EXPECTED,
      example: "trades",
    })
    .optional(),
  price: p
    .choice(["mid", "bid", "ask"], "The price of a quote, with source=quotes. Default: mid.")
    .optional(),
  calendar: p
    .text({
      description: "The exchange whose sessions count. Default: none, so that every day is one.",
      expected: "an exchange such as XNYS or NASDAQ",
      example: "XNYS",
    })
    .optional(),
  session: p
    .text({
      description:
        "The hours that count: regular or extended of the calendar, or such as 09:30-16:00. Default: regular.",
      expected: '"regular", "extended" or "HH:MM-HH:MM"',
      example: "09:30-16:00",
    })
    .optional(),
  align: p
    .choice(
      ["clock", "session"],
      "Whether buckets are counted from midnight or from the open. Default: clock where they divide an hour.",
    )
    .optional(),
  fill: p
    .choice(FILLS, "What stands for a bucket in which nothing happened. Default: none, no row.")
    .optional(),
  indicators: p
    .text({
      description: `Figures beside each bar, with commas between them: ${INDICATORS_EXPECTED}.`,
      expected: `up to ${INDICATORS_MAX} of ${INDICATORS_EXPECTED}`,
      example: "sma_20,rsi_14",
    })
    .optional(),
  sale_conditions: p
    .choice(
      ["ignore", "us"],
      "Whether trades count for what their conditions say on American tapes. Default: ignore.",
    )
    .optional(),
  layout: p
    .choice(["long", "wide"], "wide: a matrix of one column, stamps down and tickers across. Default: long.")
    .optional(),
});

type AllBarsParameters = z.output<typeof ALL_BARS_PARAMETERS>;

/** @throws RequestError 400, 503 */
export async function openAllBars(
  asked: AllBarsParameters,
  context: QuestionContext,
  signal: AbortSignal,
): Promise<OpenedQuestion> {
  if (asked.layout !== "wide") return openLong(asked, context, signal);
  const { limit, page_token: page, with_position: position } = asked;
  for (const [name, value] of Object.entries({ limit, page_token: page, with_position: position }))
    if (value !== undefined)
      throw badRequest(`${name}: got it beside layout=wide, which has all rows at once`);
  if (asked.indicators !== undefined)
    throw badRequest("indicators: got some beside layout=wide, which has one column");
  const columns = asked.columns ?? ["close"];
  const [column] = columns.map((name) => columnNamed("bars", name)?.name ?? name);
  if (
    columns.length !== 1 ||
    !["open", "high", "low", "close", "volume", "vwap", "trade_count"].includes(column!)
  )
    throw badRequest(
      `columns: got ${JSON.stringify(columns.join(",").slice(0, 100))} with layout=wide, expected one of open, high, low, close, volume, vwap, trade_count`,
    );
  const long = await openLong({ ...asked, columns: [column!] }, context, signal);
  const { names } = readSymbols(asked);
  return {
    ...long,
    answer: await wideTable(long.answer, { tickers: names, name: column! }),
    json: (all, end) => wideJsonForm("bars", all, end),
  };
}

async function openLong(
  asked: AllBarsParameters,
  context: QuestionContext,
  signal: AbortSignal,
): Promise<OpenedQuestion> {
  const timeframe = checked(() => parseTimeframe(asked.timeframe));
  const wish = readSource(asked, timeframe);
  const grid = readGrid(asked, timeframe);
  const indicators = readIndicators(asked.indicators, timeframe);
  const isPlain = DERIVING.every((name) => asked[name] === undefined);
  if (isPlain && asked.source === "stored") return openBars(asked, context, signal);
  const { tickers, named } = await findSymbols(asked, timeframe, wish, context.reader);
  const sources = await findSources(tickers, timeframe, { wish, grid }, context.reader);
  if (isPlain && sources.every(({ source }) => isStored(source, timeframe)))
    return openBars(asked, context, signal);
  const question: DerivedBarsQuestion = {
    ...{ sources, timeframe, grid, indicators, signal },
    ...readRange(asked, grid.zone),
    columns: readColumns(asked.columns),
    fill: asked.fill ?? "none",
    saleConditions: asked.sale_conditions === "us",
    adjustment: readAdjustment(asked, context.marketTimezone),
    adjusted: null,
    withPositions: asked.with_position ?? false,
  };
  const unknown = new UnknownSymbols(named, seriesOf(sources, timeframe), context.reader);
  const answer = unknown.watching(await derivedBars(question, context.reader));
  return { table: "bars", answer, isPage: question.limit !== null, unknown };
}

/** Parameters that stored bars alone don't answer. */
const DERIVING = ["price", "calendar", "session", "align", "fill", "indicators", "sale_conditions"] as const;

function isStored(source: SourceOfTickers["source"], timeframe: Timeframe): boolean {
  return JSON.stringify(source) === JSON.stringify(ownLength(timeframe));
}

/** Where a ticker without a bar may have rows all the same. */
function seriesOf(sources: readonly SourceOfTickers[], { name }: Timeframe) {
  const source = sources[0]?.source ?? { of: "trades" };
  const label = `rows for bars of ${name}`;
  if (source.of === "bars") return { ...source.series, label };
  return { kind: "ticks" as const, part: source.of === "trades" ? "trade" : "quote", label };
}

/** @throws RequestError 400 */
function readSource({ source, price }: AllBarsParameters, timeframe: Timeframe): SourceWish {
  if (price !== undefined && source !== "quotes")
    throw badRequest(
      `price: got ${JSON.stringify(price)} without source=quotes, which alone has several prices`,
    );
  switch (source) {
    case undefined:
      return null;
    case "bars":
      return "bars";
    case "trades":
      return { of: "trades" };
    case "quotes":
      return { of: "quotes", price: price ?? "mid" };
    case "stored":
      return ownLength(timeframe);
  }
  let length: Timeframe;
  try {
    length = parseTimeframe(source);
  } catch {
    throw badRequest(`source: got ${JSON.stringify(source.slice(0, 100))}, expected ${SOURCES_EXPECTED}`);
  }
  if (secondsAtMost(length) > secondsAtMost(timeframe))
    throw badRequest(
      `source: got ${JSON.stringify(source)}, expected bars that are not longer than ${timeframe.name}`,
    );
  return ownLength(length);
}

function secondsAtMost({ unit, count }: Timeframe): number {
  return count * { second: 1, day: 86_400, week: 604_800, month: 2_678_400 }[unit];
}

/** @throws RequestError 400 */
function readGrid(asked: AllBarsParameters, timeframe: Timeframe): GridQuestion {
  const { calendar = null, session = null, align = null } = asked;
  return checked(() => {
    const zone = asked.tz ?? (calendar === null ? "UTC" : findCalendar(calendar).zone.name);
    const grid = { zone, calendar, session, align };
    // Errors are told before anything is read.
    openGrid({ ...grid, timeframe });
    return grid;
  });
}

/** @throws RequestError 400 */
function readIndicators(text: string | undefined, { unit, name }: Timeframe): IndicatorKind[] {
  const names = [...new Set((text ?? "").split(",").map((each) => each.trim()))].filter(
    (each) => each !== "",
  );
  if (names.length > INDICATORS_MAX)
    throw badRequest(`indicators: got ${names.length}, expected at most ${INDICATORS_MAX}`);
  return names.map((each) => {
    const kind = indicatorNamed(each);
    if (kind === null)
      throw badRequest(
        `indicators: got ${JSON.stringify(each.slice(0, 100))}, expected ${INDICATORS_EXPECTED}`,
      );
    if (kind.bySession && unit !== "second")
      throw badRequest(`indicators: got ${each} with bars of ${name}, expected bars of less than a day`);
    return kind;
  });
}

/** @throws RequestError 400 */
function readRange(asked: AllBarsParameters, zone: string) {
  const { limit, page_token: token, ...others } = asked;
  const identity = JSON.stringify(["bars", Object.entries(others).sort()]);
  const [from, to] = (["start", "end"] as const).map((name) => {
    const stamp = readBound(name, asked[name], "instant", zone);
    return stamp === null ? null : microsOfStamp(stamp);
  }) as [number | null, number | null];
  if (from !== null && to !== null && from > to)
    throw badRequest(`end: got ${JSON.stringify(asked.end)}, expected no earlier than start`);
  const key = token === undefined ? null : readPageToken(identity, token);
  const after: BarKey | null = key === null ? null : { ticker: key.ticker, start: Number(key.stamp) };
  const order = asked.sort === "desc" ? ("descending" as const) : ("ascending" as const);
  return { identity, from, to, after, order, limit: limit ?? null };
}

/** @throws RequestError 400 */
function readColumns(names: readonly string[] | undefined): string[] {
  if (names === undefined) return ["symbol", ...derivedColumnNames(false)];
  const known = derivedColumnNames(true);
  const columns = names.map((name) => {
    const column = columnNamed("bars", name)?.name ?? name;
    if (column === "symbol" || known.includes(column)) return column;
    throw badRequest(
      `columns: got ${JSON.stringify(name.slice(0, 100))}, expected some of ${known.join(", ")}`,
    );
  });
  return [...new Set(["symbol", "timestamp", ...columns])];
}

interface NamedTickers {
  tickers: readonly string[];
  /** Asked for by name. */
  named: readonly string[];
}

/** Patterns stand for tickers with bars of that length; where none has, for those with others. */
async function findSymbols(
  asked: AllBarsParameters,
  timeframe: Timeframe,
  wish: SourceWish,
  market: MarketSource,
): Promise<NamedTickers> {
  const wanted = readSymbols(asked);
  const own = ownLength(timeframe).series.kind;
  const steps: KindName[][] =
    wish === null
      ? [[own], ["daily", "hourly", "interval"], ["ticks"]]
      : [
          wish === "bars"
            ? ["daily", "hourly", "interval"]
            : [wish.of === "bars" ? wish.series.kind : "ticks"],
        ];
  const found = new Set<string>(wanted.names);
  for (const kinds of wanted.prefixes.length === 0 ? [] : steps) {
    for (const kind of kinds) {
      const { tickers } = await findTickers(wanted, kind, market);
      for (const ticker of tickers) found.add(ticker);
    }
    if (found.size > wanted.names.length) break;
  }
  if (found.size > SYMBOLS_MAX)
    throw badRequest(
      `symbols: got patterns of ${found.size} tickers, expected at most ${SYMBOLS_MAX} for bars`,
    );
  return { tickers: [...found], named: wanted.names };
}

/** @throws RequestError 400 */
function checked<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof CalendarError) throw badRequest(error.message);
    throw error;
  }
}
