/** What the figures were measured on: a ratio carries over to other machines, a figure doesn't. */
import { closeSync, fdatasyncSync, openSync, statfsSync, writeSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";

export interface Machine {
  cpu: string;
  cpus: number;
  memoryGb: number;
  kernel: string;
  bun: string;
  /** Median of appending 4 KiB to a file and syncing it, on the disk of the databases. */
  syncMs: number;
  /** The databases are in memory: a save there isn't durable, and figures of saves mean nothing. */
  inMemory: boolean;
}

const SYNCS = 100;
/** TMPFS_MAGIC and RAMFS_MAGIC of linux/magic.h. */
const MEMORY_FILE_SYSTEMS = [0x01021994, 0x858458f6];

export function describeMachine(folder: string): Machine {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cpus: cpus().length,
    memoryGb: totalmem() / 2 ** 30,
    kernel: release(),
    bun: Bun.version,
    syncMs: measureSync(join(folder, "sync")),
    inMemory: MEMORY_FILE_SYSTEMS.includes(statfsSync(folder).type),
  };
}

function measureSync(path: string): number {
  const file = openSync(path, "w");
  const page = new Uint8Array(4096);
  const times: number[] = [];
  for (let i = 0; i < SYNCS; i++) {
    const startedAt = performance.now();
    writeSync(file, page);
    fdatasyncSync(file);
    times.push(performance.now() - startedAt);
  }
  closeSync(file);
  return times.sort((a, b) => a - b)[SYNCS / 2]!;
}
