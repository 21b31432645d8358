/** The storage drivers that the conformance suite runs on. A new driver adds its line here. */
import { join } from "node:path";
import type { Settings } from "../../src/config/settings.ts";
import { parseSettings } from "../../src/config/settings.ts";
import { openTransferReader } from "../../src/roles/engine.ts";
import { openSqliteWriter } from "../../src/roles/engines/sqlite.ts";
import type { StockReader, StockWriter, TransferReader } from "../../src/storage/contract.ts";
import { openDuckDb } from "../../src/storage/duckdb/open-duckdb.ts";
import { connectForReading, openPostgres } from "../../src/storage/postgres/postgres-database.ts";
import { SqliteReader } from "../../src/storage/sqlite/sqlite-reader.ts";
import { SqliteTransfer } from "../../src/storage/sqlite/sqlite-transfer.ts";
import { changeAsAnotherProgram } from "../support/another-program.ts";
import { changeDuckDbFile } from "../support/duckdb-file.ts";
import { hasPgBouncer, usePostgres } from "../support/postgres.ts";
import { openAnotherServer, type SentSaves } from "./another-server.ts";

export interface OpenDatabase extends AsyncDisposable {
  readonly writer: StockWriter;
  readonly reader: StockReader;
  /** To be closed before the database. */
  openTransfer(): Promise<TransferReader>;
  /** A statement that writes, as another program would send it. */
  execute(statement: string): Promise<void>;
  /** Closes the database and opens it again: `writer` and `reader` are others then. */
  reopen(): Promise<void>;
}

export interface OpenOptions {
  updateLogMb?: number;
}

export interface Driver {
  name: string;
  /** What it can't do, with the reason; the tests of it are skipped. */
  lacks: Partial<Record<Capability, string>>;
  /** Why it can't be tested here: none of its tests is run. */
  absent?: string;
  /**
   * Called once by a test file, outside of its tests; what it returns opens a fresh and empty
   * database.
   */
  prepare(): (dir: string, options?: OpenOptions) => Promise<OpenDatabase>;
}

/**
 * - `noticesOthers`: the writer knows when another program has changed the database.
 * - `numberText`: prices print as JavaScript prints them; by value they are the same everywhere.
 * - `anyText`: tickers and types may be any text, also with NUL characters and halves of surrogate
 *   pairs.
 * - `fractionalCounts`: volumes and sizes may have fractions.
 * - `ownFrames`: an update is the frame that its save brings, of any size, or none.
 * - `smallLog`: the log can be so small that a test sees it trimmed.
 * - `anyDay`: openings and volumes are known of any day.
 * - `knowsEmpty`: the writer knows whether anything was ever stored.
 */
export type Capability =
  | "noticesOthers"
  | "anyText"
  | "fractionalCounts"
  | "numberText"
  | "ownFrames"
  | "smallLog"
  | "anyDay"
  | "knowsEmpty";

const POSTGRES_LACKS: Driver["lacks"] = {
  anyText: "its text is UTF-8 without NUL: such a save is refused",
  noticesOthers: "every worker writes, so nothing is kept that others could make wrong",
  smallLog: "it is trimmed every few seconds, not by each commit: see postgres-update-log.test.ts",
};

export const DRIVERS: Driver[] = [
  {
    name: "sqlite",
    lacks: {},
    prepare: () => (dir, options) => reopening(() => openSqlite(join(dir, "test.db"), options)),
  },
  {
    name: "duckdb",
    lacks: {},
    prepare: () => (dir, options) => reopening(() => openDuckDbFile(join(dir, "test.duckdb"), options)),
  },
  {
    name: "postgres",
    lacks: POSTGRES_LACKS,
    prepare() {
      const postgres = usePostgres();
      return async (_, options) => {
        const dbFile = await postgres.freshSchema();
        return reopening(() => openPostgresDatabase(dbFile, options));
      };
    },
  },
  {
    name: "postgres behind PgBouncer",
    lacks: POSTGRES_LACKS,
    ...(process.env.POSTGRES_URL === undefined ? {} : { absent: "POSTGRES_URL names another database" }),
    ...(hasPgBouncer ? {} : { absent: "pgbouncer is not installed" }),
    prepare() {
      const postgres = usePostgres("max_connections=400");
      return async (_, options) => {
        const dbFile = await postgres.freshDatabaseBehindPgBouncer();
        return reopening(() => openPostgresDatabase(dbFile, options));
      };
    },
  },
  {
    name: "another server",
    lacks: {
      anyText: "requests are JSON in UTF-8: a half of a surrogate pair is refused",
      anyDay: "its commands tell those of today",
      knowsEmpty: "only a server with a database of its own asks, to fill it with a sample",
      noticesOthers: "nothing is kept that others could make wrong",
      ownFrames: "the upstream makes the frames, from the rows, and bounds its own log",
      smallLog: "the bound is the upstream's",
    },
    prepare: () => (dir) => {
      const sent: SentSaves = new Map();
      return reopening(() => openAnotherServer(join(dir, "upstream.db"), sent));
    },
  },
];

/** Of a database, without what reopening adds. */
export type Opened = Omit<OpenDatabase, "reopen">;

async function reopening(open: () => Promise<Opened>): Promise<OpenDatabase> {
  let db = await open();
  return {
    get writer() {
      return db.writer;
    },
    get reader() {
      return db.reader;
    },
    openTransfer: () => db.openTransfer(),
    execute: (statement) => db.execute(statement),
    async reopen() {
      await db[Symbol.asyncDispose]();
      db = await open();
    },
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  };
}

async function openSqlite(dbFile: string, options: OpenOptions = {}): Promise<Opened> {
  const settings: Settings = { ...parseSettings([], {}).settings, ...options, dbFile };
  const writer = openSqliteWriter(settings);
  const reader = new SqliteReader(dbFile, settings.dbPoolSize);
  return {
    writer,
    reader,
    openTransfer: async () => new SqliteTransfer(dbFile),
    async execute(statement) {
      changeAsAnotherProgram(settings.dbFile, statement);
    },
    async [Symbol.asyncDispose]() {
      await reader.close();
      await writer.close();
    },
  };
}

async function openDuckDbFile(path: string, options: OpenOptions = {}): Promise<Opened> {
  const open = () =>
    openDuckDb({
      path,
      memoryLimitMb: 512,
      threads: 2,
      ...options,
      onFatal(error) {
        throw error;
      },
    });
  let db = await open();
  return {
    get writer() {
      return db.writer;
    },
    get reader() {
      return db.reader;
    },
    openTransfer: () => db.openTransfer(),
    async execute(statement) {
      if (/^create /i.test(statement)) {
        // What a table is, only another program changes: while no server has the file open.
        await db.close();
        await changeDuckDbFile(path, statement);
        db = await open();
        return;
      }
      const request = { sql: statement, params: [], mode: "write" as const, maxRows: 1 };
      const outcome = await db.sql.run(request, { timeoutMs: 60_000 });
      if (outcome.status !== "rows") throw new Error(`${statement}: ${JSON.stringify(outcome)}`);
    },
    [Symbol.asyncDispose]: () => db.close(),
  };
}

async function openPostgresDatabase(dbFile: string, options: OpenOptions = {}): Promise<Opened> {
  const db = await openPostgres({ ...parseSettings([], {}).settings, ...options, dbFile });
  return {
    writer: db.writer,
    reader: db.reader,
    openTransfer: async () => (await openTransferReader(dbFile))!,
    async execute(statement) {
      const { connection } = await connectForReading(dbFile);
      await connection.run(statement);
      await connection.close();
    },
    [Symbol.asyncDispose]: () => db.close(),
  };
}
