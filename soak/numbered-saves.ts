/**
 * Saves that can be recognised: the records of a ticker are numbered 1, 2, 3 …, those of one save
 * one after the other. A record carries its number as its price, and as its size how many records
 * its save has. So every frame tells which save it is, and whether all of it is there.
 */

/** The last is a type of the user's own. */
export const KINDS = ["quote", "trade", "bar", "depth"] as const;
export type Kind = (typeof KINDS)[number];

export interface NumberedSave {
  ticker: string;
  kind: Kind;
  /** Number of its first record. */
  first: number;
  count: number;
}

export interface SaveRequest {
  command: string;
  params: Record<string, unknown>;
}

const TICKS_BEGIN_MS = Date.UTC(2024, 0, 2, 9, 30);
const BARS_BEGIN_MS = Date.UTC(2020, 0, 1);
const DAY_MS = 86_400_000;
/**
 * Bars are saved over and over for these days: new values for a day that is stored are an update
 * too.
 */
const BAR_DAYS = 64;

export function requestFor({ ticker, kind, first, count }: NumberedSave): SaveRequest {
  const numbers = Array.from({ length: count }, (_, i) => first + i);
  if (kind === "bar") {
    const data = numbers.map((n) => ({
      date: barDate(n),
      open: n,
      high: n,
      low: n,
      close: n,
      volume: count,
    }));
    return { command: "save_stock_data", params: { ticker, data, index_col: "date" } };
  }
  const data = numbers.map((n) => ({
    timestamp: tickStamp(n),
    price: n,
    size: count,
    ...(kind === "quote" ? { ask_price: n, ask_size: count } : {}),
  }));
  const params = { ticker, data, index_col: "timestamp", data_type: kind };
  return { command: "save_realtime_data", params };
}

/** What a frame's records say; null: they aren't the records of one whole save. */
export function readNumbers(
  kind: Kind,
  records: readonly unknown[],
): { first: number; count: number } | null {
  const [price, size] =
    kind === "bar" ? ["close", "volume"] : kind === "quote" ? ["bid_price", "bid_size"] : ["price", "size"];
  const first = memberOf(records[0], price!);
  if (first === null) return null;
  for (let i = 0; i < records.length; i++) {
    if (memberOf(records[i], price!) !== first + i) return null;
    if (memberOf(records[i], size!) !== records.length) return null;
  }
  return { first, count: records.length };
}

function memberOf(record: unknown, name: string): number | null {
  const value = (record as Record<string, unknown> | null | undefined)?.[name];
  return typeof value === "number" && Number.isInteger(value) && value > 0 ? value : null;
}

/** A microsecond of its own for each number, so that no two ticks are the same. */
function tickStamp(number: number): string {
  const ms = new Date(TICKS_BEGIN_MS + Math.floor(number / 1000)).toISOString().slice(0, -1);
  return `${ms}${String(number % 1000).padStart(3, "0")}Z`;
}

function barDate(number: number): string {
  return new Date(BARS_BEGIN_MS + (number % BAR_DAYS) * DAY_MS).toISOString().slice(0, 10);
}
