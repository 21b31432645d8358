/** Infers from columns and first stamps what a file holds. It never guesses. */

import { type ColumnPlan, CsvError, type CsvKind, planColumns } from "../../market/csv.ts";
import { intervalOfSeconds } from "../../market/interval.ts";
import { parseTimestamp, TimestampError } from "../../market/timestamp.ts";

export const INFERENCE_ROWS = 100;

export class AmbiguousKindError extends Error {
  override name = "AmbiguousKindError";
}

const DAY_MS = 86_400_000;
const ASK_FOR_INTERVAL = "pass --interval, such as daily, hourly or 5min";
const ASK_FOR_TYPE = "pass --type quote or --type trade";
/** 00:00, with any precision and zone. */
const MIDNIGHT = /[T ]00:00(:00(\.0*)?)?\s*(Z|[+-]\d.*)?$/;

/**
 * @param rows the first data rows; unreadable stamps are ignored.
 * @throws AmbiguousKindError saying what to pass.
 */
export function inferKind(header: readonly string[], rows: readonly (readonly string[])[]): CsvKind {
  const bars = planOrNull(header, "hourly");
  const trade = planOrNull(header, "trade");
  const quote = planOrNull(header, "quote");
  if (bars !== null && (trade ?? quote) !== null) {
    throw new AmbiguousKindError(`the columns fit bars and ticks: ${ASK_FOR_INTERVAL}, or ${ASK_FOR_TYPE}`);
  }
  if (bars !== null) return inferInterval(bars, rows);
  if (quote !== null && hasAskOrBid(quote)) return "quote";
  if (trade !== null) return "trade";
  if (quote !== null) {
    throw new AmbiguousKindError(
      `the columns have a price, but neither a size nor an ask price: ${ASK_FOR_TYPE}`,
    );
  }
  throw new AmbiguousKindError(
    `the columns ${header.map((name) => JSON.stringify(name.slice(0, 40))).join(", ")} are neither bars ` +
      "(date, open, high, low, close, volume) nor ticks (timestamp, price, size): expected a header of these names",
  );
}

function hasAskOrBid(quote: ColumnPlan): boolean {
  return quote.numbers.some(({ name, column }) => name === "ask_price" || /bid/i.test(column));
}

/**
 * Daily bars have no time, or midnight as written. The length of others is the time between two
 * bars, if most have the same.
 */
function inferInterval(plan: ColumnPlan, rows: readonly (readonly string[])[]): CsvKind {
  const stamps = rows.flatMap((fields) => readStamp(plan, fields) ?? []);
  if (stamps.length === 0)
    throw new AmbiguousKindError(`no row tells the time of its bar: ${ASK_FOR_INTERVAL}`);

  const instants = [...new Set(stamps.map((stamp) => stamp.ms))].sort((a, b) => a - b);
  if (stamps.every((stamp) => stamp.atMidnight)) {
    if (instants.length > 1 || stamps.some((stamp) => !stamp.hasTime)) return "daily";
    throw new AmbiguousKindError(`a single bar at midnight may be of a day or an hour: ${ASK_FOR_INTERVAL}`);
  }
  const gaps = instants.slice(1).map((ms, i) => ms - (instants[i] ?? ms));
  const shortest = Math.min(...gaps);
  if (shortest >= DAY_MS)
    throw new AmbiguousKindError(`the bars have a time, but only one a day: ${ASK_FOR_INTERVAL}`);
  // Missing bars make some gaps longer. If most are longer, the shortest proves nothing.
  const isCommon = gaps.filter((gap) => gap === shortest).length * 2 >= gaps.length;
  const length = intervalOfSeconds(shortest / 1_000);
  if (length === null || !isCommon || gaps.some((gap) => gap % shortest !== 0))
    throw new AmbiguousKindError(`the times of the bars tell no length: ${ASK_FOR_INTERVAL}`);
  return length;
}

interface SeenStamp {
  ms: number;
  hasTime: boolean;
  atMidnight: boolean;
}

function readStamp(plan: ColumnPlan, fields: readonly string[]): SeenStamp | null {
  const text = plan.stampIndexes.map((index) => fields[index] ?? "").join(" ");
  try {
    const canonical = parseTimestamp(text);
    if (canonical === null) return null;
    const hasTime = text.includes(":");
    return {
      ms: Date.parse(`${canonical.replace(" ", "T")}Z`),
      hasTime,
      atMidnight: hasTime ? MIDNIGHT.test(text) : MIDNIGHT.test(canonical),
    };
  } catch (error) {
    if (error instanceof TimestampError) return null;
    throw error;
  }
}

function planOrNull(header: readonly string[], kind: CsvKind): ColumnPlan | null {
  try {
    return planColumns(header, kind);
  } catch (error) {
    if (error instanceof CsvError) return null;
    throw error;
  }
}
