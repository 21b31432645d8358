import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { cpuQuota, usableCpus } from "./usable-cpus.ts";

const root = mkdtempSync(join(tmpdir(), "cpu-quota-"));
afterAll(() => rmSync(root, { recursive: true }));

function file(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

test("the tightest quota of a group and the groups above it counts", () => {
  file("desk/cpu.max", "150000 100000\n");
  file("desk/server/cpu.max", "max 100000\n");
  file("desk/other/cpu.max", "50000 100000\n");
  expect(cpuQuota(root, "0::/desk/server\n")).toBe(1.5);
  expect(cpuQuota(root, "0::/desk/other\n")).toBe(0.5);
});

test("a group that isn't visible here leaves the quota of the mount", () => {
  file("cpu.max", "300000 100000\n");
  expect(cpuQuota(root, "0::/not/here\n")).toBe(3);
});

test("reads the older form of control groups", () => {
  file("cpu/a/cpu.cfs_quota_us", "200000\n");
  file("cpu/a/cpu.cfs_period_us", "100000\n");
  file("cpu/b/cpu.cfs_quota_us", "-1\n");
  file("cpu/b/cpu.cfs_period_us", "100000\n");
  expect(cpuQuota(root, "4:cpu,cpuacct:/a\n3:memory:/a\n")).toBe(2);
  expect(cpuQuota(root, "4:cpu,cpuacct:/b\n")).toBeNull();
});

test("no control groups mean no quota, and there is always one CPU", () => {
  expect(cpuQuota(root, null)).toBeNull();
  expect(usableCpus()).toBeGreaterThanOrEqual(1);
  expect(usableCpus()).toBeLessThanOrEqual(availableParallelism());
});
