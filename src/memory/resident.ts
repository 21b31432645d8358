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
