/** A start that is expected to fail: what it says, how it exits, how long it takes. */
import { BUN_LAUNCHER } from "./server.ts";

export interface FailedStart {
  code: number;
  output: string;
  tookMs: number;
}

/** Of a start that hangs; it is killed then, which gives the code 137. */
const HANGS_AFTER_MS = 60_000;

export async function failingStart(flags: string[], cwd?: string): Promise<FailedStart> {
  const started = performance.now();
  const child = Bun.spawn([...BUN_LAUNCHER, ...flags], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    ...(cwd === undefined ? {} : { cwd }),
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), HANGS_AFTER_MS);
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  clearTimeout(timer);
  return { code, output: stdout + stderr, tookMs: performance.now() - started };
}
