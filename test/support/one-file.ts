/** The server as one file, built as a release builds it. */
import { afterAll, beforeAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildConsole } from "./build-console.ts";

const SCRIPT = join(import.meta.dir, "../../scripts/build-one-file.ts");
const BUILD_MS_MAX = 120_000;

/** @returns its path: built before the first test of the test file, gone after the last. */
export function useOneFile(): () => string {
  const folder = mkdtempSync(join(tmpdir(), "stock-db-built-"));
  const path = join(folder, "stock-db-server");
  beforeAll(async () => {
    await buildConsole();
    const build = Bun.spawn([process.execPath, "--no-orphans", SCRIPT, path], {
      cwd: folder,
      stdio: ["ignore", "pipe", "inherit"],
    });
    if ((await build.exited) !== 0) throw new Error("the one file can't be built");
  }, BUILD_MS_MAX);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return () => path;
}
