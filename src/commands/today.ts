import type { Command } from "./context.ts";
import { readToday, requireTicker } from "./params.ts";
import { answerPerTicker } from "./per-ticker.ts";
import { toAnswer } from "./rows-answer.ts";

export const getTodayDailyData: Command = {
  name: "get_today_daily_data",
  scope: "read",
  about: "The daily bar of a ticker that is dated today at the market.",
  params: ["ticker", "timezone"],
  async run({ params }, { reader, marketTimezone }) {
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    const { date } = readToday(params.timezone, marketTimezone);
    return toAnswer(
      await reader.rows({ kind: "daily", ticker, part: null, from: date, to: date }),
      "No daily data found for today",
    );
  },
};

export const getTodayVolume: Command = {
  name: "get_today_volume",
  scope: "read",
  about:
    "The volume of today's daily bar of each ticker, or without one what was traded today at the market.",
  params: ["tickers", "timezone"],
  run: ({ params }, { reader, marketTimezone }) => {
    const day = readToday(params.timezone, marketTimezone);
    return answerPerTicker({ params, member: "volumes", reader, question: "dailyVolume", day }, (ticker) =>
      reader.dailyVolume(ticker, day),
    );
  },
};
