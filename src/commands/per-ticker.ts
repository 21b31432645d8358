import type { MarketDay } from "../market/market-day.ts";
import type { PriceQuestion, StockReader } from "../storage/contract.ts";
import { turn } from "../time/pauses.ts";
import { requireTickers } from "./params.ts";

/** Milliseconds of look-ups between two turns for the worker's other clients. */
const TURN_MS = 10;

export interface PerTicker {
  params: Record<string, unknown>;
  /** The answer's member with the map. */
  member: string;
  reader: StockReader;
  question: PriceQuestion;
  /** Of opening prices and volumes; null for other questions. */
  day: MarketDay | null;
}

/** @param ask Answers for one ticker, for a reader that can't answer many at once. */
export async function answerPerTicker(
  { params, member, reader, question, day }: PerTicker,
  ask: (ticker: string) => ReturnType<StockReader["latestPrice"]>,
): Promise<string> {
  const tickers = requireTickers(params);
  const members: string[] = [];
  if (reader.prices === undefined) {
    let turnBegan = performance.now();
    for (const { key, ticker } of tickers) {
      if (performance.now() - turnBegan > TURN_MS) {
        await turn();
        turnBegan = performance.now();
      }
      members.push(`${JSON.stringify(key)}:${ticker === null ? null : await ask(ticker)}`);
    }
  } else {
    const known = tickers.flatMap(({ ticker }) => (ticker === null ? [] : [ticker]));
    const prices = known.length === 0 ? [] : await reader.prices(question, known, day);
    let next = 0;
    for (const { key, ticker } of tickers) {
      members.push(`${JSON.stringify(key)}:${ticker === null ? null : prices[next++]}`);
    }
  }
  return `{"${member}":{${members.join(",")}}}`;
}
