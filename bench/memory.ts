/** Resident memory of other processes, from /proc (Linux). */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

export interface ProcessMemory {
  pid: number;
  /** "supervisor", "hub", "worker 0" …, "server" for a server of one process, "SQL runner". */
  role: string;
  rssMb: number;
  /** Pages shared with others counted in part: what these processes cost together is the sum of this. */
  pssMb: number;
}

/** A process and all that descend from it, the process first. */
export function readTreeMemory(rootPid: number): ProcessMemory[] {
  const parents = readParents();
  const tree = [rootPid];
  for (const pid of tree) {
    for (const [child, parent] of parents) if (parent === pid) tree.push(child);
  }
  return tree.map((pid) => ({
    pid,
    role: readRole(pid, pid === rootPid, tree.length === 1),
    rssMb: readKb(`/proc/${pid}/status`, "VmRSS") / 1024,
    pssMb: readKb(`/proc/${pid}/smaps_rollup`, "Pss") / 1024,
  }));
}

/** The most that was resident since `resetPeakRss`. */
export function readPeakRssMb(pid: number): number {
  return readKb(`/proc/${pid}/status`, "VmHWM") / 1024;
}

export function resetPeakRss(pid: number): void {
  // 5 resets the peak: proc_pid_clear_refs(5).
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

function readKb(path: string, field: string): number {
  const value = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(readFileSync(path, "utf8"));
  return Number(value?.[1] ?? Number.NaN);
}

function readParents(): Map<number, number> {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const parent = /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${entry}/status`, "utf8"));
      parents.set(Number(entry), Number(parent?.[1]));
    } catch {
      parents.delete(Number(entry)); // it has ended meanwhile
    }
  }
  return parents;
}

/** By the brief that the supervisor hands to a child in its environment. */
function readRole(pid: number, isRoot: boolean, isAlone: boolean): string {
  if (isRoot) return isAlone ? "server" : "supervisor";
  const brief = readFileSync(`/proc/${pid}/environ`, "utf8")
    .split("\0")
    .find((entry) => entry.startsWith("STOCK_DB_CHILD="));
  if (brief === undefined) return "SQL runner";
  const { role, workerId } = JSON.parse(brief.slice(brief.indexOf("=") + 1)) as {
    role: string;
    workerId: number;
  };
  return role === "worker" ? `worker ${workerId}` : role;
}
