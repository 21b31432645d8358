/** `copy` as a process, and the sample that it copies. */
import { expect } from "bun:test";
import { join, resolve } from "node:path";
import { runCli } from "./run-cli.ts";

const SAMPLE = resolve(import.meta.dir, "../../sample");

export const copy = (from: string, to: string, ...flags: string[]) =>
  runCli(["copy", "--quiet", "--from", from, "--to", to, ...flags]);

/** Copies; the series with their counts and checksums, in one order whatever that of the engine. */
export async function copySeries(from: string, to: string, ...flags: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await copy(from, to, "--list", ...flags);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  const lines = stdout.split("\n").filter((line) => line.includes("\t"));
  return lines.map((line) => line.split("\t").slice(0, 4).join("\t")).toSorted();
}

/** @param files of the sample, each with its ticker and further flags of `import`. */
export async function importSample(
  files: readonly (readonly [file: string, ticker: string, ...flags: string[]])[],
  dbFile: string,
): Promise<void> {
  for (const [file, ticker, ...flags] of files) {
    const args = ["import", join(SAMPLE, file), "--db-file", dbFile, "--quiet", "--ticker", ticker, ...flags];
    expect((await runCli(args)).code).toBe(0);
  }
}
