/**
 * Alpaca's own clients, from the registries of Python and Node. That for Python is in the
 * environment of python-environment.ts. Those for Node are installed once into the system's
 * temporary folder, and kept there for later runs.
 */
import { existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pythonEnvironment } from "./python-environment.ts";

const INSTALL_MS = 300_000;
const ALPACA_JS = "@alpacahq/alpaca-trade-api";

export interface InstalledClient {
  /** Starts the program, a file of test/fixtures/alpaca, with these arguments. */
  command(program: string, ...args: string[]): string[];
  env: Record<string, string>;
}

/** Null, with a reason in the output, where it can't be installed. */
export async function alpacaPy(): Promise<InstalledClient | null> {
  const python = await pythonEnvironment();
  return python === null
    ? null
    : { command: (program, ...args) => [python, "-u", fixture(program), ...args], env: {} };
}

export async function alpacaJs(version: string): Promise<InstalledClient | null> {
  const [node, npm] = [Bun.which("node"), Bun.which("npm")];
  if (node === null || npm === null) return skipped(ALPACA_JS, "there is no node and npm");
  const wanted = `${ALPACA_JS}@${version}`;
  const folder = await installed(wanted, `alpaca-js-${version}`, (target) => [
    ...[npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save"],
    ...["--prefix", target, wanted],
  ]);
  if (folder === null) return null;
  return {
    // Its modules are found from where the client is, not from where the program is.
    command: (program, ...args) => [node, fixture(program), join(folder, "node_modules", ALPACA_JS), ...args],
    env: {},
  };
}

function fixture(program: string): string {
  return join(import.meta.dir, "../fixtures/alpaca", program);
}

/** The folder that has it; null when the installation fails. */
export async function installed(
  what: string,
  name: string,
  install: (target: string) => string[],
): Promise<string | null> {
  const kept = join(tmpdir(), `stock-db-${process.getuid?.() ?? ""}-${name}`);
  if (existsSync(kept)) return kept;
  const target = mkdtempSync(join(tmpdir(), "stock-db-install-"));
  const child = Bun.spawn(install(target), { stdout: "pipe", stderr: "pipe", timeout: INSTALL_MS });
  const [, error, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code !== 0) {
    rmSync(target, { recursive: true, force: true });
    return skipped(what, `its installation ended with ${code}: ${error.trim().slice(-500)}`);
  }
  try {
    renameSync(target, kept);
  } catch {
    // Another test was first.
    rmSync(target, { recursive: true, force: true });
  }
  return existsSync(kept) ? kept : skipped(what, `${kept} can't be written`);
}

export function skipped(what: string, why: string): null {
  console.log(`SKIPPED: tests with ${what} don't run, as ${why}`);
  return null;
}

/** A client that runs: what it prints as JSON, a line each. */
export class RunningClient implements AsyncDisposable {
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it as they please.
  readonly lines: any[] = [];
  #errors = "";
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #read: Promise<unknown>;

  constructor({ command, env }: InstalledClient, program: string, ...args: string[]) {
    this.#child = Bun.spawn(command(program, ...args), {
      env: { ...process.env, ...env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#read = Promise.all([this.#readLines(), this.#readErrors()]);
  }

  /** What it wrote beside that. */
  get errors(): string {
    return this.#errors;
  }

  /** Resolves when it has ended by itself. @throws Error it has failed. */
  async end(): Promise<void> {
    const code = await this.#child.exited;
    await this.#read;
    if (code !== 0) throw new Error(`the client ended with ${code}: ${this.#errors.slice(-3_000)}`);
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    await this.#read;
  }

  async #readLines(): Promise<void> {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) if (line.startsWith("{")) this.lines.push(JSON.parse(line));
    }
  }

  async #readErrors(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stderr) this.#errors += decoder.decode(chunk, { stream: true });
  }
}
