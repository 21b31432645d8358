/**
 * Everything the benchmark leaves behind if it isn't careful: child processes and a temporary
 * folder. All are registered here, and gone when the benchmark ends, by itself or by Ctrl-C.
 * Children started by `spawnOwn` die with this process even if it is killed.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";

/** For a process that was asked to end, before it is killed. */
const STOP_MS = 15_000;

const children = new Set<Subprocess>();
let folder: string | null = null;

/**
 * A folder of this run; `parent` decides on which disk the databases are. Default: the system's
 * temporary folder.
 */
export function makeRunFolder(parent: string | null): string {
  folder = mkdtempSync(join(parent ?? tmpdir(), "stock-db-bench-"));
  return folder;
}

/**
 * Starts a TypeScript file of this repository with this Bun.
 *
 * @param ipc What to do with a message of the child; leaving it out leaves the channel out.
 * @param log File for the child's output; default: this process's own.
 */
export function spawnOwn(options: {
  file: string;
  args?: string[];
  log?: string;
  ipc?: (message: unknown) => void;
  /** Of a child that ends when its standard input does. */
  stdin?: "pipe";
  /** Beside the variables of this process. */
  env?: Record<string, string>;
}): Subprocess {
  const child = Bun.spawn([process.execPath, "--no-orphans", options.file, ...(options.args ?? [])], {
    cwd: join(import.meta.dir, ".."),
    env: { ...process.env, ...options.env },
    stdin: options.stdin ?? "ignore",
    stdout: options.log === undefined ? "inherit" : Bun.file(options.log),
    stderr: options.log === undefined ? "inherit" : Bun.file(`${options.log}.err`),
    ...(options.ipc === undefined ? {} : { ipc: options.ipc, serialization: "json" as const }),
  });
  children.add(child);
  child.exited.then(() => children.delete(child));
  return child;
}

/**
 * Ends a child with SIGTERM, and with SIGKILL if it takes too long. Returns how long it took, in
 * ms.
 */
export async function stopChild(child: Subprocess): Promise<number> {
  const startedAt = performance.now();
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await child.exited;
  clearTimeout(timer);
  return performance.now() - startedAt;
}

/** Ends all that is left. */
export async function cleanUp(): Promise<void> {
  await Promise.all([...children].map(stopChild));
  if (folder !== null) rmSync(folder, { recursive: true, force: true });
}

/** Makes Ctrl-C and SIGTERM clean up; a second one kills at once. */
export function cleanUpOnSignals(): void {
  let asked = false;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, async () => {
      if (asked) for (const child of children) child.kill("SIGKILL");
      asked = true;
      await cleanUp();
      process.exit(130);
    });
  }
}
