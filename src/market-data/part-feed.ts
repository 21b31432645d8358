/** Partial bars, where an engine makes them of ticks, on their way to the builder of bars. */
import { numbersOf } from "../analysis/numbers.ts";
import type { SkippedQuotes } from "../analysis/quote-prices.ts";
import type { Timeframe } from "../calendar/contract.ts";
import { type PartDouble, partDoubles } from "../storage/model/bar-parts.ts";
import type { BarParts, ColumnBatch } from "../storage/model/columns.ts";
import type { AddRows } from "./bar-feed.ts";
import type { BarOrigin, GridQuestion } from "./derived-questions.ts";
import { checkedMicros } from "./stamps.ts";

const SECOND = 1_000_000;
/** Sessions begin and end at whole minutes. */
const SESSION_SECONDS = 60;
/** Since 1973, days of all zones begin at whole five minutes. */
const DAY_SECONDS = 300;

/** The longest parts of which none lies in two buckets. Null: bars of the source have none. */
export function partsFor(
  source: BarOrigin,
  { unit, count }: Timeframe,
  { calendar, session }: GridQuestion,
): BarParts | null {
  if (source.of === "bars") return null;
  const seconds = calendar === null && session === null ? DAY_SECONDS : SESSION_SECONDS;
  return {
    micros: SECOND * (unit === "second" ? commonDivisor(seconds, count) : seconds),
    price: source.of === "trades" ? "trade" : source.price,
  };
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}

/** @param skipped is added to. */
export function partsOf(batch: ColumnBatch, skipped: SkippedQuotes): { named: ColumnBatch; add: AddRows } {
  const of = (name: PartDouble): Float64Array => partDoubles(batch, name);
  for (const count of of("crossed")) skipped.crossed += count;
  for (const count of of("oneSided")) skipped.oneSided += count;
  const rows = {
    micros: checkedMicros(of("at")),
    ticks: of("ticks"),
    priced: of("priced"),
    first: of("first"),
    last: of("last"),
    ...{ open: of("open"), high: of("high"), low: of("low"), close: of("close") },
    notional: of("notional"),
    volume: numbersOf(batch.columns.get("volume")),
  };
  return {
    named: { rows: batch.rows, columns: new Map([["symbol", batch.columns.get("ticker")!]]) },
    add: (builder, from, to) => builder.addParts(rows, from, to),
  };
}
