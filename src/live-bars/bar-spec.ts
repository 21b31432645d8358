/** Which bars a client wants of its tickers. */
import { CalendarError, type Timeframe } from "../calendar/contract.ts";
import { openGrid } from "../calendar/open-grid.ts";
import { parseTimeframe } from "../calendar/timeframe.ts";
import { show } from "../commands/params.ts";
import { badRequest } from "../protocol/errors.ts";
import { isText, type JsonRecord } from "../protocol/json.ts";
import { namesIn } from "../protocol/name-list.ts";

/** Limit for one message, and for one ticker of a client. */
export const SPECS_MAX = 10;
const PARTIAL_MS_MIN = 100;
const PARTIAL_MS_MAX = 3_600_000;
const SECONDS = /^(\d{1,7}(?:\.\d{1,3})?) ?(ms|s)?$/;

export type BarSource = "trades" | "quotes";

export interface BarSpec {
  timeframe: Timeframe;
  source: BarSource;
  /** Null: every day is a session, in UTC. */
  calendar: string | null;
  session: string | null;
  /** Equal for specs that mean the same. */
  key: string;
}

export interface BarsWish {
  specs: BarSpec[];
  /** How often a bar that is still running is told; null: never. */
  partialMs: number | null;
  /** Also bars without a trade. */
  emptyBars: boolean;
}

/** @returns null where no bars are asked for. @throws RequestError 400 naming the parameter. */
export function readBarsWish(params: JsonRecord): BarsWish | null {
  const { bars, partial, empty_bars: emptyBars = false, source = "trades" } = params;
  const beside = ["partial", "empty_bars", "source", "calendar", "session"];
  if (bars === undefined) {
    const alone = beside.find((name) => params[name] !== undefined);
    if (alone !== undefined) throw badRequest(`${alone}: expected "bars" beside it, such as ["1Min"]`);
    return null;
  }
  if (typeof emptyBars !== "boolean")
    throw badRequest(`empty_bars: got ${show(emptyBars)}, expected true or false`);
  if (source !== "trades" && source !== "quotes")
    throw badRequest(`source: got ${show(source)}, expected "trades" or "quotes"`);
  const [calendar, session] = [textOrNull(params, "calendar"), textOrNull(params, "session")];
  const specs = readTimeframes(bars).map((timeframe) => specOf({ timeframe, source, calendar, session }));
  return { specs, partialMs: readPartial(partial), emptyBars };
}

/** Of an `unsubscribe`: of whatever session. @throws RequestError 400 */
export function readTimeframeNames(bars: unknown): string[] {
  return readTimeframes(bars).map(({ name }) => name);
}

function readTimeframes(bars: unknown): Timeframe[] {
  const names = isText(bars) ? namesIn(bars) : bars;
  if (!Array.isArray(names) || names.length === 0 || names.length > SPECS_MAX || !names.every(isText))
    throw badRequest(`bars: got ${show(bars)}, expected 1 to ${SPECS_MAX} timeframes such as "1Min"`);
  const read = names.map((name) => refusing(() => parseTimeframe(name, "bars")));
  return [...new Map(read.map((timeframe) => [timeframe.name, timeframe])).values()];
}

function specOf(of: Omit<BarSpec, "key">): BarSpec {
  const { timeframe, source, calendar, session } = of;
  refusing(() => openGrid({ timeframe, calendar, session }));
  return { ...of, key: JSON.stringify([timeframe.name, source, calendar, session]) };
}

/** Seconds, or with a unit: `1s`, `250ms`. */
function readPartial(value: unknown): number | null {
  if (value === undefined || value === null) return null;
  const [, number, unit] = SECONDS.exec(String(value)) ?? [];
  const ms = number === undefined ? Number.NaN : Number(number) * (unit === "ms" ? 1 : 1_000);
  if (ms >= PARTIAL_MS_MIN && ms <= PARTIAL_MS_MAX) return ms;
  throw badRequest(`partial: got ${show(value)}, expected seconds from 0.1 to 3600, such as "1s"`);
}

function textOrNull(params: JsonRecord, name: string): string | null {
  const value = params[name];
  if (value === undefined || value === null) return null;
  if (isText(value) && value !== "") return value;
  throw badRequest(`${name}: got ${show(value)}, expected text`);
}

function refusing<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof CalendarError) throw badRequest(error.message);
    throw error;
  }
}
