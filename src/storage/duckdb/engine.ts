/**
 * DuckDB lets one process open a file, so the hub does. Workers never load its library, which has
 * 70 MB.
 */
import { MIB } from "../../config/units.ts";
import type { DatabaseSettings, Engine, HubEvents } from "../engine.ts";
import { OpenedFile } from "../opened-file.ts";
import { DUCKDB_FORMAT } from "./file-format.ts";
import { DUCKDB_PLAN } from "./plan.ts";

/** For subcommands, which have no flags for them. */
const MEMORY_BYTES = 1024 * MIB;
const THREADS = 2;
/** Of --memory-mb, that DuckDB gets at the most: a save or an answer takes memory beside it. */
const SHARE_OF_MEMORY = 0.5;

export const DUCKDB: Engine = {
  names: { duckdb: "DuckDB" },
  forms: { endings: [".duckdb"], companions: [".wal"] },
  placement: { reads: "hub", saves: "hub", sql: "hub" },
  plan: DUCKDB_PLAN,
  keepsAnswers: true,
  open,
  openTarget: open,
  openToRead: async (dbFile) => (await import("./read-only-file.ts")).openDuckDbToRead(dbFile),
  openImage: async (dbFile) => (await import("./image.ts")).openDuckDbImage(dbFile),
  reserve: async (dbFile) => (await import("./read-only-file.ts")).reserveDuckDb(dbFile),
  async openWorker({ settings }) {
    const file = new OpenedFile(settings.dbFile, DUCKDB_FORMAT);
    return { look: () => file.checkForRead() };
  },
  diagnose: async (dbFile) => (await import("./diagnosis.ts")).diagnoseDuckDb(dbFile),
};

/** Opening the file again in this process isn't safe; a new one replays the WAL. */
async function open(settings: DatabaseSettings, hub?: HubEvents) {
  const { openDuckDb } = await import("./open.ts");
  const { duckdbMemoryBytes = MEMORY_BYTES, duckdbThreads = THREADS } = settings;
  const { memoryBytes = Number.POSITIVE_INFINITY } = settings;
  return openDuckDb({
    path: settings.dbFile,
    memoryLimitMb: Math.floor(Math.min(duckdbMemoryBytes, memoryBytes * SHARE_OF_MEMORY) / MIB),
    serverMemoryBytes: memoryBytes,
    threads: duckdbThreads,
    updateLogBytes: settings.updateLogBytes,
    minFreeBytes: settings.minFreeBytes ?? null,
    ...(hub && { ownProcess: true, onBroken: (reason) => hub.log.error(`Database: ${reason}`) }),
    onFatal: ({ message }) => (hub?.onFatal ?? endSubcommand)(`DuckDB can't go on: ${message}`),
  });
}

function endSubcommand(reason: string): void {
  console.error(`stock-db-server: ${reason}`);
  process.exit(1);
}
