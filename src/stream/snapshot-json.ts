/** A snapshot in JSON: members as live frames name them, null where there is none. */
import { toWire } from "../market/timestamp.ts";
import type { BarRow, TickRow } from "../storage/contract.ts";
import type { TickerSnapshot } from "../storage/update-contract.ts";

export function snapshotJson({ quote, trade, daily, hourly }: TickerSnapshot): string {
  const bar = `{"daily":${barJson("date", daily)},"hourly":${barJson("datetime", hourly)}}`;
  return `{"quote":${quoteJson(quote)},"trade":${tradeJson(trade)},"bar":${bar}}`;
}

function quoteJson(row: TickRow | null): string {
  if (row === null) return "null";
  const [stamp, price, size, askPrice, askSize] = row;
  return `{"timestamp":"${toWire(stamp)}","bid_price":${price},"bid_size":${size},"ask_price":${askPrice},"ask_size":${askSize}}`;
}

function tradeJson(row: TickRow | null): string {
  if (row === null) return "null";
  const [stamp, price, size] = row;
  return `{"timestamp":"${toWire(stamp)}","price":${price},"size":${size}}`;
}

/** A count that is text holds digits: it is a number in JSON too. */
function barJson(stampName: "date" | "datetime", row: BarRow | null): string {
  if (row === null) return "null";
  const [stamp, open, high, low, close, volume] = row;
  return `{"${stampName}":"${toWire(stamp)}","open":${open},"high":${high},"low":${low},"close":${close},"volume":${volume}}`;
}
