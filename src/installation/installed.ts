/**
 * What this server is installed as: modules that Bun runs, or one file with Bun in it. This folder
 * alone knows which; whatever lies beside the code is found by the same path in both.
 */
import { join } from "node:path";

/** One file: `process.execPath` is the server, not Bun. */
export const IS_ONE_FILE = Bun.isStandaloneExecutable;

/** The folder of package.json; in one file the root of what `scripts/release/` has put into it. */
const ROOT = IS_ONE_FILE ? "/$bunfs/root" : join(import.meta.dir, "../..");

/** The module that every process of the server runs. */
export const MAIN = join(ROOT, "src/main.ts");

/** @param path as seen from package.json. @returns what the functions of node:fs read. */
export function installedFile(path: string): string {
  return join(ROOT, path);
}
