/** The processes of a running server, as /proc shows them. */
import { allPids, isAlive, readProc, statOf } from "./processes.ts";
import { get } from "./requests.ts";
import { type RunningServer, waitUntil } from "./server.ts";

/** So many answers reach each of a few workers, all but surely. */
const READY_IN_A_ROW = 12;

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

/** Resolves when every worker is ready. Each connection is given to any of them. */
export async function untilReady({ url }: RunningServer): Promise<void> {
  await waitUntil("every worker is ready", async () => {
    for (let inARow = 0; inARow < READY_IN_A_ROW; inARow++)
      if ((await get(`${url}/ready`)).status !== 200) return false;
    return true;
  });
}
