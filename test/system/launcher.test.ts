/**
 * bin/stock-db-server.js with real processes, in a copy of the package whose main module is a
 * fixture.
 */
import { afterAll, afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import type { Subprocess } from "bun";
import { isAlive } from "../support/processes.ts";
import { waitUntil } from "../support/server.ts";

setDefaultTimeout(180_000);

const PROJECT = resolve(import.meta.dir, "../..");
const BUN = realpathSync(process.execPath);
const NODE = Bun.which("node")!;
const FORWARDED = ["SIGINT", "SIGHUP", "SIGQUIT", "SIGTTIN", "SIGTTOU", "SIGUSR1", "SIGUSR2"] as const;

const folder = mkdtempSync(join(tmpdir(), "launcher-"));
const started: Subprocess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("the launcher", () => {
  const launcher = makePackage("usual", { modules: "as-installed" });

  test("passes arguments and standard input on, and the output and exit code back", async () => {
    const server = await launch(launcher, ["serve", "--port", "a b"]);
    expect(server.ready.argv).toEqual(["serve", "--port", "a b"]);
    process.kill(server.pid, "SIGTERM");
    expect(await server.exited).toBe(5);

    expect(runToEnd(launcher, ["echo"], { stdin: "over a pipe\n" })).toEqual([0, "over a pipe\n", ""]);
    expect(runToEnd(launcher, ["exit", "0"])[0]).toBe(0);
    expect(runToEnd(launcher, ["exit", "78"])[0]).toBe(78);
  });

  test("ends with 128 + n when the server is killed", () => {
    expect(runToEnd(launcher, ["die", "SIGKILL"])[0]).toBe(137);
    expect(runToEnd(launcher, ["die", "SIGTERM"])[0]).toBe(143);
  });

  test("works through the link that npm makes for a bin", async () => {
    const link = join(folder, "stock-db-server");
    symlinkSync(launcher, link);
    const child = Bun.spawnSync([link, "exit", "4"], { env: { ...environment(), PATH: dirname(NODE) } });
    expect(child.exitCode).toBe(4);
  });

  test("passes each signal on, once for each time", async () => {
    const server = await launch(launcher, []);
    for (const signal of FORWARDED) {
      process.kill(server.pid, signal);
      await waitUntil(`the server gets ${signal}`, () => server.signals().includes(signal));
    }
    process.kill(server.pid, "SIGINT");
    await waitUntil("the second SIGINT", () => count(server.signals(), "SIGINT") === 2);
    process.kill(server.pid, "SIGTERM");
    expect(await server.exited).toBe(5);
    await waitUntil("its last words", () => server.signals().includes("SIGTERM"));
    expect(server.signals()).toEqual([...FORWARDED, "SIGINT", "SIGTERM"]);
  });

  test("killed with SIGKILL, takes the server and the server's children with it", async () => {
    const server = await launch(launcher, ["with-child"]);
    const { pid, child } = server.ready;
    expect([isAlive(pid), isAlive(child!)]).toEqual([true, true]);
    process.kill(server.pid, "SIGKILL");
    await waitUntil("the server is gone", () => !isAlive(pid));
    await waitUntil("the server's child is gone", () => !isAlive(child!));
  });

  test("hides the watchdog's process id when that is its own", async () => {
    const code = "process.env.WATCHDOG_PID = String(process.pid); await import(process.argv[1])";
    writeFileSync(
      join(dirname(launcher), "../src/main.ts"),
      "console.log(process.env.WATCHDOG_PID ?? 'none')",
    );
    try {
      const own = Bun.spawnSync([NODE, "--input-type=module", "-e", code, launcher], { env: environment() });
      expect(own.stdout.toString()).toBe("none\n");
      expect(runToEnd(launcher, [], { env: { WATCHDOG_PID: "1" } })[1]).toBe("1\n");
    } finally {
      copyMain(join(dirname(launcher), ".."));
    }
  });
});

describe("on a terminal", () => {
  const launcher = makePackage("terminal", { modules: "as-installed" });

  test("a Ctrl-C reaches the server once, a later one again", async () => {
    const server = await launch(launcher, [], { onTerminal: true });
    server.type("\x03");
    await waitUntil("SIGINT", () => server.signals().includes("SIGINT"));
    // Had the terminal reached the server too, its SIGINT would be there before this.
    process.kill(server.pid, "SIGUSR1");
    await waitUntil("SIGUSR1", () => server.signals().includes("SIGUSR1"));
    expect(server.signals()).toEqual(["SIGINT", "SIGUSR1"]);
    await waitUntil("the second SIGINT", async () => {
      server.type("\x03");
      await Bun.sleep(400);
      return count(server.signals(), "SIGINT") >= 2;
    });
  });

  test("two SIGINT at once are one Ctrl-C", async () => {
    const server = await launch(launcher, [], { onTerminal: true });
    process.kill(server.pid, "SIGINT");
    process.kill(server.pid, "SIGINT");
    await waitUntil("SIGINT", () => server.signals().includes("SIGINT"));
    process.kill(server.pid, "SIGTERM");
    expect(await server.exited).toBe(5);
    await waitUntil("its last words", () => server.signals().includes("SIGTERM"));
    expect(server.signals()).toEqual(["SIGINT", "SIGTERM"]);
  });

  test("SIGHUP is passed on while the terminal is there; when it closes, the server is stopped", async () => {
    const record = join(folder, "hang-up");
    const server = await launch(launcher, ["record", record], { onTerminal: true });
    process.kill(server.pid, "SIGHUP");
    await waitUntil("SIGHUP", () => server.signals().includes("SIGHUP"));
    expect(isAlive(server.ready.pid)).toBe(true);
    server.closeTerminal();
    // The exit code is nobody's concern then; Node 20 aborts when it finds its terminal gone.
    await server.exited;
    await waitUntil("the server is gone", () => !isAlive(server.ready.pid));
    expect(readFileSync(record, "utf8")).toBe("SIGHUP\nSIGTERM\n");
  });
});

describe("the Bun that is started", () => {
  test("is that of the platform's package when install scripts were blocked", async () => {
    const blocked = makePackage("blocked", { modules: "scripts-blocked" });
    const server = await launch(blocked, []);
    expect(server.ready.bun).toBe(BUN);
    process.kill(server.pid, "SIGTERM");
    expect(await server.exited).toBe(5);
  });

  test("is that of the platform's package when the placeholder is missing too", () => {
    const missing = makePackage("missing", { modules: "scripts-blocked" });
    rmSync(join(dirname(missing), "../node_modules/bun/bin/bun.exe"));
    expect(runToEnd(missing, ["exit", "6"])[0]).toBe(6);
  });

  test("may be the baseline build", () => {
    const baseline = makePackage("baseline", { modules: "scripts-blocked", packageSuffix: "-baseline" });
    // Only x64 has one.
    const expected = process.arch === "x64" ? 6 : 1;
    expect(runToEnd(baseline, ["exit", "6"])[0]).toBe(expected);
  });

  test("is that of STOCK_DB_BUN, where that is new enough", () => {
    const bare = makePackage("chosen", { modules: "none" });
    expect(runToEnd(bare, ["exit", "6"], { env: { STOCK_DB_BUN: BUN } })[0]).toBe(6);
    const old = fakeBun("old-chosen", "1.4.4");
    const [code, , error] = runToEnd(bare, ["exit", "6"], { env: { STOCK_DB_BUN: old } });
    expect(code).toBe(1);
    expect(error).toBe(
      `stock-db-server: STOCK_DB_BUN: expected the path of Bun 1.4.5 or newer, got "${old}"\n`,
    );
  });

  test("is the one on the PATH in the end, where that is new enough", () => {
    const bare = makePackage("path", { modules: "none" });
    mkdirSync(join(folder, "good"));
    symlinkSync(BUN, join(folder, "good/bun"));
    expect(runToEnd(bare, ["exit", "6"], { env: { PATH: join(folder, "good") } })[0]).toBe(6);
    for (const version of ["1.4.4", "0.9.9", "1.3.14-canary.1"]) {
      const PATH = [dirname(fakeBun(`old-${version}`, version)), "/bin", "/usr/bin"].join(delimiter);
      const [code, output, error] = runToEnd(bare, ["exit", "6"], { env: { PATH } });
      expect([code, output]).toEqual([1, ""]);
      expect(error).toMatch(/^stock-db-server: no Bun 1\.4\.5 or newer for \w+ \w+: [^\n]+\n$/);
    }
  });
});

interface PackageOptions {
  modules: "as-installed" | "scripts-blocked" | "none";
  packageSuffix?: string;
}

/** A copy of the package with the fixture as its main module. @returns The path of its launcher. */
function makePackage(name: string, { modules, packageSuffix = "" }: PackageOptions): string {
  const root = join(folder, name);
  cpSync(join(PROJECT, "bin"), join(root, "bin"), { recursive: true });
  writeFileSync(join(root, "package.json"), '{"type":"module"}');
  copyMain(root);
  if (modules === "as-installed") symlinkSync(join(PROJECT, "node_modules"), join(root, "node_modules"));
  if (modules === "scripts-blocked") {
    const bun = join(root, "node_modules/bun");
    mkdirSync(join(bun, "bin"), { recursive: true });
    writeFileSync(join(bun, "package.json"), '{"name":"bun"}');
    writeFileSync(join(bun, "bin/bun.exe"), "#!/bin/sh\nexit 1\n");
    chmodSync(join(bun, "bin/bun.exe"), 0o755);
    for (const installed of readdirSync(join(PROJECT, "node_modules/@oven"))) {
      const platform = join(root, "node_modules/@oven", installed + packageSuffix);
      mkdirSync(join(platform, "bin"), { recursive: true });
      writeFileSync(join(platform, "package.json"), "{}");
      symlinkSync(BUN, join(platform, "bin/bun"));
    }
  }
  return join(root, "bin/stock-db-server.js");
}

function copyMain(root: string): void {
  mkdirSync(join(root, "src"), { recursive: true });
  cpSync(join(PROJECT, "test/fixtures/launched-main.ts"), join(root, "src/main.ts"));
}

/** A program called bun that says that it has this version. */
function fakeBun(name: string, version: string): string {
  const path = join(folder, name, "bun");
  mkdirSync(dirname(path));
  writeFileSync(path, `#!/bin/sh\necho ${version}\n`);
  chmodSync(path, 0o755);
  return path;
}

interface Ready {
  pid: number;
  child?: number;
  bun: string;
  argv: string[];
}

interface Launched {
  pid: number;
  exited: Promise<number>;
  ready: Ready;
  /** Those that the server has told of, in order. */
  signals(): string[];
  type(keys: string): void;
  closeTerminal(): void;
}

async function launch(launcher: string, args: string[], { onTerminal = false } = {}): Promise<Launched> {
  let output = "";
  const decoder = new TextDecoder();
  const collect = (chunk: Uint8Array): void => {
    output += decoder.decode(chunk, { stream: true }).replaceAll("\r", "");
  };
  const command = [NODE, launcher, ...args];
  const child = onTerminal
    ? Bun.spawn(command, { env: environment(), terminal: { data: (_, chunk) => collect(chunk) } })
    : Bun.spawn(command, { env: environment(), stdio: ["ignore", "pipe", "inherit"] });
  started.push(child);
  const { stdout } = child;
  if (stdout instanceof ReadableStream) {
    void (async () => {
      for await (const chunk of stdout) collect(chunk);
    })();
  }
  const ready = await waitUntil("the server is ready", () => /^ready (.*)$/m.exec(output)?.[1]);
  return {
    pid: child.pid,
    exited: child.exited,
    ready: JSON.parse(ready) as Ready,
    signals: () => [...output.matchAll(/^(?:\^C)?got (\w+)$/gm)].map((match) => match[1]!),
    type: (keys) => void child.terminal!.write(keys),
    closeTerminal: () => child.terminal!.close(),
  };
}

/** @returns Exit code, standard output, standard error. */
function runToEnd(
  launcher: string,
  args: string[],
  { env = {}, stdin = "" }: { env?: Record<string, string>; stdin?: string } = {},
): [number, string, string] {
  const child = Bun.spawnSync([NODE, launcher, ...args], {
    env: { ...environment(), ...env },
    stdin: Buffer.from(stdin),
  });
  return [child.exitCode, child.stdout.toString(), child.stderr.toString()];
}

/**
 * Without what a Bun that runs the tests leaves there: neither its folder in the PATH nor its own
 * switches.
 */
function environment(): Record<string, string> {
  return { PATH: "/usr/bin:/bin", HOME: folder };
}

function count(signals: string[], signal: string): number {
  return signals.filter((each) => each === signal).length;
}
