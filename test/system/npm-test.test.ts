/**
 * `npm test`, as CONTRIBUTING.md has it: with a file it runs that file, without any it runs all.
 */
import { expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { tempDir } from "../support/temp-dir.ts";

const ROOT = join(import.meta.dir, "..", "..");

/** What Bun says at the end of `npm test` with these words. */
function npmTest(cwd: string, ...words: string[]): string {
  const run = Bun.spawnSync(["npm", "test", "--", ...words], { cwd, stdin: "ignore" });
  return run.stderr.toString();
}

test("a file is the only one that runs", () => {
  expect(npmTest(ROOT, "src/market/ticker.test.ts")).toContain("across 1 file.");
});

test("of a file, -t picks tests by name", () => {
  const said = npmTest(ROOT, "-t", "newest date wins", "src/market/ticker.test.ts");
  expect(said).toContain("matched 0 tests. Searched 1 file ");
});

test("without a file, the tests of every folder run", async () => {
  // To load all files of the repository takes a minute.
  using dir = tempDir();
  const files = [
    "src/a.test.ts",
    "src/b/c.test.ts",
    "test/d/e.test.ts",
    "bench/f.test.ts",
    "scripts/g.test.ts",
  ];
  for (const file of files) {
    mkdirSync(dirname(join(dir.path, file)), { recursive: true });
    writeFileSync(join(dir.path, file), 'import { test } from "bun:test";\ntest("is run", () => {});\n');
  }
  await Bun.write(join(dir.path, "package.json"), Bun.file(join(ROOT, "package.json")));
  symlinkSync(join(ROOT, "node_modules"), join(dir.path, "node_modules"));
  expect(npmTest(dir.path)).toContain(`Ran ${files.length} tests across ${files.length} files`);
});
