#!/usr/bin/env node
/**
 * Starts the server under the Bun that npm has installed with it, for people who have only Node.
 *
 * Plain JavaScript for Node 20, since it runs before there is anything else. It stays between the caller and the server:
 * it passes signals on, ends with the server's exit code, and the server ends with it, however it ends. Under npx it
 * also stops the server when npx has gone.
 */
import { spawn, spawnSync } from "node:child_process";
import { accessSync, closeSync, constants, openSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { devNull, constants as os } from "node:os";
import { dirname, join } from "node:path";
import { isatty } from "node:tty";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const BUN_VERSION_MIN = [1, 4, 5];

/**
 * As src/protocol/own-command.ts has them: the server ends with us, and no `.env` or `bunfig.toml` of the current folder
 * has a say in what it does.
 */
const BUN_FLAGS = ["--no-orphans", "--no-env-file", `--config=${devNull}`];

const FORWARDED = [
  "SIGTERM",
  "SIGINT",
  "SIGHUP",
  "SIGQUIT",
  "SIGTTIN",
  "SIGTTOU",
  "SIGUSR1",
  "SIGUSR2",
].filter((signal) => signal in os.signals);

/**
 * One Ctrl-C under `npm start` arrives twice, from the terminal and from npm, and a second SIGINT means "at once".
 * No hand presses the keys again so soon.
 */
const REPEATED_CTRL_C_MS = 250;

/** How soon a server is stopped whose npx has gone. */
const PARENT_POLL_MS = 500;

/** Asked of the descriptors: touching process.stdin would change the pipe that the server is about to read. */
const onTerminal = [0, 1, 2].some(isatty);

start(findBun());

function start(bun) {
  let lastInterrupt = Number.NEGATIVE_INFINITY;
  // Before the server is there, as it may be quicker than we are: a signal in between would end us, and it with us.
  for (const signal of FORWARDED) {
    process.on(signal, () => {
      if (signal === "SIGINT" && onTerminal) {
        const before = lastInterrupt;
        lastInterrupt = performance.now();
        if (lastInterrupt - before < REPEATED_CTRL_C_MS) return;
      }
      server.kill(signal === "SIGHUP" && terminalHasClosed() ? "SIGTERM" : signal);
    });
  }
  // A session of its own, so that a Ctrl-C reaches it through us and not a second time from the terminal.
  const server = spawn(bun, [...BUN_FLAGS, MAIN, ...process.argv.slice(2)], {
    stdio: "inherit",
    detached: true,
    env: serverEnvironment(),
  });
  server.on("error", (error) => fail(`can't start ${bun}: ${error.message}`));
  server.on("exit", (code, signal) => process.exit(code ?? 128 + os.signals[signal]));
  if (endsWithParent()) onceParentIsGone(() => server.kill("SIGTERM"));
}

/**
 * npx runs us through a shell, which a signal ends without passing it on; only that our parent, or its, has gone tells us.
 * Elsewhere a parent may well leave a server behind on purpose: `nohup`, `setsid`, `&` in a script, a service manager.
 */
function endsWithParent() {
  // A process that leads a session was put there to stay; 1 is nobody's parent who could go.
  if (process.env.npm_command !== "exec" || process.ppid === 1) return false;
  return statOf("self")?.session !== process.pid;
}

function onceParentIsGone(act) {
  const ancestors = () => `${process.ppid} ${statOf(process.ppid)?.parent}`;
  const atStart = ancestors();
  const timer = setInterval(() => {
    if (ancestors() === atStart) return;
    clearInterval(timer);
    act();
  }, PARENT_POLL_MS);
}

/** @returns undefined without /proc, as on macOS, and for a process that has gone. */
function statOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // After the name in brackets, which may hold anything: state, parent, group, session.
    const [, parent, , session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { parent: Number(parent), session: Number(session) };
  } catch {
    return undefined;
  }
}

