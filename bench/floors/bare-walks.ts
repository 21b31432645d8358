/**
 * The rows of `walked-tables.ts`, stored and read with nothing but the engine's driver: the asked
 * columns without the ticker, in order of the walk, into typed arrays.
 */
import type { WalkedTable } from "../walked-tables.ts";

export interface BareWalks {
  reads: string;
  fill(location: string, tables: WalkedTable[]): Promise<void>;
  /** @returns the rows, and the time to read them once the database is open. */
  read(location: string, table: WalkedTable): Promise<{ rows: number; ms: number }>;
}

export async function bareWalks(engine: "sqlite" | "duckdb"): Promise<BareWalks> {
  // Only the driver that is measured is loaded.
  return engine === "sqlite"
    ? (await import("./sqlite-walks.ts")).sqliteWalks
    : (await import("./duckdb-walks.ts")).duckDbWalks;
}

/** What is read of a table, without the ticker. */
export function readColumns({ query }: WalkedTable): string[] {
  return query.columns.filter((column) => column !== "ticker");
}
