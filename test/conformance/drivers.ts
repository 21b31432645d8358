/** The storage drivers that the conformance suite runs on. A new driver adds its line here. */
import { expect } from "bun:test";
import { basename, join } from "node:path";
import type { Settings } from "../../src/config/settings.ts";
import { parseSettings } from "../../src/config/settings.ts";
import type { StockReader, StockWriter, TransferReader } from "../../src/storage/contract.ts";
import { DUCKDB } from "../../src/storage/duckdb/engine.ts";
import { openDuckDb } from "../../src/storage/duckdb/open.ts";
import type { Engine } from "../../src/storage/engine.ts";
import { POSTGRES } from "../../src/storage/postgres/engine.ts";
import { connectForReading, openPostgres } from "../../src/storage/postgres/open.ts";
import { REMOTE } from "../../src/storage/remote/engine.ts";
import { SQLITE } from "../../src/storage/sqlite/engine.ts";
import { openSqlite } from "../../src/storage/sqlite/open.ts";
import { SqliteReader } from "../../src/storage/sqlite/reader.ts";
import { MEMORY, openMemory } from "../memory-engine/engine.ts";
import { changeAsAnotherProgram } from "../support/another-program.ts";
import { changeDuckDbFile } from "../support/duckdb-file.ts";
import { hasPgBouncer, usePostgres } from "../support/postgres.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { openAnotherServer } from "./another-server.ts";

export interface OpenDatabase extends AsyncDisposable {
  readonly writer: StockWriter;
  readonly reader: StockReader;
  /** A statement that writes, as another program would send it. */
  execute(statement: string): Promise<void>;
  /** What a copy reads, to be closed before the database. */
  openTransfer(): Promise<TransferReader>;
  /** Closes the database and opens it again: `writer` and `reader` are others then. */
  reopen(): Promise<void>;
}

export interface OpenOptions {
  updateLogBytes?: number;
}

interface Line {
  name: string;
  engine: Engine;
  /** What it can't do, with the reason; the tests of it are skipped. */
  lacks: Partial<Record<Capability, string>>;
  /** Why it can't be tested here: none of its tests is run. */
  absent?: string;
  /**
   * Called once by a test file, outside of its tests. What it returns gives `--db-file` of a
   * database that isn't there yet, or is empty.
   */
  place(): (dir: string) => string | Promise<string>;
  open(dbFile: string, options?: OpenOptions): Promise<Opened>;
  /** A server of the database, for an engine whose `--db-file` is the address of one. */
  serve?(dbFile: string): Promise<RunningServer>;
}

export interface Driver extends Line {
  /** As `place`; what it returns opens the database. */
  prepare(): (dir: string, options?: OpenOptions) => Promise<OpenDatabase>;
}

/**
 * - `noticesOthers`: the writer knows when another program has changed the database.
 * - `numberText`: prices print as JavaScript prints them; by value they are the same everywhere.
 * - `anyText`: tickers and types may be any text, also with NUL characters and halves of surrogate
 *   pairs.
 * - `fractionalCounts`: volumes and sizes may have fractions.
 * - `ownFrames`: the frames of saves are kept as they were given, in a log with a bound.
 * - `smallLog`: the log can be so small that a test sees it trimmed.
 * - `anyDay`: openings and volumes are known of any day.
 * - `knowsEmpty`: the writer knows whether anything was ever stored.
 * - `sql`: other programs can change the database by statements.
 * - `snapshots`: rows of many series come from one moment, with their positions.
 * - `columnSaves`: rows can be saved as columns.
 * - `notes`: it keeps notes, and so the roll-ups of a server.
 * - `ageing`: rows can be removed because they are old, which is no update.
 * - `saveGroups`: saves of several tickers can be stored together or not at all.
 */
export type Capability =
  | "noticesOthers"
  | "anyText"
  | "fractionalCounts"
  | "numberText"
  | "ownFrames"
  | "smallLog"
  | "anyDay"
  | "knowsEmpty"
  | "sql"
  | "snapshots"
  | "columnSaves"
  | "notes"
  | "ageing"
  | "saveGroups";

const POSTGRES_LACKS: Driver["lacks"] = {
  anyText: "its text is UTF-8 without NUL: such a save is refused",
  noticesOthers: "every worker writes, so nothing is kept that others could make wrong",
  smallLog: "it is trimmed every few seconds, not by each commit: see postgres-update-log.test.ts",
};

