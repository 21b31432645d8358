/** get_latest_data and get_historical_data: the newest rows of a ticker. */

import type { StampType } from "../market/timestamp.ts";
import { badRequest } from "../protocol/errors.ts";
import { type JsonRecord, stringifyExact } from "../protocol/json.ts";
import type { JsonRows, NewestQuery } from "../storage/contract.ts";
import { KINDS } from "../storage/model/kinds.ts";
import type { Command } from "./context.ts";
import { adjustedBars, readAdjustment } from "./get-stock-data.ts";
import { readBound, readDataType, readFlag, requireInterval, requireTicker, show } from "./params.ts";
import { recordsOf, toAnswer } from "./rows-answer.ts";
import { warnOfType, warnOfWord } from "./warnings.ts";

/** One answer is read and encoded in one go. */
const LIMIT_MAX = 10_000;
const NO_HISTORY = "No historical data found";

export const getLatestData: Command = {
  name: "get_latest_data",
  scope: "read",
  about: "The newest ticks of a ticker, quotes and trades together or one of them, newest first.",
  params: ["ticker", "data_type", "limit"],
  async run({ params, addWarning }, { reader }) {
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    const requested = readDataType(params.data_type ?? "both");
    const limit = readRowLimit(params.limit, 10);
    const types =
      requested === "both" ? ["quote", "trade"] : [requested].filter((type) => Object.hasOwn(SHAPES, type));
    if (types.length === 0) warnOfWord(addWarning, ticker, requested, ["both", ...Object.keys(SHAPES)]);
    const rows: JsonRecord[] = [];
    for (const type of limit === 0 ? [] : types)
      rows.push(
        ...(
          await recordsOf(
            await reader.newest({ kind: "ticks", ticker, part: type, from: null, to: null, limit }),
          )
        ).reverse(),
      );
    // Quotes come before trades of one moment. The sort keeps the order within a type.
    rows.sort((a, b) =>
      String(a.timestamp) > String(b.timestamp) ? -1 : a.timestamp === b.timestamp ? 0 : 1,
    );
    return stringifyExact({
      data: rows.slice(0, limit).map((row) => SHAPES[row.type as keyof typeof SHAPES](row)),
    });
  },
};

export const getHistoricalData: Command = {
  name: "get_historical_data",
  scope: "read",
  about: "The last n ticks of a type, or bars, of a range, oldest first.",
  params: [
    ...["ticker", "data_type", "interval", "start_date", "end_date", "limit"],
    ...["adjustment", "adjust_to", "include_extra"],
  ],
  async run(call, { reader, marketTimezone }) {
    const { params } = call;
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    const type = readDataType(params.data_type ?? "trade");
    const { kind, part } = seriesOf(type, params.interval);
    const limit = readRowLimit(params.limit, 100);
    const form = KINDS[kind].stamp.type;
    const from = readBound(params, "start_date", "start", form);
    const to = readBound(params, "end_date", "end", form);
    const adjustment = readAdjustment(params, marketTimezone);
    if (adjustment !== null && kind === "ticks")
      throw badRequest(`adjustment: only bars are adjusted, got the data_type ${show(type)}`);
    if (limit === 0) return toAnswer({ empty: true }, NO_HISTORY);
    const withExtra = readFlag(params, "include_extra");
    const rows = await reader.newest({ kind, ticker, part, from, to, limit, withExtra });
    if (adjustment !== null && !rows.empty) {
      const range = {
        kind,
        ticker,
        part,
        ...(await boundsOf(rows, form, KINDS[kind].stamp.name)),
        withExtra,
      };
      return adjustedBars(range, adjustment, NO_HISTORY, reader, call.signal);
    }
    if (rows.empty && kind === "ticks")
      await warnOfType(call, reader, { ticker, type, others: ["daily", "hourly"] });
    return toAnswer(rows, NO_HISTORY);
  },
};

/** Of the first and the last row. */
async function boundsOf(rows: JsonRows, form: StampType, stamp: string) {
  const records = await recordsOf(rows);
  return {
    from: readBound(records[0]!, stamp, "start", form),
    to: readBound(records.at(-1)!, stamp, "start", form),
  };
}

/** Clients find a quote's bid in price and size; its own members have always been null. */
const SHAPES = {
  quote: ({ type, timestamp, price, size, ask_price, ask_size }: JsonRecord) => {
    return { type, timestamp, price, size, ask_price, ask_size, bid_price: null, bid_size: null };
  },
  trade: ({ type, timestamp, price, size }: JsonRecord) => ({ type, timestamp, price, size, volume: size }),
};

/** `interval` asks for bars, and counts before the type. */
function seriesOf(type: string, interval: unknown): Pick<NewestQuery, "kind" | "part"> {
  if (interval !== undefined && interval !== null) return requireInterval(interval);
  return type === "daily" || type === "hourly" ? { kind: type, part: null } : { kind: "ticks", part: type };
}

/** Ignores the sign: clients have always been able to ask for the last two with -2. */
function readRowLimit(value: unknown, fallback: number): number {
  if (value === undefined || value === null) return fallback;
  if (typeof value === "number" && Number.isInteger(value) && Math.abs(value) <= LIMIT_MAX)
    return Math.abs(value);
  throw badRequest(`limit: got ${show(value)}, expected a whole number up to ${LIMIT_MAX}`);
}
