/** A snapshot as JSON, with the member names of live frames; null for what doesn't exist. */
import { isMadeByRollup } from "../market/rollup-mark.ts";
import { toWire } from "../market/timestamp.ts";
import {
  hasExtra,
  type KindName,
  kindOf,
  partName,
  type SeriesRow,
  type SeriesValue,
} from "../storage/model/kinds.ts";
import type { NewestRow, TickerSnapshot } from "../storage/update-contract.ts";

/** Names of a quote's price and size in frames. */
const QUOTE_NAMES: Record<string, string> = { price: "bid_price", size: "bid_size" };

export function snapshotJson({ newest }: TickerSnapshot): string {
  const find = (kind: KindName, part: string | null): NewestRow | undefined =>
    newest.find((found) => found.kind === kind && found.part === part);
  const bars = newest
    .filter(({ kind }) => kind !== "ticks" && kind !== "daily" && kind !== "hourly")
    .map(({ kind, part, row }) => `,${JSON.stringify(partName(kind, part))}:${rowJson(kind, row)}`);
  const [quote, trade] = [find("ticks", "quote"), find("ticks", "trade")];
  const [daily, hourly] = [find("daily", null), find("hourly", null)];
  return (
    `{"quote":${quote === undefined ? "null" : rowJson("ticks", quote.row, QUOTE_NAMES)}` +
    `,"trade":${trade === undefined ? "null" : rowJson("ticks", trade.row.slice(0, 3) as SeriesRow)}` +
    `,"bar":{"daily":${daily === undefined ? "null" : rowJson("daily", daily.row)}` +
    `,"hourly":${hourly === undefined ? "null" : rowJson("hourly", hourly.row)}${bars.join("")}}}`
  );
}

/** The same under the names of normalized frames; only lengths of bars that there are. */
export function normalizedSnapshot({ newest }: TickerSnapshot): string {
  const ticksOf = (part: string, names: Record<string, string>): string => {
    const found = newest.find((each) => each.kind === "ticks" && each.part === part);
    if (found === undefined) return "null";
    // A trade has no ask.
    const row = part === "quote" ? found.row : (found.row.slice(0, 3) as SeriesRow);
    return rowJson("ticks", row, names);
  };
  const bars = newest
    .filter(({ kind }) => kindOf(kind).noun === "bars")
    .map(({ kind, part, row }) => {
      const name = JSON.stringify(partName(kind, part));
      return `${name}:${rowJson(kind, row, { [kindOf(kind).stamp.name]: "timestamp" })}`;
    });
  const [quote, trade] = [ticksOf("quote", QUOTE_NAMES), ticksOf("trade", {})];
  return `{"quote":${quote},"trade":${trade},"bars":{${bars.join(",")}}}`;
}

/** @param row may be shorter than the kind's columns. */
function rowJson(kind: KindName, row: SeriesRow, names: Record<string, string> = {}): string {
  const { stamp, values } = kindOf(kind);
  const members = row.slice(1, values.length + 1).flatMap((value, index) => {
    const { name, onRequest } = values[index]!;
    return onRequest ? [] : [`,"${names[name] ?? name}":${number(value)}`];
  });
  // As updates of such bars have it.
  if (hasExtra(kindOf(kind)) && isMadeByRollup(row[values.length])) members.push(',"rollup":true');
  return `{"${names[stamp.name] ?? stamp.name}":"${toWire(row[0])}"${members.join("")}}`;
}

/**
 * A count that is text holds digits: it is a number in JSON too. Other programs may have stored
 * what JSON can't hold.
 */
function number(value: SeriesValue): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
