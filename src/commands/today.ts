import { nowText } from "../market/timestamp.ts";
import type { Command } from "./context.ts";
import { requireTicker } from "./params.ts";
import { answerPerTicker } from "./per-ticker.ts";
import { toAnswer } from "./rows-answer.ts";

export const getTodayDailyData: Command = {
  name: "get_today_daily_data",
  about: "The daily bar of a ticker that is dated today (UTC).",
  async run({ params }, { reader }) {
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    const today = todayUtc();
    return toAnswer(
      await reader.rows({ kind: "daily", ticker, part: null, from: today, to: today }),
      "No daily data found for today",
    );
  },
};

export const getTodayVolume: Command = {
  name: "get_today_volume",
  about: "The volume of today's (UTC) daily bar of each ticker, or without one what was traded today.",
  run: ({ params }, { reader }) => {
    const today = todayUtc();
    return answerPerTicker({ params, member: "volumes", reader, question: "dailyVolume" }, (ticker) =>
      reader.dailyVolume(ticker, today),
    );
  },
};

function todayUtc(): string {
  return nowText().slice(0, 10);
}
