/** What a process takes of the machine's memory. */
import { readFileSync } from "node:fs";

/** Every Linux that Bun runs on without special builds. */
const PAGE_BYTES = 4096;

/**
 * By pid, for a moment without descriptors, in which nobody can look. Those of processes that have
 * gone are removed.
 */
const lastKnown = new Map<number, number>();

/**
 * Resident memory, shared pages included. 0 where it can't be known: the process is gone, or this
 * isn't Linux.
 */
export function residentBytes(pid: number): number {
  if (process.platform !== "linux") return pid === process.pid ? process.memoryUsage.rss() : 0;
  const statm = readProc(pid, "statm");
  // It is alive as far as anybody knows: 0 would mean that it is gone.
  if (statm === "no descriptor") return lastKnown.get(pid) ?? PAGE_BYTES;
  if (statm === null) {
    lastKnown.delete(pid);
    return 0;
  }
  const bytes = Number(statm.split(" ")[1]) * PAGE_BYTES;
  lastKnown.set(pid, bytes);
  return bytes;
}

/**
 * When the process began, as a number that tells it from a later one of the same pid. 0 where it
 * can't be known; NaN, which is nobody's, while no descriptor is left to look with.
 */
export function startOf(pid: number): number {
  if (process.platform !== "linux") return 0;
  const stat = readProc(pid, "stat");
  if (stat === "no descriptor") return Number.NaN;
  if (stat === null) return 0;
  // The name before may hold anything: proc_pid_stat(5).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(BigInt(fields[19]!) & 0x7fffffffn);
}

/** @returns null: the process is gone. */
function readProc(pid: number, file: "statm" | "stat"): string | "no descriptor" | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return null;
    if (code === "EMFILE" || code === "ENFILE") return "no descriptor";
    throw error;
  }
}
