/** What a worker has of its database, whichever process holds it: see ARCHITECTURE.md "Engines". */
import type { SqlRequest } from "../sql/execute.ts";
import type { Save, SaveOutcome, StockReader } from "../storage/contract.ts";
import type { SqlAnswer } from "../storage/user-sql-contract.ts";

/** Where a worker hears of saves. */
export interface UpdateSource {
  /** Resolves when every later commit to the ticker will be published here. */
  subscribe(ticker: string): Promise<void>;
  unsubscribe(ticker: string): void;
}

/** Where a worker's own source of updates puts them. */
export interface UpdateSink {
  /** In order of commit. */
  publish(ticker: string, frame: string): void;
  /** Updates of the ticker may have been missed: its subscribers have to connect again. */
  gap(ticker: string): void;
}

export interface WorkerStorage {
  readonly reader: StockReader;
  /** Absent: the hub, which then also has to be there to save. */
  readonly updates?: UpdateSource;
  /**
   * Resolves when the save is stored and its turn to be published has come.
   *
   * @param request the whole command as sent: for its size, and for a database that takes commands.
   */
  save(save: Save, frame: () => string, request: string): Promise<SaveOutcome>;
  executeSql(request: SqlRequest): Promise<SqlAnswer>;
  /** Of what runs user-written SQL, for /stats/pool. */
  sqlFigures(): object;
  close(): Promise<void>;
}
