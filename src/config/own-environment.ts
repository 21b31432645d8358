/** The environment that this process was started with, without what Bun adds to it. */
import { readFileSync } from "node:fs";

/**
 * Bun adds the variables of `.env` files in the current folder to `process.env`, unless a flag
 * forbids it. This takes them out again when somebody starts the main module by hand. A file that
 * was named with `--env-file` stays in effect. Only Linux tells what was there before.
 */
export function dropDotEnv(): void {
  if (process.execArgv.some((flag) => /^--(no-)?env-file/.test(flag))) return;
  let given: string;
  try {
    given = readFileSync("/proc/self/environ", "utf8");
  } catch {
    return; // not Linux
  }
  const names = new Set(given.split("\0").map((entry) => entry.slice(0, entry.indexOf("="))));
  for (const name of Object.keys(process.env)) if (!names.has(name)) delete process.env[name];
}
