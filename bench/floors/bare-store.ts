/**
 * What the floors of the engines have in common: the same few statements, each sent straight to the
 * engine's driver.
 */

import { AVERAGE_COLUMNS } from "../../src/market/moving-averages.ts";
import type { EngineName } from "../../test/support/flags.ts";

export interface BareTick {
  ticker: string;
  /** ISO text in UTC with six digits of a fraction. */
  timestamp: string;
  type: string;
  price: number;
  size: number;
}

/** One row of `daily_prices`, by `BAR_COLUMNS`. */
export type BareBar = Record<string, string | number | null>;

export interface BareStore {
  latestPrice(ticker: string): Promise<number | null>;
  /** Of both dates and between, oldest first, as objects that JSON can hold. */
  bars(ticker: string, from: string, to: string): Promise<unknown[]>;
  addBars(bars: BareBar[]): Promise<void>;
  /** In one transaction, durable when it resolves; only one call at a time. */
  addTicks(ticks: BareTick[]): Promise<void>;
  /**
   * Stores the trades of a file by the engine's own loader, where it has one. The columns are
   * timestamp, price and size; a name that ends in `.parquet` is a Parquet file, others are CSV.
   */
  loadFile?(file: string, ticker: string): Promise<void>;
  countTicks(): Promise<number>;
  /** After it the process may end. */
  close(): Promise<void>;
}

/** All columns but `write_timestamp`, of which the floors have their own. */
export const BAR_COLUMNS = [
  "ticker",
  "date",
  "open",
  "high",
  "low",
  "close",
  "volume",
  ...AVERAGE_COLUMNS,
] as const;

/**
 * Creates the tables in a database that has none.
 *
 * @param location path of a file, or a connection string
 */
export async function openBareStore(engine: EngineName, location: string): Promise<BareStore> {
  // Only the driver that is measured is loaded.
  switch (engine) {
    case "sqlite":
      return (await import("./bare-sqlite.ts")).openSqlite(location);
    case "duckdb":
      return await (await import("./bare-duckdb.ts")).openDuckDb(location);
    case "postgres":
      return await (await import("./bare-postgres.ts")).openPostgres(location);
  }
}
