/** Saves for a database without a server before it, of rows that prices tell apart. */
import type { BarRow, SaveRows, SaveTicks, TickRow } from "../../src/storage/contract.ts";
import type { SaveUpdate } from "../../src/storage/update-contract.ts";

export function daily(
  ticker: string,
  closes: [date: string, close: number | null][],
  onDuplicate: SaveRows["onDuplicate"] = "replace",
  update?: SaveUpdate,
): SaveRows {
  return {
    kind: "daily",
    part: null,
    ticker,
    rows: closes.map(([date, close]): BarRow => [date, close, close, close, close, 100, null]),
    onDuplicate,
    ...(update === undefined ? {} : { update }),
  };
}

export function ticks(
  ticker: string,
  rows: [stamp: string, price: number, seq?: number | null][],
  onDuplicate: SaveTicks["onDuplicate"] = "match",
  update?: SaveUpdate,
): SaveTicks {
  return {
    kind: "ticks",
    ticker,
    part: "trade",
    rows: rows.map(
      ([stamp, price, seq]): TickRow => [stamp, price, 100, null, null, null, null, seq ?? null],
    ),
    onDuplicate,
    ...(update === undefined ? {} : { update }),
  };
}

/** What makes a save an update, which is no repetition. */
export const logged = (saveId: string, frame: string): SaveUpdate => ({ saveId, repeated: false, frame });

/** Stamps of ticks: of a second, and of a microsecond. */
export const at = (second: number): string => `2024-01-02 10:00:${String(second).padStart(2, "0")}.000000`;
export const stampOf = (n: number): string => `2024-01-02 10:00:00.${String(n).padStart(6, "0")}`;
export const dateOf = (day: number): string =>
  new Date(Date.UTC(2000, 0, 1) + day * 86_400_000).toISOString().slice(0, 10);

export const upTo = (last: number, first = 1): number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);
