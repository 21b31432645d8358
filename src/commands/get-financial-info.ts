import type { Command } from "./context.ts";
import { readBound, readLimit, requireTicker } from "./params.ts";
import { toAnswer } from "./rows-answer.ts";

const LIMIT_MAX = 10_000;
const NOTHING = "No financial info found";

export const getFinancialInfo: Command = {
  name: "get_financial_info",
  scope: "read",
  about: "The newest financial figures of a ticker, or all between two inclusive dates, oldest first.",
  params: ["ticker", "start_date", "end_date", "limit"],
  async run({ params, signal }, { reader }) {
    const ticker = requireTicker(params.ticker, "Missing 'ticker' for get_financial_info");
    const from = readBound(params, "start_date", "start", "date");
    const to = readBound(params, "end_date", "end", "date");
    const series = { kind: "financial", ticker, part: null, from, to } as const;
    const isBounded = from !== null || to !== null;
    const limit = readLimit(params.limit, isBounded ? 0 : 1, LIMIT_MAX);
    if (limit > 0) return toAnswer(await reader.newest({ ...series, limit }), NOTHING);
    return toAnswer(await reader.rows(series, signal), NOTHING);
  },
};
