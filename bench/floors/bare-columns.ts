/**
 * What takes and gives the ticks of the scenario `columns` with nothing but the engine's driver, by
 * its fastest way. Another engine adds its entry here.
 */
import type { EngineName } from "../../test/support/flags.ts";
import type { TickBatch } from "../column-data.ts";

/** Read: timestamp, price, size and type, in order of ticker, type, timestamp and seq. */
export interface BareColumns {
  /** How the loop reads, for the report. */
  reads: string;
  writes: string;
  /** Into typed arrays. @returns how many rows, and the sum of prices. */
  read(location: string): Promise<{ rows: number; prices: number }>;
  /** Into a database that isn't there yet; a transaction for each batch. @returns ms */
  write(location: string, batches: TickBatch[]): Promise<number>;
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
