/** Single prices: latest of one or many tickers, previous closes, today's openings and volumes. */
import { newYorkDate } from "../market/timestamp.ts";
import type { PriceQuestion, StockReader } from "../storage/contract.ts";
import type { Command } from "./context.ts";
import { requireTicker, requireTickers } from "./params.ts";

export const getLatestPrice: Command = {
  name: "get_latest_price",
  about:
    "The newest price of a ticker: of the newest date among its last quote, trade, hourly and daily bar.",
  async run({ params }, { reader }) {
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    const found = reader.latestPrice(ticker);
    const price = found instanceof Promise ? await found : found;
    return `{"ticker":${JSON.stringify(params.ticker)},"latest_price":${price}}`;
  },
};

export const getLatestPrices: Command = {
  name: "get_latest_prices",
  about: "The newest price of each ticker of a list.",
  run: ({ params }, { reader }) =>
    answerPerTicker({ params, member: "prices", reader, question: "latestPrice" }, (ticker) =>
      reader.latestPrice(ticker),
    ),
};

export const getPreviousClosePrices: Command = {
  name: "get_previous_close_prices",
  about: "The close of the second newest daily bar of each ticker; of the only one if there is one.",
  run: ({ params }, { reader }) =>
    answerPerTicker({ params, member: "prices", reader, question: "previousClose" }, (ticker) =>
      reader.previousClose(ticker),
    ),
};

export const getTodayOpeningPrices: Command = {
  name: "get_today_opening_prices",
  about: "The open of the daily bar dated today in New York, of each ticker.",
  run: ({ params }, { reader }) => {
    const today = newYorkDate(Date.now());
    return answerPerTicker({ params, member: "prices", reader, question: "openingPrice" }, (ticker) =>
      reader.openingPrice(ticker, today),
    );
  },
};

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
    for (const { key, ticker } of asked) {
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
