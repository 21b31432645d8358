/** One number for each ticker of a list, as JSON. */
import type { PriceQuestion, StockReader } from "../storage/contract.ts";
import { turn } from "../time/pauses.ts";
import { requireTickers } from "./params.ts";

/** How long look-ups go on without a turn for the worker's other clients, in ms. */
const TURN_MS = 10;

export interface PerTicker {
  params: Record<string, unknown>;
  /** Of the answer, that holds the map. */
  member: string;
  reader: StockReader;
  question: PriceQuestion;
}

/** @param ask one ticker's answer, where the reader doesn't answer many at once. */
export async function answerPerTicker(
  { params, member, reader, question }: PerTicker,
  ask: (ticker: string) => ReturnType<StockReader["latestPrice"]>,
): Promise<string> {
  const asked = requireTickers(params);
  const members: string[] = [];
  if (reader.prices === undefined) {
    let turnBegan = performance.now();
    for (const { key, ticker } of asked) {
      if (performance.now() - turnBegan > TURN_MS) {
        await turn();
        turnBegan = performance.now();
      }
      members.push(`${JSON.stringify(key)}:${ticker === null ? null : await ask(ticker)}`);
    }
  } else {
    const tickers = asked.flatMap(({ ticker }) => (ticker === null ? [] : [ticker]));
    const prices = tickers.length === 0 ? [] : await reader.prices(question, tickers);
    let next = 0;
    for (const { key, ticker } of asked) {
      members.push(`${JSON.stringify(key)}:${ticker === null ? null : prices[next++]}`);
    }
  }
  return `{"${member}":{${members.join(",")}}}`;
}
