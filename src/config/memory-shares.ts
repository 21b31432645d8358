/** How --memory-mb is shared out. */
import { usableMemoryBytes } from "./control-groups.ts";
import { MIB } from "./units.ts";

/** Share of the usable memory. The rest is for the page cache, without which a database is slow. */
const DEFAULT_SHARE = 0.75;
export const MEMORY_MB_MIN = 256;
export const MEMORY_MB_MAX = 16 * 1024 * 1024;
/** A supervisor, a hub or a worker with some clients. */
const PROCESS_BYTES = 80 * MIB;
/** User-written SQL gets half of what the processes leave, within these bounds. */
const SQL_BYTES_MIN = 128 * MIB;
const SQL_BYTES_MAX = 1536 * MIB;
/** Bodies of requests get an eighth. Parsed, they may take ten times that. */
const BODY_SHARE = 1 / 8;
const BODY_BYTES_MAX = 512 * MIB;
/** An idle SQL runner takes 45 MB. */
const RUNNER_BYTES = 64 * MIB;
/** Advice is rounded up to this. */
const STEP_BYTES = 64 * MIB;

interface Shared {
  memoryBytes: number;
  workers: number;
}

export function defaultMemoryMb(): number {
  const mb = Math.floor((usableMemoryBytes() * DEFAULT_SHARE) / MIB);
  return Math.min(MEMORY_MB_MAX, Math.max(MEMORY_MB_MIN, mb));
}

/** With less, the processes alone may come near the bound. */
export function leastMemoryBytes(workers: number): number {
  return Math.ceil(((workers + 2) * PROCESS_BYTES + SQL_BYTES_MIN) / STEP_BYTES) * STEP_BYTES;
}

/** For all SQL runners of the server together. */
export function sqlMemoryBytes({ memoryBytes, workers }: Shared): number {
  const left = memoryBytes - (workers + 2) * PROCESS_BYTES;
  return Math.min(SQL_BYTES_MAX, Math.max(SQL_BYTES_MIN, left / 2));
}

/** Statements that run at once, in all workers together. */
export function sqlStatementsMax(settings: Shared & { dbPoolSize: number }): number {
  return Math.max(1, Math.min(settings.dbPoolSize, Math.floor(sqlMemoryBytes(settings) / RUNNER_BYTES)));
}

/** For the requests of one worker. A client address may have half of it; one body always fits. */
export function bodyShares({ memoryBytes, workers, maxBodyBytes }: Shared & { maxBodyBytes: number }): {
  bytesMax: number;
  bytesPerAddressMax: number;
} {
  const share = Math.min(BODY_BYTES_MAX, (memoryBytes * BODY_SHARE) / workers);
  const bytesMax = Math.floor(Math.max(2 * maxBodyBytes, share));
  return { bytesMax, bytesPerAddressMax: Math.floor(bytesMax / 2) };
}
