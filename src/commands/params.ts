/** Reads single parameters, with the error texts that clients of the Python server know. */
import { INTERVAL_EXPECTED, parseInterval } from "../market/interval.ts";
import { type MarketDay, marketClock } from "../market/market-day.ts";
import { TYPE_LENGTH_MAX } from "../market/tick-names.ts";
import { readTicker, TickerError } from "../market/ticker.ts";
import { parseBound, type StampType, TimestampError } from "../market/timestamp.ts";
import { badRequest } from "../protocol/errors.ts";
import { stringifyExact } from "../protocol/json.ts";

const TICKERS_MAX = 10_000;
/** Characters of an epoch; the server's own have 36. */
const EPOCH_LENGTH_MAX = 128;
/** Bounds a value in an error message: characters or members, and levels. */
const SHOWN_LENGTH_MAX = 100;
const SHOWN_DEPTH_MAX = 4;

export function isMissing(value: unknown): boolean {
  return (
    value === undefined ||
    value === null ||
    value === "" ||
    value === 0 ||
    value === false ||
    (Array.isArray(value) && value.length === 0) ||
    (typeof value === "object" && !Array.isArray(value) && Object.keys(value).length === 0)
  );
}

/** @throws RequestError 400 with `missing` when absent, or with a value that can't be a ticker. */
export function requireTicker(value: unknown, missing: string): string {
  if (typeof value === "string" && value !== "" && value.length <= 64) return checkText(value);
  const ticker = toTicker(value, "ticker");
  if (ticker === null) throw badRequest(missing);
  return checkText(ticker);
}

function toTicker(value: unknown, name: string): string | null {
  try {
    return readTicker(value);
  } catch (error) {
    if (error instanceof TickerError) throw badRequest(`${name}: ${error.message}`);
    throw error;
  }
}

function checkText(ticker: string): string {
  if (!ticker.isWellFormed())
    throw badRequest(`ticker: got ${show(ticker)}, expected text without lone surrogates`);
  return ticker;
}

/** @returns each ticker once, in order. `key` is its key in the answer's map. */
export function requireTickers(params: Record<string, unknown>): { key: string; ticker: string | null }[] {
  const { tickers } = params;
  if (!Array.isArray(tickers) || tickers.length === 0) {
    throw badRequest("Missing or invalid 'tickers' parameter (must be a list)");
  }
  if (tickers.length > TICKERS_MAX) {
    throw badRequest(`tickers: got ${tickers.length}, expected at most ${TICKERS_MAX}`);
  }
  const byKey = new Map<string, string | null>();
  for (const value of tickers) {
    const ticker = toTicker(value, "tickers");
    byKey.set(String(value), ticker);
  }
  return [...byKey].map(([key, ticker]) => ({ key, ticker }));
}

/**
 * The kind of bars and, for another length than a day or an hour, its name.
 *
 * @throws RequestError 400
 */
export function requireInterval(value: unknown): {
  kind: "daily" | "hourly" | "interval";
  part: string | null;
} {
  const length = value === undefined ? "daily" : typeof value === "string" ? parseInterval(value) : null;
  if (length === null) throw badRequest(`interval: got ${show(value)}, expected ${INTERVAL_EXPECTED}`);
  return length === "daily" || length === "hourly"
    ? { kind: length, part: null }
    : { kind: "interval", part: length };
}

export function readDataType(value: unknown): string {
  if (value === undefined) return "quote";
  if (typeof value === "string" && value.isWellFormed()) return checkTypeLength(value);
  if (["number", "bigint", "boolean"].includes(typeof value)) return String(value);
  throw badRequest(`data_type: got ${show(value)}, expected text such as "quote" or "trade"`);
}

function checkTypeLength(type: string): string {
  if (type.length <= TYPE_LENGTH_MAX) return type;
  throw badRequest(
    `data_type: got ${show(type)}, expected at most ${TYPE_LENGTH_MAX} characters, got ${type.length}`,
  );
}

/** @throws RequestError 400 */
export function readEpoch(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "string" && value.length <= EPOCH_LENGTH_MAX) return value;
  throw badRequest(
    `epoch: got ${show(value)}, expected text of at most ${EPOCH_LENGTH_MAX} characters, or null`,
  );
}

/** @param max A larger limit is an error. */
export function readLimit(value: unknown, fallback: number, max: number): number {
  if (value === undefined || value === null) return fallback;
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw badRequest(`limit: got ${show(value)}, expected a whole number from 1 to ${max}`);
}

/** Today at a market. @param fallback of --market-timezone. @throws RequestError 400 */
export function readToday(timezone: unknown, fallback: string): MarketDay {
  const zone = timezone ?? fallback;
  const clock = typeof zone === "string" ? marketClock(zone) : null;
  if (clock !== null) return clock.dayAt(Date.now());
  throw badRequest(`timezone: got ${show(zone)}, expected an IANA time zone such as "America/New_York"`);
}

/** The date at a market. @param zone of --market-timezone. */
export function marketDate(zone: string, epochMs: number): string {
  return marketClock(zone)!.dayAt(epochMs).date;
}

export function readBound(
  params: Record<string, unknown>,
  name: string,
  edge: "start" | "end",
  form: StampType,
): string | null {
  try {
    return parseBound(params[name], edge, form);
  } catch (error) {
    if (error instanceof TimestampError) throw badRequest(`${name}: ${error.message}`);
    throw error;
  }
}

/** A short form for error messages. JSON shows the type. */
export function show(value: unknown): string {
  const text = value === undefined ? "undefined" : stringifyExact(shortened(value, SHOWN_DEPTH_MAX));
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text;
}

/** Cuts before encoding: a value may be nested deeper than the stack. */
function shortened(value: unknown, depth: number): unknown {
  if (typeof value === "string") return value.slice(0, SHOWN_LENGTH_MAX);
  if (typeof value !== "object" || value === null) return value;
  if (depth === 0) return "…";
  if (Array.isArray(value)) {
    return value.slice(0, SHOWN_LENGTH_MAX).map((item) => shortened(item, depth - 1));
  }
  const members = Object.entries(value).slice(0, SHOWN_LENGTH_MAX);
  return Object.fromEntries(members.map(([name, member]) => [name, shortened(member, depth - 1)]));
}

/** @throws RequestError 400 */
export function readFlag(params: Record<string, unknown>, name: string, fallback = false): boolean {
  const value = params[name] ?? fallback;
  if (typeof value === "boolean") return value;
  throw badRequest(`${name}: got ${show(value)}, expected true or false`);
}
