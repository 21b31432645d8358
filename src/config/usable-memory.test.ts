import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { memoryLimit, usableMemoryBytes } from "./usable-memory.ts";

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
