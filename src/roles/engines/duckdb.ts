/** DuckDB: the hub's process has the file, and workers ask it; they keep answers for as long as the version board lets them. */
import { HubReader } from "../../hub/hub-reader.ts";
import { runSqlInHub } from "../../hub/hub-sql.ts";
import { executeSqlDirectly } from "../../sql/execute.ts";
import { CachedReader } from "../../storage/cached-reader.ts";
import { openDuckDb } from "../../storage/duckdb/open-duckdb.ts";
import type { WorkerStorage } from "../../worker/worker-storage.ts";
import type { DatabaseSettings, HubStorage, OpenWriter, WorkerStorageOptions } from "../engine.ts";

/** For commands other than `serve`, which have no flags for them. */
const MEMORY_MB = 1024;
const THREADS = 2;

/** @throws Error it can't be opened; the process should end then. */
export async function openDuckDbHub(settings: DatabaseSettings): Promise<HubStorage> {
  const database = await open(settings);
  return { writer: writerOf(database), database: { reader: database.reader, sql: database.sql } };
}

export async function openDuckDbWriter(settings: DatabaseSettings): Promise<OpenWriter> {
  return writerOf(await open(settings));
}

export function openDuckDbWorker({ settings, hub, board }: WorkerStorageOptions): WorkerStorage {
  const reader = new CachedReader(new HubReader(hub), board);
  const limits = { timeoutMs: settings.sqlTimeoutS * 1000, maxRows: settings.sqlMaxRows };
  return {
    reader,
    save: (save, frame, request) => hub.save(save, frame, request.length),
    executeSql: (request) =>
      executeSqlDirectly(request, (query, within) => runSqlInHub(hub.reads, query, within), limits),
    sqlFigures: () => ({ runs_at: "hub" }),
    async close() {
      await reader.close();
    },
  };
}

function open({ dbFile, duckdbMemoryMb = MEMORY_MB, duckdbThreads = THREADS }: DatabaseSettings) {
  return openDuckDb({
    path: dbFile,
    memoryLimitMb: duckdbMemoryMb,
    threads: duckdbThreads,
    onFatal(error) {
      // Opening the file again in this process isn't safe; a new one replays the WAL.
      console.error(`DuckDB can't go on: ${error.message}`);
      process.exit(1);
    },
  });
}

function writerOf({ writer, preparation, close }: Awaited<ReturnType<typeof open>>): OpenWriter {
  return {
    preparation,
    commit: (saves) => writer.commit(saves),
    changedByOthers: () => writer.changedByOthers(),
    isEmpty: () => writer.isEmpty(),
    close: () => close(),
  };
}
