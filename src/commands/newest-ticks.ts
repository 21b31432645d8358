/** get_latest_data and get_historical_data: the newest rows of a ticker. */
import { badRequest } from "../protocol/errors.ts";
import { parseExactIntegers } from "../protocol/exact-integers.ts";
import { type JsonRecord, stringifyExact } from "../protocol/json.ts";
import type { JsonRows, NewestQuery } from "../storage/contract.ts";
import { KINDS } from "../storage/model/kinds.ts";
import type { Command } from "./context.ts";
import { readBound, readDataType, readFlag, requireInterval, requireTicker, show } from "./params.ts";
import { toAnswer } from "./rows-answer.ts";

/** One answer is read and encoded in one go. */
const LIMIT_MAX = 10_000;
const NO_HISTORY = "No historical data found";

export const getLatestData: Command = {
  name: "get_latest_data",
  about: "The newest ticks of a ticker, quotes and trades together or one of them, newest first.",
  async run({ params }, { reader }) {
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    const requested = readDataType(params.data_type ?? "both");
    const limit = readRowLimit(params.limit, 10);
    const types =
      requested === "both" ? ["quote", "trade"] : [requested].filter((type) => Object.hasOwn(SHAPES, type));
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
  about: "The last n ticks of a type, or bars, of a range, oldest first.",
  async run({ params }, { reader }) {
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    const type = readDataType(params.data_type ?? "trade");
    const { kind, part } = seriesOf(type, params.interval);
    const limit = readRowLimit(params.limit, 100);
    const form = KINDS[kind].stamp.type;
    const from = readBound(params, "start_date", "start", form);
    const to = readBound(params, "end_date", "end", form);
    if (limit === 0) return toAnswer({ empty: true }, NO_HISTORY);
    const withExtra = readFlag(params, "include_extra");
    return toAnswer(await reader.newest({ kind, ticker, part, from, to, limit, withExtra }), NO_HISTORY);
  },
};

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

async function recordsOf(rows: JsonRows): Promise<JsonRecord[]> {
  if (rows.empty) return [];
  let text = "";
  if ("text" in rows) text = rows.text;
  else {
    const decoder = new TextDecoder();
    for await (const chunk of rows.chunks)
      text += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
  }
  const { data } = parseExactIntegers(text) as { data: JsonRecord[] };
  return data;
}
