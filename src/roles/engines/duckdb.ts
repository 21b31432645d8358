/** DuckDB, in the one process that has the file open: the hub's. */
import { openDuckDb } from "../../storage/duckdb/open-duckdb.ts";
import type { DatabaseSettings, HubStorage, OpenWriter } from "../engine.ts";

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
