/**
 * A database in memory, for tests: the smallest engine that does what every engine does. It shows
 * what a new one needs, and takes no SQL.
 */
import { MIB } from "../../src/config/units.ts";
import { badRequest } from "../../src/protocol/errors.ts";
import type { DatabaseSettings, Engine, HeldDatabase } from "../../src/storage/engine.ts";
import type { InterruptibleSql } from "../../src/storage/user-sql-contract.ts";
import { MemoryReader, MemoryTransfer } from "./memory-reader.ts";
import { MemoryTables } from "./memory-tables.ts";
import { MemoryWriter } from "./memory-writer.ts";

const LOG_BYTES = 256 * MIB;

/** Databases by their `--db-file`: they last as long as the process. */
const databases = new Map<string, MemoryTables>();

const noSql: InterruptibleSql = {
  run: async () => {
    throw badRequest("execute_sql: a database in memory takes no SQL");
  },
  close() {},
};

export type MemoryDatabase = HeldDatabase & Required<Pick<HeldDatabase, "reader">>;

export function openMemory({
  dbFile,
  updateLogBytes = LOG_BYTES,
}: Pick<DatabaseSettings, "dbFile" | "updateLogBytes">): MemoryDatabase {
  const tables = databases.get(dbFile) ?? new MemoryTables();
  databases.set(dbFile, tables);
  return {
    writer: new MemoryWriter(tables, updateLogBytes),
    reader: new MemoryReader(tables),
    sql: noSql,
    preparation: null,
    openTransfer: () => new MemoryTransfer(tables),
    close() {},
  };
}

export const MEMORY: Engine = {
  names: { memory: "a database in memory" },
  forms: { bare: /^memory:[\w-]+$/ },
  placement: { reads: "hub", saves: "hub", sql: "hub" },
  keepsAnswers: true,
  open: async (settings) => openMemory(settings),
  openTarget: async (settings) => openMemory(settings),
  async openToRead(dbFile) {
    const tables = databases.get(dbFile);
    return tables === undefined ? null : new MemoryTransfer(tables);
  },
  openWorker: async () => ({}),
  async diagnose() {
    return (async function* () {})();
  },
};
