/** The storage drivers that the conformance suite runs on. A new driver adds its entry here. `DRIVERS=sqlite,duckdb` in the environment narrows them. */
import { join } from "node:path";
import type { Settings } from "../../src/config/settings.ts";
import { parseSettings } from "../../src/config/settings.ts";
import { openReader, openUserSql, openWriter } from "../../src/roles/engine.ts";
import type { StockReader, StockWriter } from "../../src/storage/contract.ts";
import { openDuckDb } from "../../src/storage/duckdb/open-duckdb.ts";
import type { UserSqlOutcome, UserSqlRequest } from "../../src/storage/user-sql-contract.ts";

export interface OpenDatabase {
  writer: StockWriter;
  reader: StockReader;
  /** A statement that writes, as another program or a user would send it. */
  execute(statement: string): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Driver {
  name: string;
  /** What `--db-file` is, for a fresh and empty database. */
  dbFile(dir: string): string;
  open(dbFile: string): OpenDatabase | Promise<OpenDatabase>;
}

const ALL: Driver[] = [
  { name: "sqlite", dbFile: (dir) => join(dir, "test.db"), open: openSqlite },
  { name: "duckdb", dbFile: (dir) => join(dir, "test.duckdb"), open: openDuckDbFile },
];

const chosen = process.env.DRIVERS?.split(",");
export const DRIVERS = ALL.filter(({ name }) => chosen === undefined || chosen.includes(name));

function openSqlite(dbFile: string): OpenDatabase {
  const settings: Settings = { ...parseSettings([], {}).settings, dbFile };
  const writer = openWriter(settings);
  const reader = openReader(settings);
  return {
    writer,
    reader,
    async execute(statement) {
      const sql = openUserSql(settings);
      const outcome = sql.run({ sql: statement, params: [], mode: "write", maxRows: 1 }, () => {});
      sql.close();
      expectDone(statement, outcome);
    },
    async [Symbol.asyncDispose]() {
      await reader.close();
      await writer.close();
    },
  };
}

async function openDuckDbFile(path: string): Promise<OpenDatabase> {
  const db = await openDuckDb({
    path,
    memoryLimitMb: 512,
    threads: 2,
    onFatal(error) {
      throw error;
    },
  });
  return {
    writer: db.writer,
    reader: db.reader,
    async execute(statement) {
      const request: UserSqlRequest = { sql: statement, params: [], mode: "write", maxRows: 1 };
      expectDone(statement, await db.sql.run(request, { timeoutMs: 60_000 }));
    },
    async [Symbol.asyncDispose]() {
      await db.close();
    },
  };
}

function expectDone(statement: string, outcome: UserSqlOutcome): void {
  if (outcome.status !== "rows") throw new Error(`${statement}: ${JSON.stringify(outcome)}`);
}
