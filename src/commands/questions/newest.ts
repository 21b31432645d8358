/** Questions of newest rows: the last trade, quote or bar of many tickers, and snapshots of all. */
import { z } from "zod";
import { type NewestSeries, newestRows, tableOfNewest } from "../../market-data/newest-rows.ts";
import { snapshotJson, snapshots } from "../../market-data/snapshots.ts";
import { findTickers } from "../../market-data/symbols.ts";
import { unknownTexts } from "../../market-data/unknown-symbols.ts";
import { badRequest } from "../../protocol/errors.ts";
import type { KindName } from "../../storage/model/kinds.ts";
import * as p from "./parameters.ts";
import { type OpenedQuestion, type QuestionContext, readSeries, readSymbols } from "./stored.ts";

/** Each is a read of its own. */
const TICKERS_MAX = 2_000;
const SNAPSHOT_TICKERS_MAX = 500;

export const LATEST_PARAMETERS = z.object({
  symbols: p.symbols.optional(),
  symbol: p.symbol.optional(),
  of: p.choice(["trades", "quotes", "bars"], "What the newest row is wanted of. Default: trades.").optional(),
  timeframe: p.timeframe.optional(),
  tz: p.tz.optional(),
});

export const SNAPSHOT_PARAMETERS = LATEST_PARAMETERS.omit({ of: true, timeframe: true });

type LatestParameters = z.output<typeof LATEST_PARAMETERS>;

export async function openLatest(
  asked: LatestParameters,
  { reader: source }: QuestionContext,
): Promise<OpenedQuestion> {
  const { of: table = "trades", timeframe, tz = "UTC" } = asked;
  if (timeframe !== undefined && table !== "bars")
    throw badRequest(`timeframe: got it for ${table}, expected it only with of=bars`);
  const series = seriesOf(table, timeframe ?? "1Day");
  const { tickers, named } = await tickersOf(asked, series.kind, TICKERS_MAX, source);
  const rows = await newestRows(series, tickers, tz, source);
  const isFound = new Map(tickers.map((ticker, at) => [ticker, rows.isFound[at]!]));
  const unknown = named.filter((ticker) => !isFound.get(ticker));
  const answer = { ...tableOfNewest(rows), warnings: () => unknownTexts(unknown, series.label) };
  return { table, answer, isPage: true, isSingle: true, unknown: null };
}

export async function openSnapshots(
  asked: z.output<typeof SNAPSHOT_PARAMETERS>,
  { reader: source }: QuestionContext,
): Promise<OpenedQuestion> {
  const found = [];
  for (const kind of ["ticks", "daily"] as const)
    found.push(await tickersOf(asked, kind, SNAPSHOT_TICKERS_MAX, source));
  const tickers = [...new Set(found.flatMap((each) => each.tickers))].sort();
  const { answer, missing } = await snapshots(tickers, asked.tz ?? "UTC", source);
  const unknown = found[0]!.named.filter((ticker) => missing.has(ticker));
  return {
    table: "snapshots",
    answer: { ...answer, warnings: () => unknownTexts(unknown, "trades, quotes and bars") },
    ...{ isPage: true, json: snapshotJson, unknown: null },
  };
}

async function tickersOf(
  asked: Pick<LatestParameters, "symbol" | "symbols">,
  kind: KindName,
  max: number,
  source: QuestionContext["reader"],
): Promise<{ tickers: string[]; named: readonly string[] }> {
  const { tickers, named } = await findTickers(readSymbols(asked), kind, source);
  if (tickers.length > max)
    throw badRequest(`symbols: got ${tickers.length} tickers, expected at most ${max} here`);
  return { tickers: tickers.sort(), named };
}

function seriesOf(table: "trades" | "quotes" | "bars", timeframe: string): NewestSeries & { label: string } {
  if (table === "bars") return { table, ...readSeries(timeframe), back: 0, label: `bars of ${timeframe}` };
  return { table, kind: "ticks", part: table === "trades" ? "trade" : "quote", back: 0, label: table };
}
