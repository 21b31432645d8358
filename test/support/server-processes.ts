/** The processes of a running server, as /proc shows them. */
import { allPids, isAlive, readProc, statOf } from "./processes.ts";
import type { RunningServer } from "./server.ts";

export interface ServerProcesses {
  hub: number;
  workers: number[];
}

/** Children of the supervisor that are alive, in order of pid. */
export function processesOf(server: Pick<RunningServer, "pid">): ServerProcesses {
  const children = childrenOf(server.pid);
  const withRole = (role: string) => children.filter((pid) => roleOf(pid) === role);
  return { hub: withRole("hub")[0] ?? 0, workers: withRole("worker") };
}

/** Living children. */
export function childrenOf(parent: number): number[] {
  return allPids()
    .filter((pid) => statOf(pid)?.parent === parent && isAlive(pid))
    .sort((a, b) => a - b);
}

/** The subcommand that a child runs: "hub", "worker" or "sql-runner". */
export function roleOf(pid: number): string {
  return readProc(pid, "cmdline").split("\0").filter(Boolean).at(-1) ?? "";
}
