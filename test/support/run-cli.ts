/** Runs a subcommand the way a user does: a process of its own, its exit code and what it wrote. */
import { join, resolve } from "node:path";

const MAIN = join(resolve(import.meta.dir, "../.."), "src/main.ts");

export interface CliOutcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** @param input Standard input; none by default. */
export async function runCli(args: string[], input: Uint8Array | null = null): Promise<CliOutcome> {
  await using child = Bun.spawn([process.execPath, "--no-orphans", MAIN, ...args], {
    stdin: input ?? "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, NO_COLOR: "1" },
  });
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, stdout, stderr };
}
