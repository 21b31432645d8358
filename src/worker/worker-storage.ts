/** A worker's access to its database, whichever process holds it: see ARCHITECTURE.md "Engines". */
import type { MemoryPart } from "../memory/memory-watch.ts";
import type { Samples } from "../metrics/samples.ts";
import type { SqlRequest } from "../sql/execute.ts";
import type { RunnerFigures } from "../sql/runner-pool.ts";
import type { Archive } from "../storage/archive/archive.ts";
import type { Edit, EditOutcome, ReplicaReads, Save, SaveOutcome, StockReader } from "../storage/contract.ts";
import type { SentRequest, UpdateSource } from "../storage/engine.ts";
import type { SqlPlan } from "../storage/sql-plan.ts";
import type { SqlAnswer } from "../storage/user-sql-contract.ts";

/** Where statements run, or the runners that they run in. */
type SqlFigures = { runs_at: string } | RunnerFigures;

export interface WorkerStorage {
  readonly reader: StockReader;
  /** Reads past the answers that `reader` may keep. */
  readonly history: StockReader;
  /** Null: the hub, which then also has to be there to save. */
  readonly updates: UpdateSource | null;
  /**
   * Resolves when the save is stored, and this worker's subscribers have been told of its update.
   *
   * @param save with its `update`.
   * @param request for its size, and for a database that takes commands.
   */
  save(save: Save, request: SentRequest): Promise<SaveOutcome>;
  /** As `save`, of saves of one group. Null: the database can't store them together. */
  readonly saveTogether: ((saves: readonly Save[]) => Promise<SaveOutcome>[]) | null;
  /** Whether saves that begin in one turn are committed in their order. */
  readonly savesInOrder: boolean;
  /** Resolves when the edit is made, and this worker's subscribers have been told. */
  edit(edit: Edit): Promise<EditOutcome>;
  /** What roll-ups need beside these; null: another server makes them. */
  readonly rollups: {
    /** Without the bounds of clients' reads. */
    columns: StockReader["columns"];
    /** Of the database alone. */
    parts: StockReader["parts"];
    /** Other servers may write into the database. */
    isShared: boolean;
  } | null;
  /** What was removed by its age: `columns` of the readers reach it too. Null: nothing is kept. */
  readonly archive: Archive | null;
  executeSql(request: SqlRequest): Promise<SqlAnswer>;
  /** Removes the rows, updates and position of a ticker of `check`. @throws RequestError 503 */
  removeCheck(ticker: string): Promise<void>;
  /** Of commits, where this process makes them; else none. */
  commitSamples(): Samples;
  /** Null: there are none. */
  replicas(): ReplicaReads | null;
  /** The pool of connections is the hub's, and so the same for each worker. */
  readonly hasPoolInHub: boolean;
  /** How the engine tells the plan of a statement; null: it doesn't. */
  readonly plan: SqlPlan | null;
  /** Figures of user-written SQL, for /stats/pool. */
  sqlFigures(): SqlFigures;
  /** The large parts that it knows of, for the log when memory is short. */
  memory(): MemoryPart[];
  /** Gives back what it can do without. */
  shrink(): void;
  close(): Promise<void>;
}
