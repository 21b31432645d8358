/** Questions of stored bars, trades and quotes: their parameters, and the answers to them. */
import { z } from "zod";
import { CalendarError } from "../../calendar/contract.ts";
import { parseTimeframe } from "../../calendar/timeframe.ts";
import { dateAt } from "../../market/session-date.ts";
import { TimestampError } from "../../market/timestamp.ts";
import { parseZonedBound } from "../../market/zoned-bound.ts";
import {
  columnNamed,
  columnsOf,
  keyNames,
  type MarketTable,
  type PriceTable,
  usualColumns,
} from "../../market-data/answer-columns.ts";
import type { AnswerTable } from "../../market-data/contract.ts";
import type { EncodeOptions } from "../../market-data/encode-table.ts";
import { readPageToken } from "../../market-data/page-token.ts";
import type {
  BarsQuestion,
  MarketSource,
  StoredLength,
  TicksQuestion,
  WantedAdjustment,
} from "../../market-data/questions.ts";
import { storedActions, storedBars, storedTicks } from "../../market-data/stored-rows.ts";
import { findTickers, type WantedSymbols } from "../../market-data/symbols.ts";
import { UnknownSymbols } from "../../market-data/unknown-symbols.ts";
import { badRequest } from "../../protocol/errors.ts";
import { kindOf } from "../../storage/model/kinds.ts";
import * as p from "./parameters.ts";

const RANGE = {
  symbols: p.symbols.optional(),
  symbol: p.symbol.optional(),
  start: p.start.optional(),
  end: p.end.optional(),
  limit: p.limit.optional(),
  page_token: p.pageToken.optional(),
  sort: p.sort.optional(),
  tz: p.tz.optional(),
  columns: p.columns.optional(),
  with_position: p.withPosition.optional(),
};

export const BARS_PARAMETERS = z.object({
  timeframe: p.timeframe,
  ...RANGE,
  adjustment: p
    .choice(
      ["raw", "split", "dividend", "all"],
      "Prices and volumes as if splits had always been made, and dividends always been paid. Default: raw, as stored.",
    )
    .optional(),
  adjust_to: p.date("The last ex-date that counts. Default: today at the market.").optional(),
});

export const TICKS_PARAMETERS = z.object(RANGE);

/** Their dates are of the exchange, and have no zone. */
export const ACTIONS_PARAMETERS = TICKS_PARAMETERS.omit({ tz: true });

type RangeParameters = z.output<typeof TICKS_PARAMETERS>;
type BarsParameters = z.output<typeof BARS_PARAMETERS>;

/** An answer that a door can encode. */
export interface OpenedQuestion {
  /** The member of JSON, and the names of its columns. */
  table: MarketTable | "snapshots" | "options";
  answer: AnswerTable;
  /** All rows are gathered before the first byte. */
  isPage: boolean;
  /** A ticker has one row: no list in JSON. */
  isSingle?: boolean;
  /** In place of the form of the table. */
  json?: EncodeOptions["json"];
  /** Null: the answer's own warnings are all. */
  unknown: { warnings(): Promise<string[]> } | null;
}

export interface OpenedPrices extends OpenedQuestion {
  table: PriceTable;
  unknown: UnknownSymbols;
}

export interface QuestionContext {
  reader: MarketSource;
  /** Of the exchange whose dates ex-dates are. */
  marketTimezone: string;
}

export async function openBars(
  asked: BarsParameters,
  context: QuestionContext,
  signal: AbortSignal,
): Promise<OpenedPrices> {
  const source = context.reader;
  const series = readSeries(asked.timeframe);
  const { question, named } = await readRange(asked, { table: "bars", kind: series.kind }, source);
  const bars: BarsQuestion = {
    ...question,
    ...{ series, signal },
    adjustment: readAdjustment(asked, context.marketTimezone),
  };
  const label = `bars of ${asked.timeframe}`;
  const unknown = new UnknownSymbols(named, { ...series, label }, source);
  return opened("bars", bars, unknown, await storedBars(bars, source));
}

export async function openTicks(
  type: "trade" | "quote",
  asked: RangeParameters,
  { reader: source }: QuestionContext,
  signal: AbortSignal,
): Promise<OpenedPrices> {
  const table = type === "trade" ? "trades" : "quotes";
  const { question, named } = await readRange(asked, { table, kind: "ticks" }, source);
  const ticks: TicksQuestion = { ...question, type, signal };
  const unknown = new UnknownSymbols(named, { kind: "ticks", part: type, label: table }, source);
  return opened(table, ticks, unknown, await storedTicks(ticks, source));
}

