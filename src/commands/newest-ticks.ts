/** get_latest_data and get_historical_data: the newest ticks of a ticker, in order of time. */
import { badRequest } from "../protocol/errors.ts";
import type { Command } from "./context.ts";
import { readDataType, readLimit, requireTicker, show } from "./params.ts";
import { toAnswer } from "./rows-answer.ts";

/** Rows of one answer: they are read and encoded in one go. */
const LIMIT_MAX = 10_000;
const NOTHING = "No data found";

export const getLatestData: Command = {
  name: "get_latest_data",
  about: "The newest ticks of a ticker, quotes and trades together or one of them.",
  async run({ params }, { reader }) {
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    const asked = params.data_type ?? "both";
    if (asked !== "both" && asked !== "quote" && asked !== "trade") {
      throw badRequest(`data_type: got ${show(asked)}, expected "both", "quote" or "trade"`);
    }
    const limit = readLimit(params.limit, 10, LIMIT_MAX);
    return toAnswer(
      await reader.newestTicks({ ticker, type: asked === "both" ? null : asked, limit }),
      NOTHING,
    );
  },
};

export const getHistoricalData: Command = {
  name: "get_historical_data",
  about: "The last n ticks of a type, oldest first.",
  async run({ params }, { reader }) {
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    const type = readDataType(params.data_type ?? "trade");
    const limit = readLimit(params.limit, 100, LIMIT_MAX);
    return toAnswer(await reader.newestTicks({ ticker, type, limit }), NOTHING);
  },
};
