/** Reads the query of a replay's URL. */
import { microsOfStamp } from "../market/stamp-micros.ts";
import { TYPE_LENGTH_MAX } from "../market/tick-names.ts";
import { TICKER_LENGTH_MAX } from "../market/ticker.ts";
import { nowText, parseBound, TimestampError } from "../market/timestamp.ts";
import { badRequest } from "../protocol/errors.ts";
import { namesIn } from "../protocol/name-list.ts";
import { REPLAY_SERIES_MAX } from "./history-frames.ts";

export interface ReplayQuery {
  symbols: string[];
  types: string[];
  /** Microseconds since 1970, inclusive. */
  fromMicros: number;
  /** The same if a start was asked for, else null. */
  startMicros: number | null;
  toMicros: number;
  /** Infinity: as fast as the client reads. */
  speed: number;
  gapMicrosMax: number;
  /** False: frames as writers send them. */
  isNormalized: boolean;
}

const DEFAULT_TYPES = ["quote", "trade"];
/**
 * Before and after every stamp that is likely, and exact in a double, as microseconds have to be
 * for the next one to be another.
 */
const FIRST_STAMP = "1700-01-01 00:00:00.000000";
const LAST_STAMP = "2255-01-01 00:00:00.000000";
const SHOWN_LENGTH_MAX = 60;

/**
 * Ignores unknown parameters: those of a live subscription may still be there.
 *
 * @throws RequestError 400 naming the parameter, its value and what was expected.
 */
export function readReplayQuery(query: URLSearchParams): ReplayQuery {
  const symbols = [...new Set([...query.getAll("symbol"), ...listOf(query, "symbols")])].filter(
    (symbol) => symbol !== "",
  );
  if (symbols.length === 0)
    throw badRequest("replay: expected symbol=, or symbols= with several separated by commas");
  for (const symbol of symbols) {
    if (symbol === "*") throw badRequest('replay: symbols: got "*", expected the names of tickers');
    if (symbol.length > TICKER_LENGTH_MAX || !symbol.isWellFormed())
      throw badRequest(
        `replay: symbol: got ${shown(symbol)}, expected at most ${TICKER_LENGTH_MAX} characters`,
      );
  }
  const types = [...new Set(query.has("types") ? listOf(query, "types") : DEFAULT_TYPES)];
  if (types.length === 0 || types.includes("*"))
    throw badRequest(
      `replay: types: got ${shown(query.get("types")!)}, expected types such as quote,trade,bar`,
    );
  const long = types.find((type) => type.length > TYPE_LENGTH_MAX);
  if (long !== undefined)
    throw badRequest(`replay: types: got ${shown(long)}, expected at most ${TYPE_LENGTH_MAX} characters`);
  // Bars are daily and hourly at least.
  const series = symbols.length * (types.length + (types.includes("bar") ? 1 : 0));
  if (series > REPLAY_SERIES_MAX) {
    throw badRequest(
      `replay: got ${symbols.length} symbols of ${types.length} types, expected at most ${REPLAY_SERIES_MAX} of both multiplied`,
    );
  }
  const start = readBound(query, "start");
  const end = readBound(query, "end");
  const from = start === null || start < FIRST_STAMP ? FIRST_STAMP : start;
  const to = end === null ? nowText() : end < LAST_STAMP ? end : LAST_STAMP;
  if (from > to) {
    throw badRequest(
      end !== null && end < FIRST_STAMP
        ? `replay: end: got ${shown(query.get("end")!)}, expected a time after ${FIRST_STAMP}`
        : `replay: start: got ${shown(query.get("start")!)}, expected a time before the end, ${to}`,
    );
  }
  return {
    symbols,
    types,
    fromMicros: microsOfStamp(from),
    startMicros: start === null ? null : microsOfStamp(from),
    toMicros: microsOfStamp(to),
    speed: readSpeed(query.get("speed") ?? "1"),
    gapMicrosMax: readGap(query.get("max_gap")),
    isNormalized: readFrames(query.get("frames")),
  };
}

/** @returns null unless it is a number above 0, or "max", which becomes Infinity. */
export function parseSpeed(text: string): number | null {
  if (text === "max") return Number.POSITIVE_INFINITY;
  const speed = text.trim() === "" ? Number.NaN : Number(text);
  return speed > 0 && Number.isFinite(speed) ? speed : null;
}

function readSpeed(text: string): number {
  const speed = parseSpeed(text);
  if (speed === null)
    throw badRequest(`replay: speed: got ${shown(text)}, expected a number above 0, or max`);
  return speed;
}

function readGap(text: string | null): number {
  if (text === null) return Number.POSITIVE_INFINITY;
  const seconds = text.trim() === "" ? Number.NaN : Number(text);
  if (!(seconds >= 0)) throw badRequest(`replay: max_gap: got ${shown(text)}, expected seconds from 0`);
  return seconds * 1e6;
}

function readFrames(text: string | null): boolean {
  if (text === null || text === "sent") return false;
  if (text === "normalized") return true;
  throw badRequest(`replay: frames: got ${shown(text)}, expected sent or normalized`);
}

function readBound(query: URLSearchParams, name: "start" | "end"): string | null {
  const text = query.get(name);
  if (text === null) return null;
  try {
    return parseBound(text, name, "instant");
  } catch (error) {
    if (error instanceof TimestampError) throw badRequest(`replay: ${name}: ${error.message}`);
    throw error;
  }
}

function listOf(query: URLSearchParams, name: string): string[] {
  return query.getAll(name).flatMap((list) => namesIn(list).filter((item) => item !== ""));
}

function shown(text: string): string {
  return JSON.stringify(text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text);
}
