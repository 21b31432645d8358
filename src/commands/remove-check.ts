/**
 * remove_check removes the rows, updates and position that a run of `stock-db-server check` left,
 * and those of killed runs, which couldn't ask for it.
 */
import { CHECK_TICKER_FORM, isCheckTicker } from "../market/check-ticker.ts";
import { badRequest } from "../protocol/errors.ts";
import type { UpdateReader } from "../storage/update-contract.ts";
import type { Command } from "./context.ts";
import { requireTicker, show } from "./params.ts";

/** Longer than any run lives after its save. */
const LEFT_BEHIND_MS = 600_000;
/** Tickers of killed runs to remove at once. */
const LEFT_BEHIND_MAX = 100;

export const removeCheck: Command = {
  name: "remove_check",
  scope: "write",
  about: "Removes every trace of the ticker of a run of check.",
  params: ["ticker"],
  async run({ params }, { removeCheck, reader: { updates } }) {
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    if (!isCheckTicker(ticker))
      throw badRequest(`ticker: got ${show(ticker)}, expected that of a check: ${CHECK_TICKER_FORM}`);
    await removeCheck(ticker);
    for (const left of await leftBehind(updates)) await removeCheck(left);
    return JSON.stringify({ ticker, removed: true });
  },
};

async function leftBehind(updates: UpdateReader): Promise<string[]> {
  const found: string[] = [];
  for (const ticker of (await updates.positions(null)).keys()) {
    if (!isCheckTicker(ticker)) continue;
    const { savedAtMs } = await updates.newest(ticker);
    if (savedAtMs !== null && Date.now() - savedAtMs > LEFT_BEHIND_MS) found.push(ticker);
    if (found.length === LEFT_BEHIND_MAX) break;
  }
  return found;
}
