import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";

/**
 * CPUs this process may use, at least 1: no more than its affinity mask allows, nor than the quota
 * of its control group, rounded up. A container limited to 2 CPUs on a 64-CPU machine gets 2.
 */
export function usableCpus(): number {
  const quota = cpuQuota("/sys/fs/cgroup", readOrNull("/proc/self/cgroup"));
  return Math.max(
    1,
    Math.min(availableParallelism(), quota === null ? Number.POSITIVE_INFINITY : Math.ceil(quota)),
  );
}

/**
 * The tightest CPU quota of a process's control group and of all groups above it; null without one.
 *
 * @param root Where the control groups are mounted.
 * @param membership The text of /proc/<pid>/cgroup; null where there is none.
 */
export function cpuQuota(root: string, membership: string | null): number | null {
  const quotas: number[] = [];
  for (const line of membership?.split("\n") ?? []) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) continue;
    if (controllers === "") collect(root, path, quotaV2, quotas);
    else if (controllers!.split(",").includes("cpu")) collect(join(root, "cpu"), path, quotaV1, quotas);
  }
  return quotas.length === 0 ? null : Math.min(...quotas);
}

/**
 * Inside a container the path is often that of the host and absent here; the walk up then ends at
 * the mount, which is right.
 */
function collect(root: string, path: string, read: (folder: string) => number | null, into: number[]): void {
  for (let at = path; ; at = dirname(at)) {
    const quota = read(join(root, at));
    if (quota !== null) into.push(quota);
    if (at === "/") return;
  }
}

function quotaV2(folder: string): number | null {
  const [quota, period] = readOrNull(join(folder, "cpu.max"))?.trim().split(" ") ?? [];
  return ratio(quota, period);
}

function quotaV1(folder: string): number | null {
  const quota = readOrNull(join(folder, "cpu.cfs_quota_us"));
  return ratio(quota?.trim(), readOrNull(join(folder, "cpu.cfs_period_us"))?.trim());
}

/** "max" (v2) and -1 (v1) mean no quota. */
function ratio(quota: string | undefined, period: string | undefined): number | null {
  const cpus = Number(quota) / Number(period);
  return Number.isFinite(cpus) && cpus > 0 ? cpus : null;
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Not Linux, or no such group: both mean that nothing limits us here.
    return null;
  }
}
