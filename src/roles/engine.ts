/** The storage driver that `--db-file` picks. A new driver adds its case here, and nowhere else. */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { describeDatabase } from "../config/database-url.ts";
import type { Settings } from "../config/settings.ts";
import type { StockReader, StockWriter } from "../storage/contract.ts";
import { lockDatabaseFile } from "../storage/sqlite/file-lock.ts";
import { SqliteReader } from "../storage/sqlite/sqlite-reader.ts";
import { SqliteWriter } from "../storage/sqlite/sqlite-writer.ts";
import { createSqliteUserSql } from "../storage/sqlite/user-sql.ts";
import type { UserSqlEngine } from "../storage/user-sql-contract.ts";

type DatabaseSettings = Pick<Settings, "dbFile" | "durability">;

export interface OpenWriter extends StockWriter {
  /** What opening did to the database, for the log; null if nothing. */
  readonly preparation: string | null;
}

export function databaseType(settings: Settings): string {
  return describeDatabase(settings.dbFile).engine;
}

/**
 * The one writer of a database, which creates it, or upgrades it, as needed.
 *
 * @throws Error another server has the file, or it can't be opened or upgraded.
 */
export function openWriter({ dbFile, durability }: DatabaseSettings): OpenWriter {
  mkdirSync(dirname(dbFile), { recursive: true });
  const lock = lockDatabaseFile(dbFile);
  let writer: SqliteWriter;
  try {
    writer = new SqliteWriter(dbFile, durability);
  } catch (error) {
    lock.release();
    throw new Error(`cannot open ${dbFile}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  return {
    preparation: writer.preparation,
    commit: (saves) => writer.commit(saves),
    changedByOthers: () => writer.changedByOthers(),
    isEmpty: () => writer.isEmpty(),
    async close() {
      writer.close();
      lock.release();
    },
  };
}

export function openReader({ dbFile, dbPoolSize }: Settings): StockReader {
  return new SqliteReader(dbFile, dbPoolSize);
}

export function openUserSql({ dbFile, durability }: DatabaseSettings): UserSqlEngine {
  return createSqliteUserSql({ path: dbFile, durability });
}
