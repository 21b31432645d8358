/**
 * What takes and gives the ticks of the scenario `columns` with nothing but the engine's driver, by
 * its fastest way. Another engine adds its entry here.
 */
import type { EngineName } from "../../test/support/flags.ts";
import type { TickBatch } from "../column-data.ts";

/** Ticks of one type, and columns whose texts are read and not kept. */
export interface BareSelection {
  tickers: readonly string[];
  type: string;
  texts: readonly string[];
}

/** Read: timestamp, price, size and type, in order of ticker, type, timestamp and seq. */
export interface BareColumns {
  /** How the loop reads, for the report. */
  reads: string;
  writes: string;
  /**
   * Into typed arrays, `TICKS` rows at most. Without `some`: all that there are.
   *
   * @returns how many rows, and the sum of prices.
   */
  read(location: string, some?: BareSelection): Promise<{ rows: number; prices: number }>;
  /** Into a database that isn't there yet; a transaction for each batch. @returns ms */
  write(location: string, batches: TickBatch[]): Promise<number>;
}

/** What follows the columns that are always read, and the table's name. */
export function selectionSql(some: BareSelection | undefined): { texts: string; where: string } {
  if (some === undefined) return { texts: "", where: "" };
  return { texts: some.texts.map((name) => `, ${name}`).join(""), where: ` where type = '${some.type}'` };
}

export async function bareColumns(engine: EngineName): Promise<BareColumns> {
  // Only the driver that is measured is loaded.
  switch (engine) {
    case "sqlite":
      return (await import("./sqlite-columns.ts")).sqliteColumns;
    case "duckdb":
      return (await import("./duckdb-columns.ts")).duckDbColumns;
    case "postgres":
      return (await import("./postgres-columns.ts")).postgresColumns;
  }
}
