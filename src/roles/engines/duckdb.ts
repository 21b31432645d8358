/** DuckDB, in the one process that has the file open: the hub's. */
import { existsSync, statSync } from "node:fs";
import type { Settings } from "../../config/settings.ts";
import type { LogLines } from "../../observe/log.ts";
import { unavailable } from "../../protocol/errors.ts";
import type { StockWriter, TransferReader } from "../../storage/contract.ts";
import { explain } from "../../storage/duckdb/duckdb-file.ts";
import { DuckDbTransfer } from "../../storage/duckdb/duckdb-transfer.ts";
import { type DuckDbOptions, openDuckDb } from "../../storage/duckdb/open-duckdb.ts";
import { openReadOnly } from "../../storage/duckdb/read-only-file.ts";
import type { DatabaseSettings, HubStorage, OpenTransferTarget, OpenWriter } from "../engine.ts";
import { transferTarget } from "./transfer-target.ts";

export { diagnoseDuckDb } from "../../storage/duckdb/duckdb-diagnosis.ts";

/**
 * For commands other than `serve`, which have no flags for them; those leave the log of updates as
 * long as it is.
 */
const MEMORY_MB = 1024;
const THREADS = 2;
/** Of --memory-mb, that DuckDB gets at the most: a save or an answer takes memory beside it. */
const SHARE_OF_MEMORY = 0.5;

type HubSettings = DatabaseSettings & Partial<Pick<Settings, "updateLogMb">>;

/** @throws Error it can't be opened; the process should end then. */
export async function openDuckDbHub(
  settings: HubSettings,
  onFatal: (reason: string) => void,
  log: Pick<LogLines, "error">,
): Promise<HubStorage> {
  const database = await open(settings, onFatal, {
    ownProcess: true,
    onBroken: (reason) => log.error(`Database: ${reason}`),
  });
  const { reader, sql, writer } = database;
  const look = (): void => {
    const lost = writer.lost?.() ?? null;
    if (lost !== null) throw unavailable(`read: ${lost}`);
  };
  return { writer: writerOf(database), database: { reader, sql, look } };
}

export async function openDuckDbWriter(settings: DatabaseSettings): Promise<OpenWriter> {
  const writer = writerOf(await open(settings, endWith));
  return { ...writer, preparation: withNotes(writer.preparation, writer) };
}

/** @throws Error another process has it open, or it can't be read. */
export async function openDuckDbTransferReader(dbFile: string): Promise<TransferReader | null> {
  // An empty file is an empty database, which DuckDB can't open without writing.
  if (!existsSync(dbFile) || statSync(dbFile).size === 0) return null;
  try {
    const { session, ...file } = await openReadOnly(dbFile);
    return new DuckDbTransfer(session, file);
  } catch (error) {
    throw new Error(`cannot read ${dbFile}: ${explain(error)}`, { cause: error });
  }
}

/** Writes and reads back through one instance: a file can't be opened twice. */
export async function openDuckDbTransferTarget(settings: DatabaseSettings): Promise<OpenTransferTarget> {
  const database = await open(settings, endWith);
  const reader = await database.openTransfer();
  return transferTarget(database.writer, reader, {
    preparation: withNotes(database.preparation, database.writer),
    async close() {
      await reader.close();
      await database.close();
    },
  });
}

/** Opening the file again in this process isn't safe; a new one replays the WAL. */
function open(
  {
    dbFile,
    duckdbMemoryMb = MEMORY_MB,
    duckdbThreads = THREADS,
    memoryMb,
    updateLogMb,
    minFreeMb = null,
  }: HubSettings,
  onFatal: (reason: string) => void,
  own: Pick<DuckDbOptions, "ownProcess" | "onBroken"> = {},
) {
  return openDuckDb({
    path: dbFile,
    memoryLimitMb: Math.min(
      duckdbMemoryMb,
      Math.floor((memoryMb ?? Number.POSITIVE_INFINITY) * SHARE_OF_MEMORY),
    ),
    serverMemoryMb: memoryMb,
    threads: duckdbThreads,
    updateLogMb,
    minFreeMb,
    ...own,
    onFatal: (error) => onFatal(`DuckDB can't go on: ${error.message}`),
  });
}

/** A subcommand says at once all that a server would log. */
function withNotes(preparation: string | null, writer: Pick<StockWriter, "takeNotes">): string | null {
  const said = [preparation, ...(writer.takeNotes?.() ?? [])].filter((text) => text !== null);
  return said.length === 0 ? null : said.join("; ");
}

/** Of a subcommand. */
function endWith(reason: string): void {
  console.error(`stock-db-server: ${reason}`);
  process.exit(1);
}

function writerOf({ writer, preparation, epochBegun, close }: Awaited<ReturnType<typeof open>>): OpenWriter {
  return {
    preparation,
    epochBegun,
    commit: (saves) => writer.commit(saves),
    ...(writer.commitColumns && { commitColumns: writer.commitColumns.bind(writer) }),
    changedByOthers: () => writer.changedByOthers(),
    removeCheck: (ticker) => writer.removeCheck(ticker),
    roomLack: () => writer.roomLack?.() ?? null,
    lost: () => writer.lost?.() ?? null,
    isEmpty: () => writer.isEmpty(),
    beginEpoch: () => writer.beginEpoch(),
    takeNotes: () => writer.takeNotes?.() ?? [],
    tidy: () => writer.tidy?.() ?? false,
    close: () => close(),
  };
}