const LINES: Line[] = [
  {
    name: "sqlite",
    engine: SQLITE,
    lacks: {},
    place: () => (dir) => join(dir, "test.db"),
    open: openSqliteFile,
  },
  {
    name: "duckdb",
    engine: DUCKDB,
    lacks: {},
    place: () => (dir) => join(dir, "test.duckdb"),
    open: openDuckDbFile,
  },
  {
    name: "postgres",
    engine: POSTGRES,
    lacks: POSTGRES_LACKS,
    place() {
      const postgres = usePostgres();
      return () => postgres.freshSchema();
    },
    open: openPostgresDatabase,
  },
  {
    name: "postgres behind PgBouncer",
    engine: POSTGRES,
    lacks: POSTGRES_LACKS,
    ...(process.env.POSTGRES_URL === undefined ? {} : { absent: "POSTGRES_URL names another database" }),
    ...(hasPgBouncer ? {} : { absent: "pgbouncer is not installed" }),
    place() {
      const postgres = usePostgres("max_connections=400");
      return () => postgres.freshDatabaseBehindPgBouncer();
    },
    open: openPostgresDatabase,
  },
  {
    name: "another server",
    engine: REMOTE,
    lacks: {
      anyText: "requests are JSON in UTF-8: a half of a surrogate pair is refused",
      anyDay: "its commands tell those of today",
      snapshots: "each of its answers has one series",
      columnSaves: "its commands take rows",
      knowsEmpty: "only a server with a database of its own asks, to fill it with a sample",
      noticesOthers: "nothing is kept that others could make wrong",
      notes: "they are the upstream's own",
      ageing: "the upstream removes what is old",
      ownFrames: "the upstream makes the frames, from the rows, and bounds its own log",
      saveGroups: "its commands save one ticker at a time",
      smallLog: "the bound is the upstream's",
    },
    place: () => (dir) => join(dir, "upstream.db"),
    open: openAnotherServer,
    serve: (dbFile) => startServer({ dbFile }),
  },
  {
    name: "memory",
    engine: MEMORY,
    lacks: {
      noticesOthers: "no other program reaches the memory of this one",
      sql: "it takes none",
      ageing: "it keeps all that a test saves",
      columnSaves: "its rows are lists in memory",
    },
    place: () => (dir) => `memory:${basename(dir)}`,
    open: openInMemory,
  },
];

export const DRIVERS: Driver[] = LINES.map((line) => ({
  ...line,
  prepare() {
    const place = line.place();
    return async (dir, options) => {
      const dbFile = await place(dir);
      return reopening(() => line.open(dbFile, options));
    };
  },
}));

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

async function openSqliteFile(dbFile: string, options: OpenOptions = {}): Promise<Opened> {
  const settings: Settings = { ...parseSettings([], {}).settings, ...options, dbFile };
  const { writer, close } = openSqlite(settings);
  const reader = new SqliteReader(dbFile, settings.dbPoolSize);
  return {
    writer,
    reader,
    openTransfer: async () => (await SQLITE.openToRead(dbFile))!,
    async execute(statement) {
      changeAsAnotherProgram(settings.dbFile, statement);
    },
    async [Symbol.asyncDispose]() {
      reader.close();
      await close();
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

async function openInMemory(dbFile: string, options: OpenOptions = {}): Promise<Opened> {
  const { writer, reader, openTransfer, close } = openMemory({ dbFile, ...options });
  return {
    writer,
    reader,
    openTransfer: async () => openTransfer(),
    execute: async (statement) => expect.unreachable(statement),
    [Symbol.asyncDispose]: async () => close(),
  };
}

async function openPostgresDatabase(dbFile: string, options: OpenOptions = {}): Promise<Opened> {
  const db = await openPostgres({ ...parseSettings([], {}).settings, ...options, dbFile });
  return {
    writer: db.writer,
    reader: db.reader,
    openTransfer: async () => (await POSTGRES.openToRead(dbFile))!,
    async execute(statement) {
      const { connection } = await connectForReading(dbFile);
      await connection.run(statement);
      await connection.close();
    },
    [Symbol.asyncDispose]: () => db.close(),
  };
}
