/** What a process takes of the machine's memory. */
import { readFileSync } from "node:fs";

/** Every Linux that Bun runs on without special builds. */
const PAGE_BYTES = 4096;

/** Resident memory, shared pages included. 0 where it can't be known: the process is gone, or this isn't Linux. */
export function residentBytes(pid: number): number {
  if (process.platform !== "linux") return pid === process.pid ? process.memoryUsage.rss() : 0;
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1]) * PAGE_BYTES;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return 0;
    throw error;
  }
}

/** When the process began, as a number that tells it from a later one of the same pid. 0 where it can't be known. */
export function startOf(pid: number): number {
  if (process.platform !== "linux") return 0;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name before may hold anything: proc_pid_stat(5).
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(BigInt(fields[19]!) & 0x7fffffffn);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return 0;
    throw error;
  }
}
