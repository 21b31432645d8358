/** What is stored of saves, and what becomes of them. */
import { expect } from "bun:test";
import type { Save } from "../../src/storage/contract.ts";
import { type Row, rowsOf } from "../support/answered.ts";
import type { OpenDatabase } from "./drivers.ts";

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
 * @param expected of each how many rows it stores or replaces, or the status it is refused with.
 */
export async function expectStored(db: OpenDatabase, saves: Save[], expected: number[]): Promise<void> {
  const outcomes = await db.writer.commit(saves);
  const changed = outcomes.map((outcome) =>
    outcome?.ok ? outcome.stored + (outcome.replaced ?? 0) : outcome?.status,
  );
  expect(changed).toEqual(expected);
}
