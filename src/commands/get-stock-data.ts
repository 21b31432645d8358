import type { Command } from "./context.ts";
import { readBound, requireInterval, requireTicker } from "./params.ts";
import { toAnswer } from "./rows-answer.ts";

export const getStockData: Command = {
  name: "get_stock_data",
  about: "Reads daily or hourly bars between two inclusive bounds; no bound means unbounded.",
  async run({ params, signal }, { reader }) {
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    const interval = requireInterval(params.interval);
    const from = readBound(params, "start_date", "start", interval);
    const to = readBound(params, "end_date", "end", interval);
    const found = reader.bars({ interval, ticker, from, to }, signal);
    return toAnswer(found instanceof Promise ? await found : found, "No data found");
  },
};