/** systemd names the process that it expects to hear from; being only the launcher, we leave that to the server. */
function serverEnvironment() {
  const { WATCHDOG_PID, ...others } = process.env;
  // DuckDB's calls take threads of Bun's pool, which else has one a CPU and is read once, at the start.
  const pool = { UV_THREADPOOL_SIZE: "32" };
  return { ...pool, ...(WATCHDOG_PID === String(process.pid) ? others : process.env) };
}

/**
 * SIGHUP asks the server for a rolling restart, but a terminal that closes sends it too, and then a server started by hand
 * should not stay behind. Under nohup no stream is a terminal, and it stays.
 */
function terminalHasClosed() {
  if (!onTerminal) return false;
  try {
    closeSync(openSync("/dev/tty", "r"));
    return false;
  } catch {
    // Nothing to be opened any more: that is the answer.
    return true;
  }
}

/** The path of a Bun that is new enough; ends the process when there is none. */
function findBun() {
  const chosen = process.env.STOCK_DB_BUN;
  if (chosen) {
    if (isNewEnough(chosen)) return chosen;
    fail(`STOCK_DB_BUN: expected the path of Bun ${BUN_VERSION_MIN.join(".")} or newer, got "${chosen}"`);
  }
  const packaged = packagedBun();
  if (packaged !== undefined) return packaged;
  if (isNewEnough("bun")) return "bun";
  const missing = `no Bun ${BUN_VERSION_MIN.join(".")} or newer for ${process.platform} ${process.arch}`;
  return fail(
    `${missing}: not among the installed packages (npm must not omit optional ones), in STOCK_DB_BUN or on the PATH`,
  );
}

/**
 * The `bun` package has the program only after its install script, which npm may have blocked; it moves it there from
 * the package for this platform, which has it as long as that didn't happen.
 */
function packagedBun() {
  let bunPackage;
  try {
    bunPackage = createRequire(import.meta.url).resolve("bun/package.json");
  } catch {
    // Not installed as a dependency, as in a bare copy of the source.
    return undefined;
  }
  const require = createRequire(bunPackage);
  const program = process.platform === "win32" ? "bin/bun.exe" : "bin/bun";
  const candidates = [];
  for (const name of platformPackages()) {
    try {
      candidates.push(join(dirname(require.resolve(`@oven/${name}/package.json`)), program));
    } catch {
      // npm installs only the one that fits; the others are expected to be absent.
    }
  }
  candidates.push(join(dirname(bunPackage), "bin/bun.exe"));
  return candidates.find(isProgram);
}

/** The names of the packages that can have a program for this machine, the best one first. */
function platformPackages() {
  const system = { win32: "windows", android: "linux" }[process.platform] ?? process.platform;
  const machine = { arm64: "aarch64" }[process.arch] ?? process.arch;
  const library = process.platform === "android" ? "-android" : usesMusl() ? "-musl" : "";
  const name = `bun-${system}-${machine}${library}`;
  if (process.arch !== "x64") return [name];
  return hasAvx2() ? [name, `${name}-baseline`] : [`${name}-baseline`, name];
}

function usesMusl() {
  if (process.platform !== "linux") return false;
  process.report.excludeNetwork = true;
  return process.report.getReport().header.glibcVersionRuntime === undefined;
}

/** Where it can't be seen, the usual build is tried. */
function hasAvx2() {
  try {
    return /\bavx2\b/.test(readFileSync("/proc/cpuinfo", "latin1"));
  } catch {
    return true;
  }
}

/** What stands in for the program before the install script is a text of a few hundred bytes. */
function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).size > 1_000_000;
  } catch {
    return false;
  }
}

function isNewEnough(bun) {
  const { status, stdout } = spawnSync(bun, ["--version"], { encoding: "utf8" });
  if (status !== 0) return false;
  const version = stdout.split(/[.\-+]/).map(Number);
  for (const [i, min] of BUN_VERSION_MIN.entries()) {
    if (version[i] !== min) return version[i] > min;
  }
  return true;
}

/** @returns {never} */
function fail(reason) {
  console.error(`stock-db-server: ${reason}`);
  process.exit(1);
}
