/**
 * How much memory this process may use: no more than the machine has, nor than its control groups
 * let it have.
 */

import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { dirname, join } from "node:path";

/** v1 says "no limit" with the largest multiple of a page; no machine has as much. */
const UNLIMITED_BYTES = 2 ** 60;

export function usableMemoryBytes(): number {
  const limit = memoryLimit("/sys/fs/cgroup", readOrNull("/proc/self/cgroup"));
  return Math.min(totalmem(), limit ?? Number.POSITIVE_INFINITY);
}

/**
 * The smallest limit of a process's control group and of all groups above it, in bytes; null
 * without one.
 *
 * @param root Where the control groups are mounted.
 * @param membership The text of /proc/<pid>/cgroup; null where there is none.
 */
export function memoryLimit(root: string, membership: string | null): number | null {
  const limits: number[] = [];
  for (const line of membership?.split("\n") ?? []) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) continue;
    if (controllers === "") collect(root, path, ["memory.max", "memory.high"], limits);
    else if (controllers!.split(",").includes("memory"))
      collect(join(root, "memory"), path, ["memory.limit_in_bytes"], limits);
  }
  return limits.length === 0 ? null : Math.min(...limits);
}

/**
 * Inside a container the path is often that of the host and absent here; the walk up then ends at
 * the mount, which is right.
 */
function collect(root: string, path: string, files: string[], into: number[]): void {
  for (let at = path; ; at = dirname(at)) {
    for (const file of files) {
      const bytes = Number(readOrNull(join(root, at, file))?.trim() || "max");
      if (bytes > 0 && bytes < UNLIMITED_BYTES) into.push(bytes);
    }
    if (at === "/") return;
  }
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Not Linux, or no such group: both mean that nothing limits us here.
    return null;
  }
}
