/**
 * The DuckDB driver. One process, the hub, has the file open, once: DuckDB lets no second process
 * in, not even to read. Reads, saves and SQL written by users run side by side on connections of
 * one instance.
 *
 * What holds them together:
 * - Every call of DuckDB takes a thread of the runtime's pool while it lasts. `slots.ts` bounds the
 *   calls of each kind; a process that opens a database should be started with UV_THREADPOOL_SIZE
 *   of at least `THREAD_POOL_SIZE`. With less, users' statements run one at a time.
 * - Saves are committed one batch at a time; SQL of users commits in turn with them (`turns.ts`)
 *   but runs beside them. A save that meets a user's transaction in the same rows has it rolled
 *   back.
 * - A read that begins after a commit has been answered sees it: each takes a snapshot of its own.
 * - The tables have no indexes (`schema.ts`). The writer keeps keys unique, and
 *   `statement-guard.ts` does for users' statements. A user who inserts what a feed is saving in
 *   the same moment can store a key twice; reads show both rows.
 * - Macros of users never change what the server's own statements mean: see `own-names.ts`.
 * - DuckDB's streaming results end without a word when they fail half way. Only a walk over columns
 *   uses one, which counts its rows before: large answers are read in pages within one transaction,
 *   and results of users are built whole, up to their row limit.
 * - COPY could write to the database's own files, a function that reads them gives up the lock on
 *   them, and logging to a file ends the process; none is kept out by DuckDB's settings, but by
 *   `user-sql-statement.ts` and `refused-functions.ts`.
 */

import { existsSync } from "node:fs";
import type { StockReader, StockWriter, TransferReader } from "../contract.ts";
import { EpochWitness } from "../epoch-witness.ts";
import type { InterruptibleSql } from "../user-sql-contract.ts";
import { DuckDbFile, type DuckDbOptions } from "./duckdb-file.ts";
import { DuckDbReader } from "./duckdb-reader.ts";
import { DuckDbTransfer } from "./duckdb-transfer.ts";
import { DuckDbWriter } from "./duckdb-writer.ts";
import { UpdateLog } from "./update-log.ts";
import { DuckDbUserSql } from "./user-sql.ts";
import { checkpointsOfOpen, setForeignLogAside } from "./write-ahead-log.ts";

export type { DuckDbOptions } from "./duckdb-file.ts";

export interface OpenDuckDb {
  reader: StockReader;
  writer: StockWriter & { beginEpoch(): Promise<string> };
  sql: InterruptibleSql;
  /** For a copy, on a connection of its own, which must be closed before the database. */
  openTransfer(): Promise<TransferReader>;
  /** What opening did to the database, for the log; null if nothing. */
  preparation: string | null;
  /** Why a new epoch began, for the log; null where the one before goes on. */
  epochBegun: string | null;
  /**
   * Stops SQL of users, waits for the commit and the reads under way, and brings the WAL into the
   * file.
   */
  close(): Promise<void>;
}

/**
 * Opens, and creates or upgrades as needed, the one database of this process.
 *
 * @throws Error it can't be opened. The process should end then, see `DuckDbFile.open`.
 */
export async function openDuckDb(options: DuckDbOptions): Promise<OpenDuckDb> {
  const { path } = options;
  const known = existsSync(path) ? new EpochWitness(path) : null;
  const setAside = known === null ? null : setForeignLogAside(path, known.inFile);
  const file = await DuckDbFile.open(options);
  const witness = known ?? new EpochWitness(path);
  file.onCheckpoint = () => {
    const checkpoints = checkpointsOfOpen(path);
    if (checkpoints !== null) witness.holdsTo(checkpoints);
  };
  const log = new UpdateLog(options.updateLogMb, { path, witness });
  const writer = await DuckDbWriter.open(file, log, setAside);
  const reader = new DuckDbReader(file, log);
  const sql = new DuckDbUserSql(file, {
    memoryLimitMb: options.memoryLimitMb,
    serverMemoryMb: options.serverMemoryMb ?? null,
    endProcess: options.ownProcess ? (reason) => file.reportFatal(new Error(reason)) : null,
  });
  return {
    reader,
    writer,
    sql,
    async openTransfer() {
      const session = await file.connect();
      return new DuckDbTransfer(session, { connect: () => file.connect(), close: () => session.close() });
    },
    preparation: file.preparation,
    epochBegun: writer.epochBegun,
    async close() {
      await sql.close();
      await writer.close();
      await reader.close();
      await file.close({ inUse: sql.running > 0 });
      witness.close(log.given);
    },
  };
}
