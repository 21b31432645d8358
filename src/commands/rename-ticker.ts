/** rename_ticker: see docs/delete.md. */
import { badRequest } from "../protocol/errors.ts";
import { commitEdit } from "./commit-edit.ts";
import type { Command } from "./context.ts";
import { requireTicker, show } from "./params.ts";

export const renameTicker: Command = {
  name: "rename_ticker",
  scope: "write",
  about: "Gives all rows of a ticker, of every kind, a new ticker that has none.",
  params: ["ticker", "new_ticker", "dry_run", "save_id"],
  async run(call, context) {
    const ticker = requireTicker(call.params.ticker, "Missing 'ticker'");
    const newTicker = requireTicker(call.params.new_ticker, "Missing 'new_ticker'");
    if (newTicker === ticker)
      throw badRequest(`new_ticker: got ${show(newTicker)}, expected another than ticker`);
    const message = (rows: string, done: string) => `${rows} of ${ticker} ${done} renamed to ${newTicker}.`;
    const edit = { what: "renaming" as const, ticker, newTicker };
    return commitEdit({ command: "rename_ticker", edit, counted: "renamed", message }, call, context);
  },
};
