/**
 * The storage driver that `--db-file` picks. A new driver adds its file in engines/ and its case
 * here, and nothing else.
 */
import { existsSync } from "node:fs";
import { describeDatabase, type Engine } from "../config/database-url.ts";
import type { Settings } from "../config/settings.ts";
import type { HubClient } from "../hub/hub-client.ts";
import type { DatabaseInHub } from "../hub/read-server.ts";
import type { VersionBoard } from "../hub/version-board.ts";
import type { MemoryBoard } from "../memory/memory-board.ts";
import type { Conditions } from "../observe/conditions.ts";
import type { LogLines } from "../observe/log.ts";
import type { StockWriter, TransferReader } from "../storage/contract.ts";
import type { DiagnosisStep } from "../storage/diagnosis.ts";
import type { UserSqlEngine } from "../storage/user-sql-contract.ts";
import type { UpdateSink, WorkerStorage } from "../worker/worker-storage.ts";
import { openDuckDbWorker } from "./engines/duckdb-worker.ts";
import { diagnoseRemote, openRemoteHub, openRemoteTransfer, openRemoteWorker } from "./engines/remote.ts";
import {
  diagnoseSqlite,
  openSqliteHub,
  openSqliteTransferReader,
  openSqliteTransferTarget,
  openSqliteUserSql,
  openSqliteWorker,
  openSqliteWriter,
} from "./engines/sqlite.ts";

/** Loaded where they are used: DuckDB's library alone has 70 MB. */
const duckDb = () => import("./engines/duckdb.ts");
const postgres = () => import("./engines/postgres.ts");

export type DatabaseSettings = Pick<Settings, "dbFile" | "durability"> &
  /**
   * Without `updateLogBytes` nothing is taken out of the update log: the server that opens the
   * database next does.
   */
  Partial<
    Pick<Settings, "duckdbMemoryBytes" | "duckdbThreads" | "memoryBytes" | "updateLogBytes" | "minFreeBytes">
  >;

export interface OpenWriter extends StockWriter {
  /** What opening did to the database, for the log; null if nothing. */
  readonly preparation: string | null;
  /** Why a new epoch began, for the log; null or absent where the one before goes on. */
  readonly epochBegun?: string | null;
  /** Begins a new epoch, and returns it. Absent where the database has a way of its own. */
  beginEpoch?(): string | Promise<string>;
}

/** What the hub's process holds of the database. */
export interface HubStorage {
  /** Null when workers commit for themselves. */
  writer: OpenWriter | null;
  /** Null when workers read for themselves. */
  database: Omit<DatabaseInHub, "written"> | null;
  /** Where the sample goes when workers commit for themselves. */
  sampleWriter?: OpenWriter;
  /** For the log, once for each server. */
  warning?: string;
}

export interface WorkerStorageOptions {
  settings: Settings;
  hub: HubClient;
  board: VersionBoard;
  memory: MemoryBoard;
  /** For an engine with a source of updates of its own. */
  updates: UpdateSink;
  /** Of this server, the same in all its workers, and of no other. */
  serverId: string;
  log: LogLines;
  /** Of several workers, the one that logs what concerns the database and not a worker. */
  isFirst: boolean;
  /** What keeps the worker from all of its work, for `/ready`. */
  conditions: Conditions;
  /** argv and environment of one SQL runner. */
  runner: { command: string[]; env: Record<string, string | undefined> };
}

export function databaseType(settings: Pick<Settings, "dbFile">): Engine {
  return describeDatabase(settings.dbFile).engine;
}

/** @throws Error with the reason why the database can't be served. */
export async function openHubStorage(
  settings: Settings,
  onFatal: (reason: string) => void,
  log: Pick<LogLines, "error">,
): Promise<HubStorage> {
  switch (databaseType(settings)) {
    case "duckdb":
      return (await duckDb()).openDuckDbHub(settings, onFatal, log);
    case "remote":
      return openRemoteHub(settings);
    case "postgresql":
    case "timescaledb":
      return (await postgres()).openPostgresHub(settings);
    default:
      return openSqliteHub(settings);
  }
}

