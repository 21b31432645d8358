import type { Command } from "./context.ts";
import { readBound, readDataType, readFlag, requireTicker } from "./params.ts";
import { toAnswer } from "./rows-answer.ts";
import { warnOfType } from "./warnings.ts";

export const getRealtimeData: Command = {
  name: "get_realtime_data",
  scope: "read",
  about: "Reads ticks of one type between two inclusive bounds; no bound means unbounded.",
  params: ["ticker", "start_datetime", "end_datetime", "data_type", "include_seq", "include_extra"],
  async run(call, { reader }) {
    const { params, signal } = call;
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    const part = readDataType(params.data_type);
    const from = readBound(params, "start_datetime", "start", "instant");
    const to = readBound(params, "end_datetime", "end", "instant");
    const withSeq = readFlag(params, "include_seq");
    const withExtra = readFlag(params, "include_extra");
    const found = reader.rows({ kind: "ticks", ticker, part, from, to, withSeq, withExtra }, signal);
    const rows = found instanceof Promise ? await found : found;
    if (rows.empty) await warnOfType(call, reader, { ticker, type: part });
    return toAnswer(rows, "No realtime data found");
  },
};
