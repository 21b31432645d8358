import { readFileSync } from "node:fs";

/** Holds on every Linux that Bun's own builds run on. */
const PAGE_BYTES = 4096;

/** By pid, for moments without a free descriptor. Entries of ended processes are removed. */
const lastKnown = new Map<number, number>();

/** @returns resident bytes, shared pages included; 0 if the process is gone or this isn't Linux. */
export function residentBytes(pid: number): number {
  if (process.platform !== "linux") return pid === process.pid ? process.memoryUsage.rss() : 0;
  const statm = readProc(pid, "statm");
  // 0 would mean that it is gone.
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
 * @returns a start time that tells a process from a later one with its pid. 0 where unknown; NaN,
 *   which equals nothing, while no descriptor is free.
 */
export function startOf(pid: number): number {
  if (process.platform !== "linux") return 0;
  const stat = readProc(pid, "stat");
  if (stat === "no descriptor") return Number.NaN;
  if (stat === null) return 0;
  // The name before may hold any characters: proc_pid_stat(5).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(BigInt(fields[19]!) & 0x7fffffffn);
}

/** @returns null if the process is gone. */
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
