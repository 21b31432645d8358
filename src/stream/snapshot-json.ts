/** A snapshot as JSON, with the member names of live frames; null for what doesn't exist. */
import { toWire } from "../market/timestamp.ts";
import type { BarRow, Count, TickRow } from "../storage/contract.ts";
import type { TickerSnapshot } from "../storage/update-contract.ts";

export function snapshotJson({ quote, trade, daily, hourly }: TickerSnapshot): string {
  const bar = `{"daily":${barJson("date", daily)},"hourly":${barJson("datetime", hourly)}}`;
  return `{"quote":${quoteJson(quote)},"trade":${tradeJson(trade)},"bar":${bar}}`;
}

function quoteJson(row: TickRow | null): string {
  if (row === null) return "null";
  const [stamp, price, size, askPrice, askSize] = row;
  return `{"timestamp":"${toWire(stamp)}","bid_price":${number(price)},"bid_size":${number(size)},"ask_price":${number(askPrice)},"ask_size":${number(askSize)}}`;
}

function tradeJson(row: TickRow | null): string {
  if (row === null) return "null";
  const [stamp, price, size] = row;
  return `{"timestamp":"${toWire(stamp)}","price":${number(price)},"size":${number(size)}}`;
}

function barJson(stampName: "date" | "datetime", row: BarRow | null): string {
  if (row === null) return "null";
  const [stamp, open, high, low, close, volume] = row;
  return `{"${stampName}":"${toWire(stamp)}","open":${number(open)},"high":${number(high)},"low":${number(low)},"close":${number(close)},"volume":${number(volume)}}`;
}

/** Text counts are digits, so JSON numbers. Values without JSON, of other programs, become null. */
function number(value: Count | null): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
