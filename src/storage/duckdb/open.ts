/**
 * Opens the DuckDB driver: one instance, in one process, whose connections serve reads, saves and
 * users' SQL side by side. DESIGN.md says why it works as it does.
 */

import { existsSync } from "node:fs";
import type { TransferReader } from "../contract.ts";
import type { HeldDatabase } from "../engine.ts";
import { EpochWitness } from "../epoch-witness.ts";
import type { InterruptibleSql } from "../user-sql-contract.ts";
import { DuckDbFile, type DuckDbOptions } from "./duckdb-file.ts";
import { DuckDbReader } from "./reader.ts";
import { DuckDbTransfer } from "./transfer.ts";
import { UpdateLog } from "./update-log.ts";
import { DuckDbUserSql } from "./user-sql.ts";
import { checkpointsOfOpen, setForeignLogAside } from "./write-ahead-log.ts";
import { DuckDbWriter } from "./writer.ts";

export type { DuckDbOptions } from "./duckdb-file.ts";

export interface OpenDuckDb extends HeldDatabase {
  readonly writer: DuckDbWriter;
  readonly reader: DuckDbReader;
  readonly sql: InterruptibleSql;
  /** Opens a connection of its own. */
  openTransfer(): Promise<TransferReader>;
  /** Stops users' SQL, waits for the commit and reads under way, and runs a checkpoint. */
  close(): Promise<void>;
}

/**
 * Opens the one database of this process; creates or upgrades it as needed.
 *
 * @throws Error The process should end then: see `DuckDbFile.open`.
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
  const log = new UpdateLog(options.updateLogBytes, { path, witness });
  const writer = await DuckDbWriter.open(file, log, setAside);
  const reader = new DuckDbReader(file, log);
  const sql = new DuckDbUserSql(file, {
    memoryLimitMb: options.memoryLimitMb,
    serverMemoryBytes: options.serverMemoryBytes ?? null,
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
