import { KINDS } from "../storage/model/kinds.ts";
import type { Command } from "./context.ts";
import { readBound, readFlag, requireInterval, requireTicker } from "./params.ts";
import { toAnswer } from "./rows-answer.ts";

export const getStockData: Command = {
  name: "get_stock_data",
  about: "Reads bars of one length between two inclusive bounds; no bound means unbounded.",
  params: ["ticker", "start_date", "end_date", "interval", "include_extra"],
  async run({ params, signal }, { reader }) {
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    const { kind, part } = requireInterval(params.interval);
    const form = KINDS[kind].stamp.type;
    const from = readBound(params, "start_date", "start", form);
    const to = readBound(params, "end_date", "end", form);
    const withExtra = readFlag(params, "include_extra");
    const found = reader.rows({ kind, ticker, part, from, to, withExtra }, signal);
    return toAnswer(found instanceof Promise ? await found : found, "No data found");
  },
};
