/** Processes as /proc shows them. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

export interface ProcessStat {
  /** "R", "S", "Z" … */
  state: string;
  parent: number;
  group: number;
}

/** null for a process that has gone. */
export function statOf(pid: number): ProcessStat | null {
  const stat = readProc(pid, "stat");
  if (stat === "") return null;
  // After the name in brackets, which may hold anything: state, parent, group.
  const [state = "", parent, group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { state, parent: Number(parent), group: Number(group) };
}

/**
 * A zombie counts as gone, as it runs nothing and holds nothing. But while other threads of it are
 * still about to end, its files, locks and listeners are open.
 */
export function isAlive(pid: number): boolean {
  const stat = statOf(pid);
  if (stat === null || stat.state === "X") return false;
  return stat.state !== "Z" || threadCount(pid) > 1;
}

/** Of all processes. */
export function allPids(): number[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number);
}

/** "" for a process that has gone meanwhile. */
export function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return "";
  }
}

/** The most that was resident since the start, or since `resetPeakMb`. */
export function peakMb(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readProc(pid, "status"))?.[1] ?? Number.NaN) / 1024;
}

export function resetPeakMb(pid: number): void {
  // 5 resets the peak: proc_pid_clear_refs(5).
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

function threadCount(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).length;
  } catch {
    return 0;
  }
}
