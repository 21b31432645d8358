/** Polygon's market data API over HTTP, over this server's own data. */

import { show } from "../commands/params.ts";
import { ALL_BARS_PARAMETERS, openAllBars } from "../commands/questions/derived.ts";
import { readParameters } from "../commands/questions/parameters.ts";
import {
  type OpenedQuestion,
  openTicks,
  type QuestionContext,
  TICKS_PARAMETERS,
} from "../commands/questions/stored.ts";
import { dateAt } from "../market/session-date.ts";
import { newestRows } from "../market-data/newest-rows.ts";
import { PAGE_ROWS_MAX, sourceOf } from "../market-data/page-source.ts";
import { badRequest, notFound } from "../protocol/errors.ts";
import { stringifyExact } from "../protocol/json.ts";
import { turn } from "../time/pauses.ts";
import {
  boundOf,
  checkTicker,
  LIMIT_MAX,
  readAdjusted,
  readChoice,
  readEdge,
  readLimit,
  readQuery,
  readTimestamps,
  TIMESTAMP_NAMES,
} from "./parameters.ts";
import { endpointOf, type PolygonEndpoint } from "./paths.ts";
import { newRequestId } from "./rest-error.ts";
import { barForm, lastForm, type RowForm, rowReader, TICK_FORMS } from "./rows.ts";

/** Made into text in one turn of the event loop: some milliseconds. */
const TURN_ROWS = 2_000;
/** A client for JavaScript has the pages of bars in the wrong order, so that one should do. */
const BARS_USUAL = LIMIT_MAX;
const TICKS_USUAL = 1_000;
const UNITS: Record<string, { unit: string; times: number; ofDays: boolean }> = {
  second: { unit: "Sec", times: 1, ofDays: false },
  minute: { unit: "Min", times: 1, ofDays: false },
  hour: { unit: "Hour", times: 1, ofDays: false },
  day: { unit: "Day", times: 1, ofDays: true },
  week: { unit: "Week", times: 1, ofDays: true },
  month: { unit: "Month", times: 1, ofDays: true },
  quarter: { unit: "Month", times: 3, ofDays: true },
  year: { unit: "Month", times: 12, ofDays: true },
};

export interface PolygonRequest {
  /** Decoded. */
  path: string;
  /** Without the key. */
  query: URLSearchParams;
  /** Such as `http://localhost:8080`: where the next page is. */
  origin: string;
  requestId: string | null;
  signal: AbortSignal;
}

interface PolygonAnswer {
  text: string;
  /** What a reader must know, a sentence each. Polygon's JSON has no place for it. */
  warnings: readonly string[];
}

/** @throws RequestError 400, 403, 404, 503 */
export async function answerPolygon(
  request: PolygonRequest,
  context: QuestionContext,
): Promise<PolygonAnswer> {
  const endpoint = endpointOf(request.path);
  if (endpoint === null) throw notFound(`${request.path}: there is no such endpoint here`);
  if (endpoint.kind !== "grouped") checkTicker(endpoint.ticker);
  switch (endpoint.kind) {
    case "bars":
      return answerBars(endpoint, request, context);
    case "previous":
      return answerPrevious(endpoint.ticker, request, context);
    case "grouped":
      return answerGrouped(endpoint.date, request, context);
    case "ticks":
      return answerTicks(endpoint, request, context);
    case "last":
      return answerLast(endpoint, request, context);
  }
}

