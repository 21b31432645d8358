/** What a worker has of its database, whichever process holds it: see ARCHITECTURE.md "Engines". */
import type { SqlRequest } from "../sql/execute.ts";
import type { Save, SaveOutcome, StockReader } from "../storage/contract.ts";
import type { SqlAnswer } from "../storage/user-sql-contract.ts";

export interface WorkerStorage {
  readonly reader: StockReader;
  /** Resolves when the save is stored and its turn to be published has come. */
  save(save: Save, frame: () => string, bytes: number): Promise<SaveOutcome>;
  executeSql(request: SqlRequest): Promise<SqlAnswer>;
  /** Of what runs user-written SQL, for /stats/pool. */
  sqlFigures(): object;
  close(): Promise<void>;
}
