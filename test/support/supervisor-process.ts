/**
 * A supervisor that a test has started, seen from outside: its output, its children in /proc, its
 * listeners.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Settings } from "../../src/config/settings.ts";
import { isAlive } from "./processes.ts";

/** Only a test that is about to fail waits this long. */
export const WAIT_MS_MAX = 60_000;
const POLL_MS = 10;

interface WorkerAnswer {
  pid: number;
  pings: number;
  runtimeDir: string;
  notifySocket?: string;
}

export interface SupervisorProcess extends AsyncDisposable {
  readonly pid: number;
  readonly exited: Promise<number>;
  /** What was logged so far. */
  output(): string;
  /** Lines that match. */
  lines(pattern: RegExp): string[];
  /** Waits until `count` lines match. @returns The last of them. */
  line(pattern: RegExp, count?: number): Promise<string>;
  port(): Promise<number>;
  /** By name: "Hub", "Worker 0", …; the newest that is ready and still there. */
  pids(): Map<string, number>;
  pidOf(name: string): number;
  ask(): Promise<WorkerAnswer>;
  signal(signal: NodeJS.Signals): void;
  /** Makes the children misbehave, see supervised-child.ts; `behave` ends it. */
  misbehave(behaviour: string): void;
  behave(behaviour: string): void;
}

export interface SupervisorSetup {
  settings?: Partial<Settings>;
  misbehave?: string[];
  env?: Record<string, string>;
}

/** Starts one; its end, and the end of every child it had, comes with `await using`. */
export function startSupervisor(setup: SupervisorSetup = {}): SupervisorProcess {
  const folder = mkdtempSync(join(tmpdir(), "supervised-"));
  for (const behaviour of setup.misbehave ?? []) writeFileSync(join(folder, behaviour), "");
  const main = join(import.meta.dir, "..", "fixtures", "supervisor-main.ts");
  const child = Bun.spawn([process.execPath, "--no-orphans", main], {
    env: {
      ...process.env,
      FIXTURE_DIR: folder,
      FIXTURE_SETTINGS: JSON.stringify(setup.settings ?? {}),
      XDG_RUNTIME_DIR: folder,
      ...setup.env,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) output += decoder.decode(chunk, { stream: true });
  })();

  const lines = (pattern: RegExp) => output.split("\n").filter((line) => pattern.test(line));
  const line = async (pattern: RegExp, count = 1) => {
    await until(
      () => lines(pattern).length >= count,
      `${count} lines like ${pattern} in:`,
      () => output,
    );
    return lines(pattern)[count - 1]!;
  };
  const port = async () => Number(/:(\d+)$/.exec(await line(/Starting \d+ workers/))![1]);
  const pids = () => {
    const found = new Map<string, number>();
    for (const ready of lines(/ ready$/)) {
      const [, name, pid] = /(Hub|Worker \d+) \(pid (\d+)\)/.exec(ready)!;
      if (isAlive(Number(pid))) found.set(name!, Number(pid));
      else if (!isAlive(found.get(name!) ?? 0)) found.delete(name!);
    }
    return found;
  };

  return {
    pid: child.pid,
    // Not before the last line has been read.
    exited: child.exited.then(async (code) => {
      await reading;
      return code;
    }),
    output: () => output,
    lines,
    line,
    port,
    pids,
    pidOf: (name) => pids().get(name)!,
    ask: async () => {
      const answer = await fetch(`http://127.0.0.1:${await port()}/`, { headers: { connection: "close" } });
      return (await answer.json()) as WorkerAnswer;
    },
    signal: (signal) => child.kill(signal),
    misbehave: (behaviour) => writeFileSync(join(folder, behaviour), ""),
    behave: (behaviour) => rmSync(join(folder, behaviour)),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
      const started = output.matchAll(/\(pid (\d+)\)/g);
      for (const [, pid] of started) await until(() => !isAlive(Number(pid)), `the end of child ${pid}`);
      rmSync(folder, { recursive: true });
    },
  };
}

/** Polls until the condition holds. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  detail: () => string = () => "",
): Promise<void> {
  const deadline = performance.now() + WAIT_MS_MAX;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what} ${detail()}`);
    await Bun.sleep(POLL_MS);
  }
}

/** IPv4 listeners on the port. */
export function listenerCount(port: number): number {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((row) => row.trim().split(/\s+/))
    .filter(([, local, , state]) => local?.endsWith(suffix) && state === "0A").length;
}
