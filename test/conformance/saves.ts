/** Saves, and what is stored of them, for suites that tell rows apart by their prices. */
import { expect } from "bun:test";
import type { BarRow, Save, SaveRows, SaveTicks, TickRow } from "../../src/storage/contract.ts";
import { type Row, rowsOf } from "../support/answered.ts";
import type { OpenDatabase } from "./drivers.ts";

export function daily(
  ticker: string,
  closes: [date: string, close: number | null][],
  onDuplicate: SaveRows["onDuplicate"] = "replace",
): SaveRows {
  return {
    kind: "daily",
    part: null,
    ticker,
    rows: closes.map(([date, close]): BarRow => [date, close, close, close, close, 100]),
    onDuplicate,
  };
}

export function ticks(
  ticker: string,
  rows: [stamp: string, price: number, seq?: number][],
  onDuplicate: SaveTicks["onDuplicate"] = "append",
): SaveTicks {
  return {
    kind: "ticks",
    ticker,
    part: "trade",
    rows: rows.map(([stamp, price, seq]): TickRow => [stamp, price, 100, null, null, seq ?? null]),
    onDuplicate,
  };
}

export const at = (second: number): string => `2024-01-02 10:00:${String(second).padStart(2, "0")}.000000`;
export const dateOf = (day: number): string =>
  new Date(Date.UTC(2000, 0, 1) + day * 86_400_000).toISOString().slice(0, 10);

export const allBars = (
  db: OpenDatabase,
  ticker: string,
  interval: "daily" | "hourly" = "daily",
): Promise<Row[]> => rowsOf(db.reader.rows({ kind: interval, part: null, ticker, from: null, to: null }));
export const allTicks = (db: OpenDatabase, ticker: string, type = "trade"): Promise<Row[]> =>
  rowsOf(db.reader.rows({ kind: "ticks", ticker, part: type, from: null, to: null }));

/**
 * Commits them.
 *
 * @param expected of each how many rows it stores, or the status it is refused with.
 */
export async function expectStored(db: OpenDatabase, saves: Save[], expected: number[]): Promise<void> {
  const outcomes = await db.writer.commit(saves);
  expect(outcomes.map((outcome) => (outcome?.ok ? outcome.stored : outcome?.status))).toEqual(expected);
}