export async function openWorkerStorage(options: WorkerStorageOptions): Promise<WorkerStorage> {
  switch (databaseType(options.settings)) {
    case "duckdb":
      return openDuckDbWorker(options);
    case "remote":
      return openRemoteWorker(options);
    case "postgresql":
    case "timescaledb":
      return (await postgres()).openPostgresWorker(options);
    default:
      return openSqliteWorker(options);
  }
}

/** The one writer of a database that no server has open. */
export async function openWriter(settings: DatabaseSettings): Promise<OpenWriter> {
  switch (databaseType(settings)) {
    case "duckdb":
      return (await duckDb()).openDuckDbWriter(settings);
    case "postgresql":
    case "timescaledb":
      return (await postgres()).openPostgresWriter(settings);
    default:
      return openSqliteWriter(settings);
  }
}

/** A database that a copy writes into and reads back. */
export interface OpenTransferTarget extends TransferReader {
  commit: StockWriter["commit"];
  /** What opening did to the database, for the user; null if nothing. */
  readonly preparation: string | null;
}

/**
 * A database that a copy reads; a server may have it open where the engine allows that. Never
 * creates or changes it.
 *
 * @returns Null when there is none.
 * @throws Error with the reason why it can't be read.
 */
export async function openTransferReader(dbFile: string): Promise<TransferReader | null> {
  switch (databaseType({ dbFile })) {
    case "duckdb":
      return (await duckDb()).openDuckDbTransferReader(dbFile);
    case "remote":
      return openRemoteTransfer(dbFile);
    case "postgresql":
    case "timescaledb":
      return (await postgres()).openPostgresTransferReader(dbFile);
    default:
      return openSqliteTransferReader(dbFile);
  }
}

/** Creates it, or upgrades it, as needed. @throws Error A server has it, or it can't be opened. */
export async function openTransferTarget(settings: DatabaseSettings): Promise<OpenTransferTarget> {
  switch (databaseType(settings)) {
    case "duckdb":
      return (await duckDb()).openDuckDbTransferTarget(settings);
    case "remote":
      return openRemoteTransfer(settings.dbFile);
    case "postgresql":
    case "timescaledb":
      return (await postgres()).openPostgresTransferTarget(settings);
    default:
      return openSqliteTransferTarget(settings);
  }
}

/**
 * Makes the positions that clients know of a database mean nothing: they begin anew.
 *
 * @returns the new epoch.
 * @throws Error there is no such database, a server has it, or its epoch isn't kept in it.
 */
export async function beginEpoch(dbFile: string): Promise<string> {
  const engine = databaseType({ dbFile });
  if (engine === "remote")
    throw new Error("positions are the other server's: begin its epoch where its database is");
  if (engine === "postgresql" || engine === "timescaledb")
    throw new Error('on PostgreSQL one statement does it: see docs/postgresql.md, "Update log"');
  if (!existsSync(dbFile)) throw new Error(`there is no database ${dbFile}`);
  const writer = await openWriter({ dbFile, durability: "full" });
  try {
    return await writer.beginEpoch!();
  } finally {
    await writer.close();
  }
}

/**
 * What `doctor` says about a database; runs in a process of its own, which is ended when it takes
 * too long.
 */
export async function* diagnoseDatabase(dbFile: string): AsyncGenerator<DiagnosisStep> {
  switch (databaseType({ dbFile })) {
    case "duckdb":
      return yield* (await duckDb()).diagnoseDuckDb(dbFile);
    case "remote":
      return yield* diagnoseRemote(dbFile);
    case "postgresql":
    case "timescaledb":
      return yield* (await postgres()).diagnosePostgres(dbFile);
    default:
      return yield* diagnoseSqlite(dbFile);
  }
}

/** What a SQL runner process runs. */
export function openUserSql(settings: DatabaseSettings): UserSqlEngine {
  return openSqliteUserSql(settings);
}
