/** Parameters of Polygon's market data API over HTTP, as this server understands them. */
import { show } from "../commands/params.ts";
import { dateAt, startOfDate } from "../market/session-date.ts";
import { microsOfStamp, stampOfMicros } from "../market/stamp-micros.ts";
import { readTicker, TickerError } from "../market/ticker.ts";
import { parseTimestamp, TimestampError } from "../market/timestamp.ts";
import { badRequest } from "../protocol/errors.ts";

/** Rows of a page at most. */
export const LIMIT_MAX = 50_000;

const DATE = /^\d{4}-\d\d-\d\d$/;
const INTEGER = /^\d{1,20}$/;
const DAY_MICROS = 86_400_000_000;
/** The years 1678 to 2261: what nanoseconds in 64 bits can say. */
const MICROS_MAX = Number(2n ** 63n / 1_000n);
const STAMP_EXPECTED = "a date such as 2024-01-02, or nanoseconds since 1970";

export type Query = Readonly<Record<string, string>>;

/** @param names of the parameters that there are. @throws RequestError 400 */
export function readQuery(query: URLSearchParams, names: readonly string[]): Query {
  const read: Record<string, string> = Object.create(null);
  for (const [name, value] of query) {
    if (!names.includes(name))
      throw badRequest(
        `${show(name)} is no parameter here, expected ${names.length === 0 ? "none" : names.join(", ")}`,
      );
    if (name in read) throw badRequest(`${name}: got it twice, expected it once`);
    // Some clients send what wasn't set.
    if (value !== "") read[name] = value;
  }
  return read;
}

/** @throws RequestError 400 */
export function checkTicker(ticker: string): void {
  try {
    readTicker(ticker);
  } catch (error) {
    if (error instanceof TickerError) throw badRequest(`ticker: ${error.message}`);
    throw error;
  }
}

/** @throws RequestError 400 */
export function readLimit({ limit }: Query, usual: number): number {
  if (limit === undefined) return usual;
  const rows = /^\d{1,9}$/.test(limit) ? Number(limit) : 0;
  if (rows >= 1 && rows <= LIMIT_MAX) return rows;
  throw badRequest(`limit: got ${show(limit)}, expected a whole number from 1 to ${LIMIT_MAX}`);
}

/** @throws RequestError 400 */
export function readChoice<const T extends string>(
  query: Query,
  name: string,
  choices: readonly T[],
  usual: NoInfer<T>,
): T {
  const value = query[name];
  if (value === undefined) return usual;
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw badRequest(`${name}: got ${show(value)}, expected ${choices.join(" or ")}`);
}

/** Splits are made good unless it is false, as with Polygon. @throws RequestError 400 */
export function readAdjusted(query: Query): boolean {
  return readChoice(query, "adjusted", ["true", "false"], "true") === "true";
}

/** Both inclusive. */
export interface Micros {
  from: number | null;
  to: number | null;
}

/**
 * `timestamp`, and its bounds. A date is the whole day at the exchange.
 *
 * @throws RequestError 400
 */
export function readTimestamps(query: Query, zone: string): Micros {
  const range: { from: number; to: number } = { from: -MICROS_MAX, to: MICROS_MAX };
  const narrow = (from: number, to: number): void => {
    range.from = Math.max(range.from, from);
    range.to = Math.min(range.to, to);
  };
  for (const [name, bound] of TIMESTAMPS) {
    const value = query[name];
    if (value === undefined) continue;
    const { first, last, isWhole } = readMoment(name, value, zone);
    // Between two microseconds nothing is stored: the bound is the one before it.
    if (bound === "is") narrow(isWhole ? first : first + 1, last);
    else if (bound === "gte") narrow(isWhole ? first : first + 1, MICROS_MAX);
    else if (bound === "gt") narrow(last + 1, MICROS_MAX);
    else if (bound === "lte") narrow(-MICROS_MAX, last);
    else narrow(-MICROS_MAX, isWhole ? first - 1 : first);
  }
  const { from, to } = range;
  return { from: from === -MICROS_MAX ? null : from, to: to === MICROS_MAX ? null : to };
}

const TIMESTAMPS = [
  ["timestamp", "is"],
  ["timestamp.gte", "gte"],
  ["timestamp.gt", "gt"],
  ["timestamp.lte", "lte"],
  ["timestamp.lt", "lt"],
] as const;
export const TIMESTAMP_NAMES: readonly string[] = TIMESTAMPS.map(([name]) => name);

/** @returns `isWhole` false: it is later than `first` by less than a microsecond. */
function readMoment(
  name: string,
  value: string,
  zone: string,
): { first: number; last: number; isWhole: boolean } {
  if (INTEGER.test(value)) {
    const nanoseconds = BigInt(value);
    const micros = Number(nanoseconds / 1_000n);
    if (micros < MICROS_MAX) return { first: micros, last: micros, isWhole: nanoseconds % 1_000n === 0n };
  } else if (DATE.test(value)) {
    return { ...dayOf(name, value, zone), isWhole: true };
  } else {
    const micros = checked(name, value, () => microsOrNull(value));
    if (micros !== null) return { first: micros, last: micros, isWhole: true };
  }
  throw badRequest(`${name}: got ${show(value)}, expected ${STAMP_EXPECTED}`);
}

function microsOrNull(value: string): number | null {
  const stamp = parseTimestamp(value);
  return stamp === null ? null : microsOfStamp(stamp);
}

/** The first and the last microsecond of a date at the exchange. */
function dayOf(name: string, date: string, zone: string): { first: number; last: number } {
  return checked(name, date, () => {
    const next = Temporal.PlainDate.from(date).add({ days: 1 }).toString();
    const at = (day: string) => Date.parse(startOfDate(day, zone)) * 1_000;
    const [first, end] = [at(date), at(next)];
    if (Number.isNaN(first + end) || end - first > 2 * DAY_MICROS) throw new RangeError(date);
    return { first, last: end - 1 };
  });
}

function checked<T>(name: string, value: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TimestampError)) throw error;
    throw badRequest(`${name}: got ${show(value)}, expected ${STAMP_EXPECTED}`);
  }
}

/** As questions take it. */
export function boundOf(micros: number): string {
  return `${stampOfMicros(micros).replace(" ", "T")}Z`;
}

/**
 * An edge of bars, by a date or by milliseconds. Bars of days and longer are of dates.
 *
 * @throws RequestError 400
 */
export function readEdge(
  name: "from" | "to",
  value: string,
  { ofDays, zone }: { ofDays: boolean; zone: string },
): string {
  const expected = "a date such as 2024-01-02, or milliseconds since 1970";
  const wrong = () => badRequest(`${name}: got ${show(value)}, expected ${expected}`);
  if (DATE.test(value)) {
    try {
      Temporal.PlainDate.from(value);
      return value;
    } catch {
      throw wrong();
    }
  }
  if (!/^\d{1,15}$/.test(value) || Number(value) * 1_000 >= MICROS_MAX) throw wrong();
  const ms = Number(value);
  return ofDays ? dateAt(ms, zone) : boundOf(ms * 1_000);
}
