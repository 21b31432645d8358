/** The storage drivers that the conformance suite runs on. A new driver adds its line here. */
import { join } from "node:path";
import type { Settings } from "../../src/config/settings.ts";
import { parseSettings } from "../../src/config/settings.ts";
import { openReader, openUserSql, openWriter } from "../../src/roles/engine.ts";

export interface Driver {
  name: string;
  /** What `--db-file` is, for a fresh and empty database. */
  dbFile(dir: string): string;
}

export const DRIVERS: Driver[] = [{ name: "sqlite", dbFile: (dir) => join(dir, "test.db") }];

export function openDatabase(dbFile: string) {
  const settings: Settings = { ...parseSettings([], {}).settings, dbFile };
  const writer = openWriter(settings);
  const reader = openReader(settings);
  return {
    writer,
    reader,
    sql: () => openUserSql(settings),
    async [Symbol.asyncDispose]() {
      await reader.close();
      writer.close();
    },
  };
}

export type OpenDatabase = ReturnType<typeof openDatabase>;
