/** What a database holds, for a greeting. */
import type { Holding, RowKind } from "./contract.ts";

export const HOLDING_KINDS = [
  ["daily bars", "daily"],
  ["hourly bars", "hourly"],
  ["ticks", "ticks"],
] as const satisfies [Holding["kind"], RowKind][];

/** @param tickersOf the first of those that have rows of the kind, in order of text. */
export async function readHoldings(tickersOf: (rows: RowKind) => Promise<string[]>): Promise<Holding[]> {
  const holdings: Holding[] = [];
  for (const [kind, rows] of HOLDING_KINDS) holdings.push({ kind, tickers: await tickersOf(rows) });
  return holdings;
}
