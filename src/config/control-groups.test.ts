import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { cpuQuota, memoryLimit, usableCpus, usableMemoryBytes } from "./control-groups.ts";

const MIB = 2 ** 20;
let root = "";

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "cgroup-"));
});

afterEach(() => rmSync(root, { recursive: true }));

function group(path: string, files: Record<string, string>): void {
  mkdirSync(join(root, path), { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, path, name), `${text}\n`);
}

describe("CPUs", () => {
  test("the tightest quota of a group and the groups above it counts", () => {
    group("desk", { "cpu.max": "150000 100000" });
    group("desk/server", { "cpu.max": "max 100000" });
    group("desk/other", { "cpu.max": "50000 100000" });
    expect(cpuQuota(root, "0::/desk/server\n")).toBe(1.5);
    expect(cpuQuota(root, "0::/desk/other\n")).toBe(0.5);
  });

  test("a group that isn't visible here leaves the quota of the mount", () => {
    group("", { "cpu.max": "300000 100000" });
    expect(cpuQuota(root, "0::/not/here\n")).toBe(3);
  });

  test("reads the older form of control groups", () => {
    group("cpu/a", { "cpu.cfs_quota_us": "200000", "cpu.cfs_period_us": "100000" });
    group("cpu/b", { "cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000" });
    expect(cpuQuota(root, "4:cpu,cpuacct:/a\n3:memory:/a\n")).toBe(2);
    expect(cpuQuota(root, "4:cpu,cpuacct:/b\n")).toBeNull();
  });

  test("no control groups mean no quota, and there is always one CPU", () => {
    expect(cpuQuota(root, null)).toBeNull();
    expect(usableCpus()).toBeGreaterThanOrEqual(1);
    expect(usableCpus()).toBeLessThanOrEqual(availableParallelism());
  });
});

describe("memory", () => {
  test("v2: the smallest limit on the way up counts, high as well as max", () => {
    group("a/b/c", { "memory.max": "max", "memory.high": "max" });
    group("a/b", { "memory.max": String(900 * MIB), "memory.high": String(700 * MIB) });
    group("a", { "memory.max": String(800 * MIB) });
    expect(memoryLimit(root, "0::/a/b/c\n")).toBe(700 * MIB);
  });

  test("v2 in a container: the path of the host is absent, the mount itself has the limit", () => {
    group("", { "memory.max": String(512 * MIB) });
    expect(memoryLimit(root, "0::/system.slice/docker-1.scope\n")).toBe(512 * MIB);
  });

  test("v1: the group of the memory controller; its largest number means no limit", () => {
    group("memory/x", { "memory.limit_in_bytes": "9223372036854771712" });
    expect(memoryLimit(root, "4:memory:/x\n0::/\n")).toBe(null);
    group("memory", { "memory.limit_in_bytes": String(256 * MIB) });
    expect(memoryLimit(root, "4:memory:/x\n0::/\n")).toBe(256 * MIB);
  });

  test("no limit, and no control groups", () => {
    group("a", { "memory.max": "max" });
    expect(memoryLimit(root, "0::/a\n")).toBe(null);
    expect(memoryLimit(root, null)).toBe(null);
    expect(usableMemoryBytes()).toBeGreaterThan(0);
    expect(usableMemoryBytes()).toBeLessThanOrEqual(totalmem());
  });
});
