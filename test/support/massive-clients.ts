/**
 * The clients of Massive, which was Polygon, from the registries of Python and Node: installed as
 * Alpaca's are, and kept for later runs.
 */
import { join } from "node:path";
import { type InstalledClient, installed, skipped } from "./alpaca-clients.ts";
import { pythonEnvironment } from "./python-environment.ts";

const MASSIVE_JS = "@massive.com/client-js@10.8.0";

/** Null, with a reason in the output, where it can't be installed. */
export async function massivePy(): Promise<InstalledClient | null> {
  const python = await pythonEnvironment();
  return python === null
    ? null
    : { command: (program, ...args) => [python, "-u", fixture(program), ...args], env: {} };
}

export async function massiveJs(): Promise<InstalledClient | null> {
  const [node, npm] = [Bun.which("node"), Bun.which("npm")];
  if (node === null || npm === null) return skipped(MASSIVE_JS, "there is no node and npm");
  const folder = await installed(MASSIVE_JS, "massive-js-10.8.0", (target) => [
    ...[npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save"],
    ...["--prefix", target, MASSIVE_JS],
  ]);
  if (folder === null) return null;
  const module = join(folder, "node_modules/@massive.com/client-js/dist/main.js");
  return { command: (program, ...args) => [node, fixture(program), module, ...args], env: {} };
}

function fixture(program: string): string {
  return join(import.meta.dir, "../fixtures/massive", program);
}
