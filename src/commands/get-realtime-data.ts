import type { Command } from "./context.ts";
import { readBound, readDataType, readFlag, requireTicker } from "./params.ts";
import { toAnswer } from "./rows-answer.ts";

export const getRealtimeData: Command = {
  name: "get_realtime_data",
  about: "Reads ticks of one type between two inclusive bounds; no bound means unbounded.",
  async run({ params, signal }, { reader }) {
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    const part = readDataType(params.data_type);
    const from = readBound(params, "start_datetime", "start", "instant");
    const to = readBound(params, "end_datetime", "end", "instant");
    const withSeq = readFlag(params, "include_seq");
    const withExtra = readFlag(params, "include_extra");
    const found = reader.rows({ kind: "ticks", ticker, part, from, to, withSeq, withExtra }, signal);
    return toAnswer(found instanceof Promise ? await found : found, "No realtime data found");
  },
};
