/** The storage drivers that the conformance suite runs on. A new driver adds its line here. */
import { join } from "node:path";
import type { Settings } from "../../src/config/settings.ts";
import { parseSettings } from "../../src/config/settings.ts";
import { openSqliteUserSql, openSqliteWriter } from "../../src/roles/engines/sqlite.ts";
import type { StockReader, StockWriter } from "../../src/storage/contract.ts";
import { openDuckDb } from "../../src/storage/duckdb/open-duckdb.ts";
import { openPostgres } from "../../src/storage/postgres/postgres-database.ts";
import { SqliteReader } from "../../src/storage/sqlite/sqlite-reader.ts";
import { hasPgBouncer, usePostgres } from "../support/postgres.ts";

export interface OpenDatabase extends AsyncDisposable {
  writer: StockWriter;
  reader: StockReader;
  /** A statement that writes, as another program would send it. */
  execute(statement: string): Promise<void>;
}

export interface Driver {
  name: string;
  /** What it can't do, with the reason; the tests of it are skipped. */
  lacks: Partial<Record<Capability, string>>;
  /** Why it can't be tested here: none of its tests is run. */
  absent?: string;
  /** Called once by a test file, outside of its tests; what it returns opens a fresh and empty database. */
  prepare(): (dir: string) => Promise<OpenDatabase>;
}

/**
 * - `noticesOthers`: the writer knows when another program has changed the database.
 * - `numberText`: prices print as JavaScript prints them; by value they are the same everywhere.
 * - `fractionalCounts`: volumes and sizes may have fractions.
 */
export type Capability = "noticesOthers" | "fractionalCounts" | "numberText";

const POSTGRES_LACKS: Driver["lacks"] = {
  noticesOthers: "every worker writes, so nothing is kept that others could make wrong",
  fractionalCounts: "its columns are bigint until they are altered",
};

export const DRIVERS: Driver[] = [
  { name: "sqlite", lacks: {}, prepare: () => (dir) => openSqlite(join(dir, "test.db")) },
  {
    name: "duckdb",
    lacks: { numberText: "the engine prints doubles itself: 5.0, 1.5e-07" },
    prepare: () => (dir) => openDuckDbFile(join(dir, "test.duckdb")),
  },
  {
    name: "postgres",
    lacks: POSTGRES_LACKS,
    prepare() {
      const postgres = usePostgres();
      return async () => openPostgresDatabase(await postgres.freshSchema());
    },
  },
  {
    name: "postgres behind PgBouncer",
    lacks: POSTGRES_LACKS,
    ...(hasPgBouncer ? {} : { absent: "pgbouncer is not installed" }),
    prepare() {
      const postgres = usePostgres("max_connections=400");
      return async () => openPostgresDatabase(await postgres.freshDatabaseBehindPgBouncer());
    },
  },
];

async function openSqlite(dbFile: string): Promise<OpenDatabase> {
  const settings: Settings = { ...parseSettings([], {}).settings, dbFile };
  const writer = openSqliteWriter(settings);
  const reader = new SqliteReader(dbFile, settings.dbPoolSize);
  return {
    writer,
    reader,
    async execute(statement) {
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
      const request = { sql: statement, params: [], mode: "write" as const, maxRows: 1 };
      const outcome = await db.sql.run(request, { timeoutMs: 60_000 });
      if (outcome.status !== "rows") throw new Error(`${statement}: ${JSON.stringify(outcome)}`);
    },
    [Symbol.asyncDispose]: () => db.close(),
  };
}

async function openPostgresDatabase(dbFile: string): Promise<OpenDatabase> {
  const db = await openPostgres({ ...parseSettings([], {}).settings, dbFile });
  return {
    writer: db.writer,
    reader: db.reader,
    async execute(statement) {
      const request = { sql: statement, params: [], mode: "write" as const, maxRows: 1 };
      const outcome = await db.sql.run(request, { timeoutMs: 30_000 });
      if (outcome.status !== "rows") throw new Error(`${statement}: ${JSON.stringify(outcome)}`);
    },
    [Symbol.asyncDispose]: () => db.close(),
  };
}
