/**
 * From when on bars of a ticker may be made anew, where no note says so: its trades may have been
 * removed as too old, and its bars be there still, as in a copy, which has no notes.
 */
import { microsOf } from "../analysis/numbers.ts";
import { ownBars, tradesIn } from "./rebuild.ts";
import type { RollupDatabase } from "./rollup-database.ts";
import type { RollupSeries } from "./rules.ts";
import { ALL_TIME, DAY_MICROS, dayOf, type TimeSpan } from "./spans.ts";

/**
 * Days with trades that are looked at, the first ones. The oldest trade isn't always where trades
 * begin: one that came late may lie far before the others.
 */
const DAYS_MAX = 8;

type Bars = Pick<RollupDatabase, "columns">;

export interface FloorQuery {
  ticker: string;
  series: readonly RollupSeries[];
}

/**
 * @returns the begin of a UTC day, in µs since 1970: bars of roll-ups before it have no trades any
 *   more. Null: there are none such.
 */
export async function findFloor(db: Bars, query: FloorQuery): Promise<number | null> {
  if (!(await hasBars(db, query, ALL_TIME))) return null;
  let floor: number | null = null;
  let from = Number.NEGATIVE_INFINITY;
  for (let days = 0; days < DAYS_MAX; days++) {
    const trade = await firstTrade(db, query.ticker, from);
    if (trade === null) return (await endOfBars(db, query, from)) ?? floor;
    const day = dayOf(trade);
    // A day of which only the begin was removed can't be made anew either.
    if (await hasBars(db, query, { from: Math.max(from, day), until: trade })) floor = day + DAY_MICROS;
    else if (await hasBars(db, query, { from, until: day })) floor = day;
    from = day + DAY_MICROS;
  }
  return floor;
}

async function firstTrade(db: Bars, ticker: string, from: number): Promise<number | null> {
  const { batches } = tradesIn(db, ticker, { from, until: Number.POSITIVE_INFINITY }, 1);
  for await (const { columns, rows } of batches) if (rows > 0) return microsOf(columns.get("timestamp")!)[0]!;
  return null;
}

/** Whether a roll-up has made some whose bucket is within the span. */
async function hasBars(
  db: Bars,
  { ticker, series }: FloorQuery,
  { from, until }: TimeSpan,
): Promise<boolean> {
  for (const each of series) {
    const span = { from, until: Math.floor(until / each.micros) * each.micros };
    if (span.from >= span.until) continue;
    for await (const _ of ownBars(db, { ticker, series: each, span })) return true;
  }
  return false;
}

/** The end of the day of the last bar. @returns null: there is none from that moment on. */
async function endOfBars(db: Bars, { ticker, series }: FloorQuery, from: number): Promise<number | null> {
  let last = Number.NEGATIVE_INFINITY;
  for (const each of series) {
    const span = { from, until: Number.POSITIVE_INFINITY };
    for await (const micros of ownBars(db, { ticker, series: each, span, order: "descending" })) {
      last = Math.max(last, micros);
      break;
    }
  }
  return last === Number.NEGATIVE_INFINITY ? null : dayOf(last) + DAY_MICROS;
}
