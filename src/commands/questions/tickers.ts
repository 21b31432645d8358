/** Which tickers have rows of which kinds, page by page. */
import { z } from "zod";
import { toWire } from "../../market/timestamp.ts";
import { findTickers } from "../../market-data/symbols.ts";
import { badRequest } from "../../protocol/errors.ts";
import { cellReaders } from "../../storage/model/columns.ts";
import { KIND_NAMES, type KindName, kindOf, partName } from "../../storage/model/kinds.ts";
import { compareTexts, inByteOrder } from "../../storage/series-order.ts";
import * as p from "./parameters.ts";
import { type QuestionContext, readSymbols } from "./stored.ts";

const LIMIT_DEFAULT = 1_000;
const LIMIT_MAX = 10_000;
/** With their series: each is a few reads. */
const WITH_SERIES_MAX = 50;
const WARNINGS_MAX = 20;

export const TICKERS_PARAMETERS = z.object({
  symbols: p.symbols.optional(),
  symbol: p.symbol.optional(),
  kind: p.choice(KIND_NAMES as [KindName, ...KindName[]], "Only tickers with rows of this kind.").optional(),
  series: p.flag("Each ticker has the list of its series, with the first and the last stamp.").optional(),
  limit: p.limitOf(LIMIT_MAX, `So many tickers at most. Default: ${LIMIT_DEFAULT}.`).optional(),
  page_token: p.pageToken.optional(),
});

interface TickerSeries {
  kind: KindName;
  series: string;
  /** As in other answers of the server. */
  first: string | null;
  last: string | null;
}

export async function tickersAnswer(
  asked: z.output<typeof TICKERS_PARAMETERS>,
  { reader }: QuestionContext,
): Promise<object> {
  const { kind, series: withSeries = false, limit = LIMIT_DEFAULT, page_token: after } = asked;
  if (withSeries && limit > WITH_SERIES_MAX && asked.limit !== undefined)
    throw badRequest(`limit: got ${limit}, expected at most ${WITH_SERIES_MAX} with series`);
  const rows = withSeries ? Math.min(limit, WITH_SERIES_MAX) : limit;
  const wanted = asked.symbol === undefined && asked.symbols === undefined ? null : readSymbols(asked);
  const kindsOf = new Map<string, KindName[]>();
  for (const name of kind === undefined ? KIND_NAMES : [kind]) {
    const found =
      wanted === null
        ? await reader.tickers(name, after ?? null, rows + 1)
        : await namedWith(wanted, name, reader);
    for (const ticker of found) kindsOf.set(ticker, [...(kindsOf.get(ticker) ?? []), name]);
  }
  const all = inByteOrder([...kindsOf.keys()]).filter(
    (ticker) => after === undefined || compareTexts(ticker, after) > 0,
  );
  const shown = all.slice(0, rows);
  const tickers = [];
  for (const symbol of shown) {
    const kinds = kindsOf.get(symbol)!;
    tickers.push({
      symbol,
      kinds,
      ...(withSeries ? { series: await seriesOf(symbol, kinds, reader) } : {}),
    });
  }
  const missing = wanted?.names.filter((name) => !kindsOf.has(name)) ?? [];
  return {
    tickers,
    next_page_token: all.length > rows ? shown.at(-1)! : null,
    ...(missing.length === 0 || after !== undefined
      ? {}
      : { warnings: missing.slice(0, WARNINGS_MAX).map((name) => `${name}: nothing is stored`) }),
  };
}

/** Those of a pattern have rows; of names it has to be asked. */
async function namedWith(
  wanted: ReturnType<typeof readSymbols>,
  kind: KindName,
  reader: QuestionContext["reader"],
): Promise<string[]> {
  const { tickers } = await findTickers(wanted, kind, reader);
  const named = new Set(wanted.names);
  const found: string[] = [];
  for (const ticker of tickers)
    if (!named.has(ticker) || (await hasRows(kind, ticker, reader))) found.push(ticker);
  return found;
}

async function hasRows(kind: KindName, ticker: string, reader: QuestionContext["reader"]): Promise<boolean> {
  if (kindOf(kind).part !== null) return (await reader.parts(kind, ticker)).length > 0;
  return !(await reader.newest({ kind, ticker, part: null, from: null, to: null, limit: 1 })).empty;
}

async function seriesOf(
  ticker: string,
  kinds: readonly KindName[],
  reader: QuestionContext["reader"],
): Promise<TickerSeries[]> {
  const series: TickerSeries[] = [];
  for (const kind of kinds) {
    // A chain has thousands of contracts.
    if (kind === "options") continue;
    const parts = kindOf(kind).part === null ? [null] : await reader.parts(kind, ticker);
    for (const part of parts) {
      const of = { kind, ticker, part };
      const ends = [await endOf(of, "ascending", reader), await endOf(of, "descending", reader)];
      series.push({ kind, series: partName(kind, part), first: ends[0]!, last: ends[1]! });
    }
  }
  return series;
}

/** The stamp at which a series begins or ends. */
async function endOf(
  { kind, ticker, part }: { kind: KindName; ticker: string; part: string | null },
  order: "ascending" | "descending",
  reader: QuestionContext["reader"],
): Promise<string | null> {
  const { stamp } = kindOf(kind);
  const walk = reader.columns({
    line: "page",
    ...{ kind, order, tickers: [ticker], parts: part === null ? null : [part] },
    ...{ from: null, to: null, limit: 1, columns: [stamp.name] },
  });
  let end: string | null = null;
  for await (const batch of walk) if (batch.rows > 0) end = toWire(String(cellReaders(kind, batch)[0]!(0)));
  return end;
}