async function answerBars(
  endpoint: Extract<PolygonEndpoint, { kind: "bars" }>,
  request: PolygonRequest,
  context: QuestionContext,
): Promise<PolygonAnswer> {
  const query = readQuery(request.query, ["adjusted", "sort", "limit", "cursor"]);
  const { ticker, multiplier, unit } = endpoint;
  const length = Object.hasOwn(UNITS, unit) ? UNITS[unit]! : null;
  if (length === null)
    throw badRequest(`timespan: got ${show(unit)}, expected one of ${Object.keys(UNITS).join(", ")}`);
  if (!/^[1-9]\d{0,5}$/.test(multiplier))
    throw badRequest(`multiplier: got ${show(multiplier)}, expected a whole number from 1`);
  const zone = context.marketTimezone;
  const edge = { ofDays: length.ofDays, zone };
  const adjusted = readAdjusted(query);
  const asked = {
    ...{ symbols: [ticker], timeframe: `${Number(multiplier) * length.times}${length.unit}`, tz: zone },
    ...{ start: readEdge("from", endpoint.from, edge), end: readEdge("to", endpoint.to, edge) },
    ...{ adjustment: adjusted ? "split" : "raw", sort: readChoice(query, "sort", ["asc", "desc"], "asc") },
    ...{ limit: readLimit(query, BARS_USUAL), ...pageOf(query) },
  };
  return answerOf(await openBars(asked, request, context), barForm(false), request, { ticker, adjusted });
}

async function answerPrevious(
  ticker: string,
  request: PolygonRequest,
  context: QuestionContext,
): Promise<PolygonAnswer> {
  const adjusted = readAdjusted(readQuery(request.query, ["adjusted"]));
  const zone = context.marketTimezone;
  const today = Temporal.PlainDate.from(dateAt(Date.now(), zone));
  const asked = {
    ...{ symbols: [ticker], timeframe: "1Day", tz: zone, end: today.subtract({ days: 1 }).toString() },
    ...{ adjustment: adjusted ? "split" : "raw", sort: "desc", limit: 1 },
  };
  const opened = await openBars(asked, request, context);
  return answerOf(opened, barForm(true), request, { ticker, adjusted }, false);
}

async function answerGrouped(
  date: string,
  request: PolygonRequest,
  context: QuestionContext,
): Promise<PolygonAnswer> {
  const query = readQuery(request.query, ["adjusted", "include_otc", "locale", "market_type"]);
  const adjusted = readAdjusted(query);
  // A client repeats what the path says.
  readChoice(query, "locale", ["us"], "us");
  readChoice(query, "market_type", ["stocks"], "stocks");
  const zone = context.marketTimezone;
  if (!/^\d{4}-\d\d-\d\d$/.test(date))
    throw badRequest(`date: got ${show(date)}, expected one such as 2024-01-02`);
  const day = readEdge("from", date, { ofDays: true, zone });
  const asked = {
    ...{ symbols: ["*"], timeframe: "1Day", tz: zone, start: day, end: day },
    ...{ adjustment: adjusted ? "split" : "raw", limit: LIMIT_MAX },
  };
  const opened = await openBars(asked, request, context);
  return answerOf(opened, barForm(true), request, { adjusted }, false);
}

async function answerTicks(
  { table, ticker }: Extract<PolygonEndpoint, { kind: "ticks" }>,
  request: PolygonRequest,
  context: QuestionContext,
): Promise<PolygonAnswer> {
  const query = readQuery(request.query, [...TIMESTAMP_NAMES, "order", "limit", "sort", "cursor"]);
  readChoice(query, "sort", ["timestamp", "sip_timestamp", "participant_timestamp"], "timestamp");
  const order = readChoice(query, "order", ["asc", "desc"], "desc");
  const { from, to } = readTimestamps(query, context.marketTimezone);
  const limit = readLimit(query, TICKS_USUAL);
  if (from !== null && to !== null && from > to) return { text: textOf([], request, null, {}), warnings: [] };
  const names = table === "trades" ? TRADE_COLUMNS : QUOTE_COLUMNS;
  const asked = {
    ...{ symbols: [ticker], sort: order, limit, columns: names, ...pageOf(query) },
    ...(from === null ? {} : { start: boundOf(from) }),
    ...(to === null ? {} : { end: boundOf(to) }),
  };
  const read = readParameters(table, TICKS_PARAMETERS, asked);
  const pages = pagesOf(context, limit);
  const type = table === "trades" ? "trade" : "quote";
  return answerOf(await openTicks(type, read, pages, request.signal), TICK_FORMS[table], request, {});
}

