/** What this process may use of the machine, as its control groups limit it. */
import { readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { dirname, join } from "node:path";

const ROOT = "/sys/fs/cgroup";
/** v1 says "no limit" with the largest multiple of a page, which no machine has. */
const UNLIMITED_BYTES = 2 ** 60;

/** At least 1: as the affinity mask and the CPU quota allow. Part of a CPU counts as one. */
export function usableCpus(): number {
  const quota = cpuQuota(ROOT, readOrNull("/proc/self/cgroup")) ?? Number.POSITIVE_INFINITY;
  return Math.max(1, Math.min(availableParallelism(), Math.ceil(quota)));
}

export function usableMemoryBytes(): number {
  const limit = memoryLimit(ROOT, readOrNull("/proc/self/cgroup")) ?? Number.POSITIVE_INFINITY;
  return Math.min(totalmem(), limit);
}

/**
 * In CPUs; null without a quota.
 *
 * @param root Where the control groups are mounted.
 * @param membership The text of /proc/<pid>/cgroup; null where there is none.
 */
export function cpuQuota(root: string, membership: string | null): number | null {
  return smallestLimit(root, membership, {
    controller: "cpu",
    v1: (folder) => [
      ratio(readOrNull(join(folder, "cpu.cfs_quota_us")), readOrNull(join(folder, "cpu.cfs_period_us"))),
    ],
    v2: (folder) => [ratio(...(readOrNull(join(folder, "cpu.max"))?.split(" ") ?? []))],
  });
}

/** In bytes; null without a limit. The parameters are those of `cpuQuota`. */
export function memoryLimit(root: string, membership: string | null): number | null {
  const read = (file: string) => Number(readOrNull(file)?.trim() || "max");
  const limit = smallestLimit(root, membership, {
    controller: "memory",
    v1: (folder) => [read(join(folder, "memory.limit_in_bytes"))],
    v2: (folder) => ["memory.max", "memory.high"].map((file) => read(join(folder, file))),
  });
  return limit === null || limit >= UNLIMITED_BYTES ? null : limit;
}

interface ControllerFiles {
  controller: string;
  v1(folder: string): number[];
  v2(folder: string): number[];
}

/** The smallest limit of the process's group and of all groups above it. */
function smallestLimit(root: string, membership: string | null, limits: ControllerFiles): number | null {
  const found: number[] = [];
  for (const line of membership?.split("\n") ?? []) {
    const [, controllers = "", path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) continue;
    if (controllers === "") found.push(...foldersUp(root, path).flatMap(limits.v2));
    else if (controllers.split(",").includes(limits.controller))
      found.push(...foldersUp(join(root, limits.controller), path).flatMap(limits.v1));
  }
  const real = found.filter((limit) => Number.isFinite(limit) && limit > 0);
  return real.length === 0 ? null : Math.min(...real);
}

/**
 * In a container the path is often that of the host and absent here. The walk ends at the mount,
 * which has the container's limits.
 */
function foldersUp(root: string, path: string): string[] {
  const folder = join(root, path);
  return path === "/" ? [folder] : [folder, ...foldersUp(root, dirname(path))];
}

/** Not finite or not above 0 without a quota, which is "max" in v2 and -1 in v1. */
function ratio(quota?: string | null, period?: string | null): number {
  return Number(quota) / Number(period);
}

/** Null where this isn't Linux, or there is no such group: then nothing limits this process. */
function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
