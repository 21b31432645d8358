/** The storage drivers that the conformance suite runs on. A new driver adds its line here. */
import { join } from "node:path";
import type { Settings } from "../../src/config/settings.ts";
import { parseSettings } from "../../src/config/settings.ts";
import { openSqliteUserSql, openSqliteWriter } from "../../src/roles/engines/sqlite.ts";
import { SqliteReader } from "../../src/storage/sqlite/sqlite-reader.ts";

export interface Driver {
  name: string;
  /** What `--db-file` is, for a fresh and empty database. */
  dbFile(dir: string): string;
  /** Why it can't be copied from and to; absent where it can. */
  withoutTransfer?: string;
}

export const DRIVERS: Driver[] = [{ name: "sqlite", dbFile: (dir) => join(dir, "test.db") }];

export function openDatabase(dbFile: string) {
  const settings: Settings = { ...parseSettings([], {}).settings, dbFile };
  const writer = openSqliteWriter(settings);
  const reader = new SqliteReader(dbFile, settings.dbPoolSize);
  return {
    writer,
    reader,
    /** A statement that writes, as another program would send it. */
    async execute(statement: string): Promise<void> {
      const sql = openSqliteUserSql(settings);
      const outcome = sql.run({ sql: statement, params: [], mode: "write", maxRows: 1 }, () => {});
      sql.close();
      if (outcome.status !== "rows") throw new Error(`${statement}: ${JSON.stringify(outcome)}`);
    },
    async [Symbol.asyncDispose]() {
      await reader.close();
      await writer.close();
    },
  };
}

export type OpenDatabase = ReturnType<typeof openDatabase>;
