/** remove_check: what a run of `stock-db-server check` leaves behind goes, its rows, updates and position. */
import { CHECK_TICKER_FORM, isCheckTicker } from "../market/check-ticker.ts";
import { badRequest } from "../protocol/errors.ts";
import type { Command } from "./context.ts";
import { requireTicker, show } from "./params.ts";

export const removeCheck: Command = {
  name: "remove_check",
  about: "Removes every trace of the ticker of a run of check.",
  async run({ params }, { removeCheck }) {
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    if (!isCheckTicker(ticker))
      throw badRequest(`ticker: got ${show(ticker)}, expected that of a check: ${CHECK_TICKER_FORM}`);
    await removeCheck(ticker);
    return JSON.stringify({ ticker, removed: true });
  },
};
