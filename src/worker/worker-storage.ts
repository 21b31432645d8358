/** A worker's access to its database, whichever process holds it: see ARCHITECTURE.md "Engines". */
import type { MemoryPart } from "../memory/memory-watch.ts";
import type { SqlRequest } from "../sql/execute.ts";
import type { Save, SaveOutcome, StockReader } from "../storage/contract.ts";
import type { Update } from "../storage/update-contract.ts";
import type { SqlAnswer } from "../storage/user-sql-contract.ts";

/** Tells a worker of saves. */
export interface UpdateSource {
  /** Resolves when every later commit to the ticker, or to ALL_TICKERS, will be published here. */
  subscribe(ticker: string): Promise<void>;
  unsubscribe(ticker: string): void;
}

/** Takes the updates of a worker's own source. */
export interface UpdateSink {
  /** Takes updates in any order, and any number of times. */
  publish(ticker: string, update: Update): void;
  /** Updates of the ticker, or of ALL_TICKERS, may have been missed: asks the database. */
  missed(ticker: string): void;
}

export interface WorkerStorage {
  readonly reader: StockReader;
  /** Where the reader keeps answers: what reads past them. */
  readonly history?: Pick<StockReader, "rows" | "parts" | "latestPrice">;
  /** Absent: the hub, which then also has to be there to save. */
  readonly updates?: UpdateSource;
  /**
   * Resolves when the save is stored, and this worker's subscribers have been told of its update.
   *
   * @param save with its `update`.
   * @param request the whole command as sent: for its size, and for a database that takes commands.
   */
  save(save: Save, request: string): Promise<SaveOutcome>;
  executeSql(request: SqlRequest): Promise<SqlAnswer>;
  /** Removes the rows, updates and position of a ticker of `check`. @throws RequestError 503 */
  removeCheck(ticker: string): Promise<void>;
  /** Figures of user-written SQL, for /stats/pool. */
  sqlFigures(): object;
  /** Its large parts, for the log when memory is short. */
  memory?(): MemoryPart[];
  /** Gives up caches. */
  shrink?(): void;
  close(): Promise<void>;
}