export async function openActions(
  asked: RangeParameters,
  { reader: source }: QuestionContext,
  signal: AbortSignal,
): Promise<OpenedQuestion> {
  const { question, named } = await readRange(asked, { table: "corporate_actions", kind: "actions" }, source);
  const series = { kind: "actions", part: null, label: "corporate actions" } as const;
  const unknown = new UnknownSymbols(named, series, source);
  return opened("corporate_actions", question, unknown, await storedActions({ ...question, signal }, source));
}

function opened<T extends MarketTable>(
  table: T,
  { limit }: { limit: number | null },
  unknown: UnknownSymbols,
  answer: AnswerTable,
): OpenedQuestion & { table: T; unknown: UnknownSymbols } {
  return { table, answer: unknown.watching(answer), isPage: limit !== null, unknown };
}

/** @returns null: bars as stored. @throws RequestError 400 */
export function readAdjustment(
  { adjustment, adjust_to: until }: BarsParameters,
  timeZone: string,
): WantedAdjustment | null {
  const kind = adjustment ?? (until === undefined ? "raw" : "all");
  if (kind !== "raw") {
    // What is announced for a later day hasn't changed a price yet.
    return { kind, asOf: until ?? dateAt(Date.now(), timeZone), timeZone };
  }
  if (until === undefined) return null;
  throw badRequest("adjust_to: got a date beside adjustment=raw, expected one of them");
}

/** @throws RequestError 400 */
export function readSeries(timeframe: string): StoredLength {
  let name: string;
  try {
    name = parseTimeframe(timeframe).name;
  } catch (error) {
    if (error instanceof CalendarError) throw badRequest(error.message);
    throw error;
  }
  return name === "daily" || name === "hourly"
    ? { kind: name, part: null }
    : { kind: "interval", part: name };
}

export async function readRange(
  asked: RangeParameters,
  { table, kind }: { table: MarketTable; kind: StoredLength["kind"] | "ticks" | "actions" },
  source: MarketSource,
) {
  const zone = asked.tz ?? "UTC";
  const { type } = kindOf(kind).stamp;
  const { tickers, isAll, named } = await findTickers(readSymbols(asked), kind, source);
  const { limit, page_token: token, ...others } = asked;
  const identity = JSON.stringify([table, Object.entries(others).sort()]);
  const question = {
    ...{ tickers, isAll, identity },
    from: readBound("start", asked.start, type, zone),
    to: readBound("end", asked.end, type, zone),
    order: asked.sort === "desc" ? ("descending" as const) : ("ascending" as const),
    limit: limit ?? null,
    columns: readColumns(table, asked.columns),
    zone,
    withPositions: asked.with_position ?? false,
  };
  if (question.from !== null && question.to !== null && question.from > question.to)
    throw badRequest(`end: got ${JSON.stringify(asked.end)}, expected no earlier than start`);
  const after = token === undefined ? null : readPageToken(identity, token);
  return { question: { ...question, after }, named };
}

/** @throws RequestError 400 */
export function readSymbols({
  symbol,
  symbols,
}: {
  symbol?: string | undefined;
  symbols?: string[] | undefined;
}): WantedSymbols {
  if (symbol !== undefined && symbols !== undefined)
    throw badRequest("symbol: got it beside symbols, expected one of them");
  if (symbol !== undefined) return { names: [symbol], prefixes: [] };
  if (symbols === undefined)
    throw badRequest("symbols: it is missing, expected tickers such as AAPL,SPY, or *");
  const wrong = symbols.find((name) => name.slice(0, -1).includes("*"));
  if (wrong !== undefined)
    throw badRequest(`symbols: got ${JSON.stringify(wrong)}, expected a star only at the end, as in AA*`);
  const prefixes = symbols.filter((name) => name.endsWith("*")).map((name) => name.slice(0, -1));
  return { names: symbols.filter((name) => !name.endsWith("*")), prefixes };
}

export function readBound(
  name: "start" | "end",
  value: string | number | undefined,
  form: "date" | "second" | "instant",
  zone: string,
): string | null {
  try {
    return parseZonedBound(value, name, form, zone);
  } catch (error) {
    if (error instanceof TimestampError) throw badRequest(`${name}: ${error.message}`);
    throw error;
  }
}

/** Rows always say whose they are, and of when. */
function readColumns(table: MarketTable, names: readonly string[] | undefined): string[] {
  if (names === undefined) return usualColumns(table);
  const columns = names.map((name) => {
    const column = columnNamed(table, name);
    if (column !== null) return column.name;
    const known = columnsOf(table).map((each) => each.name);
    throw badRequest(
      `columns: got ${JSON.stringify(name.slice(0, 100))}, expected some of ${known.join(", ")}`,
    );
  });
  return [...new Set([...keyNames(table), ...columns])];
}
