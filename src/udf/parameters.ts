/** Parameters of TradingView's adapter, as this server understands them. */
import { show } from "../commands/params.ts";
import { badRequest } from "../protocol/errors.ts";

/** Bars of an answer at most. */
export const BARS_MAX = 20_000;
export const RESOLUTIONS = [
  ...["1S", "5S", "15S", "30S", "1", "2", "3", "5", "10", "15", "30", "45"],
  ...["60", "120", "180", "240", "1D", "1W", "1M", "3M", "6M", "12M"],
];
/** The year 9999, in seconds. */
const SECONDS_MAX = 253_402_300_799;
const UNITS: Record<string, string> = { "": "Min", S: "Sec", D: "Day", W: "Week", M: "Month" };

/** @param names of the parameters that there are; others are left aside, as adapters send some. */
export function readQuery(query: URLSearchParams, names: readonly string[]): Record<string, string> {
  const read: Record<string, string> = Object.create(null);
  for (const name of names) {
    const value = query.get(name);
    if (value !== null && value !== "") read[name] = value;
  }
  return read;
}

/** @throws RequestError 400 */
export function readRequired(query: Record<string, string>, name: string): string {
  const value = query[name];
  if (value === undefined) throw badRequest(`${name}: got none, expected one`);
  return value;
}

/** @returns as `/v1/bars` calls it. @throws RequestError 400 */
export function readResolution(query: Record<string, string>): string {
  const text = readRequired(query, "resolution");
  const [, count, unit] = /^(\d{0,5})([SDWM]?)$/.exec(text) ?? [];
  const timeframe = unit === undefined || (count === "" && unit === "") ? null : UNITS[unit]!;
  if (timeframe === null || Number(count || 1) === 0)
    throw badRequest(`resolution: got ${show(text)}, expected one such as ${RESOLUTIONS.join(", ")}`);
  return `${Number(count || 1)}${timeframe}`;
}

/** @returns seconds since 1970. @throws RequestError 400 */
export function readSeconds(query: Record<string, string>, name: string): number {
  const text = readRequired(query, name);
  const seconds = /^-?\d{1,15}(\.\d+)?$/.test(text) ? Math.floor(Number(text)) : Number.NaN;
  if (Math.abs(seconds) <= SECONDS_MAX) return seconds;
  throw badRequest(`${name}: got ${show(text)}, expected seconds since 1970`);
}

/** @returns null: there is none. @throws RequestError 400 */
export function readCount(query: Record<string, string>, name: string, most: number): number | null {
  const text = query[name];
  if (text === undefined) return null;
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= most) return count;
  throw badRequest(`${name}: got ${show(text)}, expected a whole number from 1 to ${most}`);
}
