/**
 * Bars before the first one that is asked for: figures need them, and so does what is filled in at
 * the beginning. How far back they lie isn't known, as nobody trades all the time. So windows of
 * growing length are read, at last everything, for tickers that have too few.
 */
import { BarMaker, nothingLeftOut } from "./bar-maker.ts";
import type { DerivedBarsQuestion, SourceOfTickers } from "./derived-questions.ts";
import { longestBucket } from "./label-bounds.ts";
import type { MarketSource } from "./questions.ts";
import { SeriesFigures } from "./series-figures.ts";

/** The first window is so many times as long as its bars would be without a pause. */
const FIRST_WINDOW = 1.5;
const WIDER_BY = 8;
const WINDOWS_MAX = 5;

/** Bars of a ticker that must be known before the first one. */
export function barsBefore({ indicators, fill }: DerivedBarsQuestion): number {
  const back = Math.max(0, ...indicators.map(({ barsBack }) => barsBack));
  return Math.max(back, fill === "previous" || fill === "linear" ? 1 : 0);
}

/**
 * @param from the first label of the answer.
 * @returns of each ticker that has bars before it, what follows from them.
 */
export async function warmUp(
  question: DerivedBarsQuestion,
  { source, tickers }: SourceOfTickers,
  from: number,
  market: MarketSource,
): Promise<Map<string, SeriesFigures>> {
  const warm = new Map<string, SeriesFigures>();
  const wanted = barsBefore(question);
  if (wanted === 0) return warm;
  let cold = [...tickers];
  let span = Math.ceil(wanted * longestBucket(question.timeframe) * FIRST_WINDOW);
  for (let window = 0; window <= WINDOWS_MAX && cold.length > 0; window++) {
    const labels = { from: window === WINDOWS_MAX ? null : from - span, to: from - 1 };
    const maker = new BarMaker(question, market, nothingLeftOut());
    for await (const { ticker, builder } of maker.closed({ source, tickers: cold, labels })) {
      if (!warm.has(ticker)) warm.set(ticker, new SeriesFigures(question, source, null));
      warm.get(ticker)!.takeBetween(builder, labels.from, from);
    }
    cold = window === WINDOWS_MAX ? [] : cold.filter((ticker) => (warm.get(ticker)?.bars ?? 0) < wanted);
    for (const ticker of cold) warm.delete(ticker);
    span *= WIDER_BY;
  }
  return warm;
}
