import { stringifyExact } from "../protocol/json.ts";
import type { Command } from "./context.ts";
import { readToday, requireTicker } from "./params.ts";
import { answerPerTicker } from "./per-ticker.ts";

export const getLatestPrice: Command = {
  name: "get_latest_price",
  scope: "read",
  about:
    "The newest price of a ticker: of the newest date among its last quote, trade, hourly and daily bar, and there the newest by time.",
  params: ["ticker"],
  tolerated: ["use_market_time"],
  async run({ params }, { reader }) {
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    const found = reader.latestPrice(ticker);
    const price = found instanceof Promise ? await found : found;
    return `{"ticker":${stringifyExact(params.ticker)},"latest_price":${price}}`;
  },
};

export const getLatestPrices: Command = {
  name: "get_latest_prices",
  scope: "read",
  about: "The newest price of each ticker of a list.",
  params: ["tickers"],
  tolerated: ["use_market_time"],
  run: ({ params }, { reader }) =>
    answerPerTicker({ params, member: "prices", reader, question: "latestPrice", day: null }, (ticker) =>
      reader.latestPrice(ticker),
    ),
};

export const getPreviousClosePrices: Command = {
  name: "get_previous_close_prices",
  scope: "read",
  about: "The close of the second newest daily bar of each ticker; of the only one if there is one.",
  params: ["tickers"],
  tolerated: ["use_market_time"],
  run: ({ params }, { reader }) =>
    answerPerTicker({ params, member: "prices", reader, question: "previousClose", day: null }, (ticker) =>
      reader.previousClose(ticker),
    ),
};

export const getTodayOpeningPrices: Command = {
  name: "get_today_opening_prices",
  scope: "read",
  about: "The open of the daily bar dated today at the market, of each ticker.",
  params: ["tickers", "timezone"],
  tolerated: ["use_market_time"],
  run: ({ params }, { reader, marketTimezone }) => {
    const day = readToday(params.timezone, marketTimezone);
    return answerPerTicker({ params, member: "prices", reader, question: "openingPrice", day }, (ticker) =>
      reader.openingPrice(ticker, day),
    );
  },
};
