import { KINDS } from "../storage/model/kinds.ts";
import type { Command } from "./context.ts";
import { readBound, readFlag, requireTicker } from "./params.ts";
import { toAnswer } from "./rows-answer.ts";

export const getCorporateActions: Command = {
  name: "get_corporate_actions",
  scope: "read",
  about: "Reads splits, dividends, spin-offs and changes of the symbol of a ticker, by ex-date.",
  params: ["ticker", "start_date", "end_date", "include_seq"],
  async run({ params, signal }, { reader }) {
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    const form = KINDS.actions.stamp.type;
    const from = readBound(params, "start_date", "start", form);
    const to = readBound(params, "end_date", "end", form);
    // With it, what was read can be saved again as it is.
    const withSeq = readFlag(params, "include_seq", true);
    const found = reader.rows({ kind: "actions", ticker, part: null, from, to, withSeq }, signal);
    return toAnswer(await found, "No corporate actions found");
  },
};
