/** Reads chains of options: the newest snapshot of each contract, and what it tells. */
import { parseBound, parseCalendarDate, TimestampError } from "../market/timestamp.ts";
import { badRequest } from "../protocol/errors.ts";
import { answeredRows } from "../storage/answered-rows.ts";
import type { NewestOfPartsQuery, ValueBounds } from "../storage/contract.ts";
import { answerColumns, kindOf } from "../storage/model/kinds.ts";
import type { Command } from "./context.ts";
import { isMissing, marketDate, readBound, readLimit, requireTicker, show } from "./params.ts";
import { readReal } from "./records.ts";
import { recordsOf, toAnswer, toDataAnswer } from "./rows-answer.ts";
import { isContract, OPTION_TICKER_LENGTH_MAX, readOptionType } from "./save-options-data.ts";

const DAY_MS = 86_400_000;
const RECENT_DAYS = 7;
const CONTRACTS_MAX = 10_000;
const HISTORY_LIMIT_MAX = 10_000;
const PRICES = ["price", "bid", "ask", "day_close", "fmv"] as const;
const COLUMNS = answerColumns(kindOf("options")).map(({ name }) => name);

export const getOptionsData: Command = {
  name: "get_options_data",
  scope: "read",
  about: "The newest snapshot of each contract of a ticker that has not expired, or expires in a range.",
  params: ["ticker", "expiration_date", "start_datetime", "end_datetime", "option_tickers"],
  async run({ params, signal }, { reader, marketTimezone }) {
    const query = readChain(params, "get_options_data");
    const from = readBound(params, "start_datetime", "start", "date");
    const to = readBound(params, "end_datetime", "end", "date");
    const first = from ?? (isMissing(params.expiration_date) ? yesterday(marketTimezone) : null);
    query.where.push({ column: "expiration_date", from: first, to });
    return toDataAnswer(await reader.newestOfParts(query, signal));
  },
};

export const getLatestOptionsData: Command = {
  name: "get_latest_options_data",
  scope: "read",
  about: "The snapshot of each contract of a ticker that was saved last, of those of the last 7 days.",
  params: ["ticker", "expiration_date", "option_tickers"],
  async run({ params, signal }, { reader, marketTimezone }) {
    const query = readChain(params, "get_latest_options_data");
    query.by = "written";
    query.from = new Date(Date.now() - RECENT_DAYS * DAY_MS)
      .toISOString()
      .replace("T", " ")
      .replace("Z", "000");
    if (isMissing(params.expiration_date))
      query.where.push({ column: "expiration_date", from: yesterday(marketTimezone), to: null });
    return toDataAnswer(await reader.newestOfParts(query, signal));
  },
};

export const getOptionChain: Command = {
  name: "get_option_chain",
  scope: "read",
  about: "The chain of a ticker as of a moment: one row for each contract that had not expired then.",
  params: [
    "ticker",
    "expiration_date",
    "as_of",
    "strike_min",
    "strike_max",
    "option_type",
    "option_tickers",
    "columns",
  ],
  async run({ params, signal }, { reader, marketTimezone }) {
    const query = readOptionChain(params, marketTimezone);
    query.columns = readColumns(params.columns);
    return toDataAnswer(await reader.newestOfParts(query, signal));
  },
};

/** All but the columns. @throws RequestError 400 */
export function readOptionChain(params: Record<string, unknown>, zone: string): ChainQuery {
  const query = readChainAsOf(params, "get_option_chain", zone);
  const { strike_min: lowest, strike_max: highest, option_type: type } = params;
  const from = readReal(lowest, "strike_min", "params");
  const to = readReal(highest, "strike_max", "params");
  if (from !== null || to !== null) query.where.push({ column: "strike_price", from, to });
  if (!isMissing(type)) {
    const known = readOptionType(type);
    if (known === null) throw badRequest(`option_type: got ${show(type)}, expected "call" or "put"`);
    query.where.push({ column: "option_type", from: known, to: known });
  }
  return query;
}

export const getExpirations: Command = {
  name: "get_expirations",
  scope: "read",
  about: "The expiration dates of a ticker's options as of a moment, with how many contracts each has.",
  params: ["ticker", "as_of", "expiration_date", "option_tickers"],
  async run({ params, signal }, { reader, marketTimezone }) {
    const query = readChainAsOf(params, "get_expirations", marketTimezone);
    query.columns = ["expiration_date", "option_type"];
    const byDate = new Map<string, { contracts: number; calls: number; puts: number }>();
    for await (const rows of answeredRows(await reader.newestOfParts(query, signal))) {
      for (const { expiration_date: date, option_type: type } of rows) {
        const counts = byDate.get(String(date)) ?? { contracts: 0, calls: 0, puts: 0 };
        counts.contracts++;
        if (type === "call") counts.calls++;
        else if (type === "put") counts.puts++;
        byDate.set(String(date), counts);
      }
    }
    const data = [...byDate].sort(([a], [b]) => (a < b ? -1 : 1));
    return JSON.stringify({ data: data.map(([date, counts]) => ({ expiration_date: date, ...counts })) });
  },
};

