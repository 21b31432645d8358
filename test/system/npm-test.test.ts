/**
 * `npm test`, as CONTRIBUTING.md has it: with a file it runs that file, without any it runs all.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { Glob } from "bun";

const ROOT = join(import.meta.dir, "..", "..");

/** What Bun says at the end of `npm test` with these words. */
function npmTest(...words: string[]): string {
  const run = Bun.spawnSync(["npm", "test", "--", ...words], { cwd: ROOT, stdin: "ignore" });
  return run.stderr.toString();
}

test("a file is the only one that runs", () => {
  expect(npmTest("src/market/ticker.test.ts")).toContain("across 1 file.");
});

test("of a file, -t picks tests by name", () => {
  const said = npmTest("-t", "newest date wins", "src/market/ticker.test.ts");
  expect(said).toContain("matched 0 tests. Searched 1 file ");
});

test("without a file, every test of the repository runs", () => {
  const files = [...new Glob("{src,test,bench,soak,scripts}/**/*.test.ts").scanSync(ROOT)];
  // Where a broker isn't installed, its tests are skipped, which counts as run.
  const said = npmTest("-t", "no test has this name");
  expect(said).toMatch(new RegExp(`(Searched|Ran \\d+ tests across) ${files.length} files`));
});
