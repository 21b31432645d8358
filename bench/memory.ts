/** Resident memory of other processes, from /proc (Linux). */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

export interface ProcessMemory {
  pid: number;
  /**
   * "supervisor", "hub", "worker 0" …, "server" for the one that serves by itself, "SQL runner".
   */
  role: string;
  rssMb: number;
  /**
   * Pages shared with others counted in part: what these processes cost together is the sum of
   * this.
   */
  pssMb: number;
}

/** A process and all that descend from it, the process first. */
export function readTreeMemory(rootPid: number): ProcessMemory[] {
  const parents = readParents();
  const tree = [rootPid];
  for (const pid of tree) {
    for (const [child, parent] of parents) if (parent === pid) tree.push(child);
  }
  const found = tree.flatMap((pid) => {
    const status = readProc(`${pid}/status`);
    const rollup = readProc(`${pid}/smaps_rollup`);
    if (status === null || rollup === null) return [];
    const role = pid === rootPid ? "server" : readRole(pid);
    return [{ pid, role, rssMb: readMb(status, "VmRSS"), pssMb: readMb(rollup, "Pss") }];
  });
  const hasWorkers = found.some(({ role }) => role.startsWith("worker"));
  return found.map((each) => (each.pid === rootPid && hasWorkers ? { ...each, role: "supervisor" } : each));
}

/** The most that was resident since `resetPeakRss`. */
export function readPeakRssMb(pid: number): number {
  return readMb(readProc(`${pid}/status`) ?? "", "VmHWM");
}

export function resetPeakRss(pid: number): void {
  // 5 resets the peak: proc_pid_clear_refs(5).
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

function readMb(text: string, field: string): number {
  const value = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text);
  return Number(value?.[1] ?? Number.NaN) / 1024;
}

function readParents(): Map<number, number> {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    const status = /^\d+$/.test(entry) ? readProc(`${entry}/status`) : null;
    const parent = /^PPid:\s+(\d+)/m.exec(status ?? "");
    if (parent !== null) parents.set(Number(entry), Number(parent[1]));
  }
  return parents;
}

/** A file of /proc, or null when its process has ended. */
function readProc(path: string): string | null {
  try {
    return readFileSync(`/proc/${path}`, "utf8");
  } catch {
    return null;
  }
}

/** By the brief that the supervisor hands to a child in its environment. */
function readRole(pid: number): string {
  const brief = (readProc(`${pid}/environ`) ?? "")
    .split("\0")
    .find((entry) => entry.startsWith("STOCK_DB_CHILD="));
  if (brief === undefined) return "SQL runner";
  const { role, workerId } = JSON.parse(brief.slice(brief.indexOf("=") + 1)) as {
    role: string;
    workerId: number;
  };
  return role === "worker" ? `worker ${workerId}` : role;
}