export const getOptionPriceFeature: Command = {
  name: "get_option_price_feature",
  scope: "read",
  about: "The prices of the newest snapshot of one contract.",
  params: ["ticker", "option_ticker"],
  async run({ params }, { reader }) {
    const missing = "Missing 'ticker' or 'option_ticker' for get_option_price_feature";
    const series = readSeries(params, missing);
    const [row] = await recordsOf(await reader.newest({ ...series, from: null, to: null, limit: 1 }));
    const data = row === undefined ? null : Object.fromEntries(PRICES.map((name) => [name, row[name]]));
    return JSON.stringify({ data });
  },
};

export const getOptionHistory: Command = {
  name: "get_option_history",
  scope: "read",
  about: "The snapshots of one contract between two inclusive bounds, oldest first.",
  params: ["ticker", "option_ticker", "start_datetime", "end_datetime", "limit"],
  async run({ params, signal }, { reader }) {
    const series = readSeries(params, "Missing 'ticker' or 'option_ticker' for get_option_history");
    const from = readBound(params, "start_datetime", "start", "instant");
    const to = readBound(params, "end_datetime", "end", "instant");
    const limit = readLimit(params.limit, 0, HISTORY_LIMIT_MAX);
    const found =
      limit > 0
        ? await reader.newest({ ...series, from, to, limit })
        : await reader.rows({ ...series, from, to }, signal);
    return toAnswer(found, "No option history found");
  },
};

const DATE_LENGTH = "2024-01-02".length;
const MILLIS_LENGTH = "2024-01-02 15:00:01.000".length;

type ChainQuery = NewestOfPartsQuery & { where: ValueBounds[] };

function readChain(params: Record<string, unknown>, command: string): ChainQuery {
  const ticker = requireTicker(params.ticker, `Missing 'ticker' for ${command}`);
  const expiration = readExpiration(params.expiration_date);
  return {
    kind: "options",
    ticker,
    parts: readContracts(params.option_tickers),
    from: null,
    to: null,
    by: "stamp",
    where: expiration === null ? [] : [{ column: "expiration_date", from: expiration, to: expiration }],
    columns: null,
  };
}

/** Contracts that have expired by then are left out, unless their date is asked for. */
function readChainAsOf(params: Record<string, unknown>, command: string, zone: string): ChainQuery {
  const query = readChain(params, command);
  query.to = readMoment(params.as_of, "end");
  if (query.where.length === 0)
    query.where.push({ column: "expiration_date", from: dateOf(query.to, params.as_of, zone), to: null });
  return query;
}

/** Of the moment, at the market. A date is that date, wherever the market is. */
function dateOf(moment: string | null, asOf: unknown, zone: string): string {
  if (moment === null) return marketDate(zone, Date.now());
  if (readMoment(asOf, "start") !== moment) return moment.slice(0, DATE_LENGTH);
  return marketDate(zone, Date.parse(`${moment.slice(0, MILLIS_LENGTH).replace(" ", "T")}Z`));
}

function readMoment(value: unknown, edge: "start" | "end"): string | null {
  try {
    return parseBound(value, edge, "instant");
  } catch (error) {
    if (error instanceof TimestampError) throw badRequest(`as_of: ${error.message}`);
    throw error;
  }
}

function readExpiration(value: unknown): string | null {
  try {
    return parseCalendarDate(value);
  } catch (error) {
    if (error instanceof TimestampError) throw badRequest(`expiration_date: ${error.message}`);
    throw error;
  }
}

function readContracts(value: unknown): string[] | null {
  if (isMissing(value)) return null;
  if (Array.isArray(value) && value.length <= CONTRACTS_MAX && value.every(isContract))
    return [...new Set(value)];
  throw badRequest(
    `option_tickers: got ${show(value)}, expected a list of at most ${CONTRACTS_MAX} names of contracts, each of at most ${OPTION_TICKER_LENGTH_MAX} characters`,
  );
}

function readColumns(value: unknown): string[] | null {
  if (value === undefined || value === null) return null;
  if (Array.isArray(value) && value.length > 0 && value.every((name) => COLUMNS.includes(name))) return value;
  throw badRequest(`columns: got ${show(value)}, expected a list of some of ${COLUMNS.join(", ")}`);
}

function readSeries(params: Record<string, unknown>, missing: string) {
  const { option_ticker: contract } = params;
  if (isMissing(contract)) throw badRequest(missing);
  const ticker = requireTicker(params.ticker, missing);
  if (!isContract(contract))
    throw badRequest(
      `option_ticker: got ${show(contract)}, expected the name of a contract, at most ${OPTION_TICKER_LENGTH_MAX} characters`,
    );
  return { kind: "options", ticker, part: contract } as const;
}

/** The last prices of a contract are asked for after its last day too. */
function yesterday(zone: string): string {
  const today = Date.parse(`${marketDate(zone, Date.now())}T00:00:00Z`);
  return new Date(today - DAY_MS).toISOString().slice(0, 10);
}
