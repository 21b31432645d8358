import { expect, test } from "bun:test";

/** Run in a process of its own, which has few descriptors. */
const SCRIPT = `
  import { openSync, closeSync } from "node:fs";
  import { residentBytes, startOf } from "${import.meta.dir}/resident.ts";
  const parent = process.ppid;
  const known = [residentBytes(parent), startOf(parent)];
  const taken = [];
  try { for (;;) taken.push(openSync("/dev/null", "r")); } catch { /* none is left */ }
  const blind = [residentBytes(parent), residentBytes(1), startOf(parent)];
  for (const fd of taken) closeSync(fd);
  console.log(JSON.stringify({ known, blind, taken: taken.length, gone: residentBytes(0x3fffff) }));
`;

const isLinux = process.platform === "linux";
if (!isLinux) console.log("resident.test.ts: skipped, as /proc is Linux's");

test.skipIf(!isLinux)(
  "without a descriptor to look with, what was known stays, and nobody is taken for gone",
  async () => {
    const child = Bun.spawn(["sh", "-c", 'ulimit -n 100 && exec "$0" -e "$1"', process.execPath, SCRIPT], {
      stdout: "pipe",
    });
    const seen = JSON.parse(await child.stdout.text());
    expect(seen.taken).toBeLessThan(100);
    expect(seen.known[0]).toBeGreaterThan(0);
    expect(seen.blind[0]).toBe(seen.known[0]);
    expect(seen.blind[1]).toBeGreaterThan(0);
    // NaN: nobody's.
    expect(seen.blind[2]).toBeNull();
    expect(seen.gone).toBe(0);
  },
);