const TRADE_COLUMNS = ["price", "size", "id", "exchange", "conditions", "tape", "seq"];
const QUOTE_COLUMNS = [
  ...["bid_price", "bid_size", "bid_exchange", "ask_price", "ask_size", "ask_exchange"],
  ...["conditions", "tape", "seq"],
];

async function answerLast(
  { table, ticker }: Extract<PolygonEndpoint, { kind: "last" }>,
  { query, requestId }: PolygonRequest,
  { reader, marketTimezone }: QuestionContext,
): Promise<PolygonAnswer> {
  readQuery(query, []);
  const series = { table, kind: "ticks", part: table === "trades" ? "trade" : "quote", back: 0 } as const;
  const { batch, isFound } = await newestRows(series, [ticker], marketTimezone, reader);
  const results = isFound[0] ? rowReader(batch, lastForm(table, ticker))(0) : null;
  if (results === null)
    throw notFound(`no ${table === "trades" ? "trade" : "quote"} found for ${show(ticker)}`);
  const text = stringifyExact({ request_id: requestId ?? newRequestId(), results, status: "OK" });
  return { text, warnings: [] };
}

function pageOf({ cursor }: { cursor?: string }): { page_token?: string } {
  return cursor === undefined ? {} : { page_token: cursor };
}

/** Small pages don't wait behind large answers. */
function pagesOf({ reader, marketTimezone }: QuestionContext, limit: number): QuestionContext {
  return { reader: limit > PAGE_ROWS_MAX ? reader : sourceOf(reader, limit), marketTimezone };
}

function openBars(
  asked: { limit: number; [name: string]: unknown },
  { signal }: PolygonRequest,
  context: QuestionContext,
): Promise<OpenedQuestion> {
  const read = readParameters("bars", ALL_BARS_PARAMETERS, asked);
  return openAllBars(read, pagesOf(context, asked.limit), signal);
}

/** @param head members before the rows. @param hasPages whether there may be a next one. */
async function answerOf(
  { answer, unknown }: OpenedQuestion,
  form: RowForm,
  request: PolygonRequest,
  head: Record<string, unknown>,
  hasPages = true,
): Promise<PolygonAnswer> {
  const texts: string[] = [];
  for await (const batch of answer.batches) {
    const read = rowReader(batch, form);
    for (let row = 0; row < batch.rows; row++) {
      if (row % TURN_ROWS === TURN_ROWS - 1) await turn();
      const members = read(row);
      if (members !== null) texts.push(stringifyExact(members));
    }
  }
  const warnings = [...answer.warnings(), ...((await unknown?.warnings()) ?? [])];
  const next = answer.nextPage();
  if (next !== null && !hasPages && head.ticker === undefined)
    warnings.push(`there are more than ${LIMIT_MAX} bars; the others are left out`);
  return { text: textOf(texts, request, hasPages ? next : null, head), warnings };
}

function textOf(
  rows: readonly string[],
  request: PolygonRequest,
  next: string | null,
  head: Record<string, unknown>,
): string {
  const counts = Object.hasOwn(head, "adjusted")
    ? { queryCount: rows.length, resultsCount: rows.length, count: rows.length }
    : {};
  const before = { ...head, ...counts, status: "OK", request_id: request.requestId ?? newRequestId() };
  const after = next === null ? "" : `,"next_url":${JSON.stringify(nextUrl(request, next))}`;
  return `${JSON.stringify(before).slice(0, -1)},"results":[${rows.join(",")}]${after}}`;
}

/**
 * A whole URL with a query: one client takes its path and query, another adds the key to its end.
 * The key itself is never in it.
 */
function nextUrl({ origin, path, query }: PolygonRequest, cursor: string): string {
  const parameters = new URLSearchParams(query);
  parameters.set("cursor", cursor);
  return `${origin}${path.split("/").map(encodeURIComponent).join("/")}?${parameters}`;
}
