/** The console as users have it, for tests of what serves or ships it. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";

const PROJECT = join(import.meta.dir, "../..");
const CONSOLE = join(PROJECT, "console");

/**
 * Builds the console if its source is newer than what is built. `npm ci` does so as well, so this
 * is for whoever works at it.
 */
export async function buildConsole(): Promise<void> {
  const built = join(CONSOLE, "dist/index.html");
  const builtMs = existsSync(built) ? statSync(built).mtimeMs : 0;
  const sources = ["src/**/*.*", "*.*"].flatMap((pattern) => [...new Glob(pattern).scanSync(CONSOLE)]);
  if (sources.every((path) => statSync(join(CONSOLE, path)).mtimeMs <= builtMs)) return;
  const build = Bun.spawn(["node", join(PROJECT, "scripts/build-console.js")], { stdout: "ignore" });
  if ((await build.exited) !== 0) throw new Error("the console can't be built");
}
