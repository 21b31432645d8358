/**
 * Starts the real server the way its users do, for tests: a process of its own with a database, a
 * folder and a port of its own. `await using` stops it. Whoever doesn't stop in time, or leaves a
 * child behind, fails the test.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { freePort } from "./free-port.ts";
import { allPids, isAlive, statOf } from "./processes.ts";
import { pauseAfter } from "./until.ts";

const PROJECT = resolve(import.meta.dir, "../..");
/** Only a test that is about to fail waits so long, on a machine that does much else as well. */
const WAIT_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 60_000;
const CHILDREN_DEADLINE_MS = 20_000;
const LAST_LINES_MS = 20_000;
const FIRST_PAUSE_MS = 20;
const ANNOUNCEMENT = /Server starting on https?:\/\/[^\s]+:(\d+)/;

/**
 * The server under Bun, without the launcher for Node; `--no-orphans` ends it with the test run,
 * however that ends.
 */
export const BUN_LAUNCHER = [process.execPath, "--no-orphans", join(PROJECT, "src/main.ts"), "serve"];

export interface ServerOptions {
  /** After `serve --db-file … --port 0`; a `--port` in here replaces the 0. */
  flags?: string[];
  /** On top of this process's environment, from which every STOCK_DB_… is removed. */
  env?: Record<string, string>;
  /** Default: a file that doesn't exist yet, in `dir`. */
  dbFile?: string;
  workers?: number;
  /** Default: BUN_LAUNCHER. */
  launcher?: string[];
  /** Of the requests that this helper sends to a server with TLS; default: any certificate. */
  tls?: { cert: string; key: string };
  /** Wait only until it serves, not until its database answers. */
  withoutDatabase?: boolean;
}

export interface CommandAnswer<Body> {
  status: number;
  body: Body;
  headers: Headers;
}

export interface RunningServer extends AsyncDisposable {
  /** `http://127.0.0.1:port`, without a slash at the end. */
  url: string;
  wsUrl: string;
  port: number;
  /** Of the process started: the supervisor if there is one. It leads its process group. */
  pid: number;
  dbFile: string;
  /** Working directory of the server; removed when the server is disposed of. */
  dir: string;
  /**
   * Everything written to standard output and standard error so far. It is written in the
   * background: what an answer tells of may not be there yet.
   */
  log(): string;
  /** Waits until the log holds it. */
  logged(line: string | RegExp, deadlineMs?: number): Promise<void>;
  /** One POST /db_command. The body is the parsed JSON. */
  command<Body = Record<string, unknown>>(
    command: string,
    params: Record<string, unknown>,
  ): Promise<CommandAnswer<Body>>;
  /** Exit code once it has ended, 128 + n after signal n. */
  exited: Promise<number>;
  /**
   * Sends the signal, waits for the end of the process and of its children, and gives its exit
   * code. Throws if it has to be killed. A server that has already ended gives its code at once.
   */
  stop(signal?: NodeJS.Signals, deadlineMs?: number): Promise<number>;
}

export async function startServer(options: ServerOptions = {}): Promise<RunningServer> {
  const dir = await mkdtemp(join(tmpdir(), "stock-db-test-"));
  const dbFile = options.dbFile ?? join(dir, "test.db");
  const child = await spawnServer(dir, dbFile, options);
  let stopping = false;

  const stop = async (signal: NodeJS.Signals = "SIGTERM", deadlineMs = STOP_DEADLINE_MS): Promise<number> => {
    stopping = true;
    return await stopGroup(child, signal, deadlineMs);
  };

  let port: number;
  try {
    const path = options.withoutDatabase === true ? "/live" : "/health";
    port = await untilHealthy(child, { origin: originOf(options.flags ?? []), path, tls: options.tls });
    if ((options.workers ?? 1) > 1) await untilAllServe(child, options.flags ?? []);
  } catch (error) {
    killGroup(child.pid);
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
  const url = `${originOf(options.flags ?? [])}:${port}`;

  return {
    url,
    wsUrl: url.replace("http", "ws"),
    port,
    pid: child.pid,
    dbFile,
    dir,
    log: child.log,
    async logged(line, deadlineMs) {
      const holds = () => (typeof line === "string" ? child.log().includes(line) : line.test(child.log()));
      await waitUntil(`the log holds ${line}`, holds, deadlineMs).catch((error: Error) => {
        throw new Error(`${error.message}; the log:\n${child.log()}`);
      });
    },
    exited: child.exited,
    command: (command, params) => postCommand(url, command, params),
    stop,
    async [Symbol.asyncDispose]() {
      const endedByItself = !stopping && child.hasExited();
      try {
        const code = await stop();
        if (endedByItself)
          throw new Error(`the server ended by itself with ${code}; its log:\n${child.log()}`);
      } catch (error) {
        // Of two errors, the test's and this one, Bun shows neither.
        console.error(String(error));
        throw error;
      } finally {
        await rm(dir, { recursive: true, force: true });
      }
    },
  };
}

export type Falsy = false | null | undefined | 0 | "";

/**
 * Polls until the condition gives something truthy, and gives that. A condition that throws counts
 * as not yet.
 */
export async function waitUntil<T>(
  what: string,
  condition: () => T | Falsy | Promise<T | Falsy>,
  deadlineMs = WAIT_DEADLINE_MS,
): Promise<T> {
  const started = performance.now();
  let lastError: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
    } catch (error) {
      lastError = error;
    }
    const waitedMs = performance.now() - started;
    if (waitedMs > deadlineMs) {
      const because = lastError === undefined ? "" : `: ${String(lastError)}`;
      throw new Error(`not within ${deadlineMs} ms: ${what}${because}`);
    }
    await Bun.sleep(pauseAfter(waitedMs, FIRST_PAUSE_MS));
  }
}

interface Child {
  pid: number;
  exited: Promise<number>;
  hasExited(): boolean;
  log(): string;
  /** Where it will listen, if that was decided here; else it is read from the log. */
  port: number | null;
}

async function spawnServer(dir: string, dbFile: string, options: ServerOptions): Promise<Child> {
  const flags = options.flags ?? [];
  // The port is announced at INFO, so a quieter server needs one that is known beforehand.
  const given = flagValue(flags, "--port");
  const port = given !== undefined ? Number(given) : flags.includes("--log-level") ? await freePort() : null;
  const args = ["--db-file", dbFile];
  if (given === undefined) args.push("--port", String(port ?? 0));
  if (options.workers !== undefined) args.push("--workers", String(options.workers));

  const child = Bun.spawn([...(options.launcher ?? BUN_LAUNCHER), ...args, ...flags], {
    cwd: dir,
    env: { ...cleanEnvironment(), ...options.env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    detached: true,
  });
  let text = "";
  const collect = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) text += decoder.decode(chunk, { stream: true });
  };
  const drained = Promise.all([collect(child.stdout), collect(child.stderr)]);
  return {
    pid: child.pid,
    // The last lines of the log matter most when a server has ended; a child that holds the pipe
    // open must not hold this up.
    exited: child.exited.then(async (code) => {
      await within(drained, LAST_LINES_MS);
      return code;
    }),
    hasExited: () => child.exitCode !== null || child.signalCode !== null,
    log: () => text,
    port: port === 0 ? null : port,
  };
}

interface Probe {
  origin: string;
  path: string;
  tls: ServerOptions["tls"];
}

async function untilHealthy(child: Child, { origin, path, tls }: Probe): Promise<number> {
  try {
    return await waitUntil(`the server answers ${path}`, async () => {
      // An end is final: don't wait for the deadline.
      if (child.hasExited()) return -1;
      const port = child.port ?? Number(ANNOUNCEMENT.exec(child.log())?.[1] ?? 0);
      if (port === 0) return 0;
      const answer = await fetch(`${origin}:${port}${path}`, {
        headers: { connection: "close" },
        tls: { rejectUnauthorized: false, ...tls },
      });
      await answer.bytes();
      return answer.status === 200 ? port : 0;
    }).then(async (port) => {
      if (port === -1) throw new Error(`the server ended with ${await child.exited} before it served`);
      return port;
    });
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}; its log:\n${child.log()}`);
  }
}

/**
 * The first worker may answer while others still boot; a child that is killed then ends the start,
 * as it should.
 */
async function untilAllServe(child: Child, flags: string[]): Promise<void> {
  // A log that is quieter than INFO doesn't say it.
  if (!["DEBUG", "INFO", undefined].includes(flagValue(flags, "--log-level"))) return;
  await waitUntil("all workers serve", () => child.log().includes("Serving on ") || child.hasExited());
  if (child.hasExited())
    throw new Error(
      `the server ended with ${await child.exited} before all served; its log:\n${child.log()}`,
    );
}

async function postCommand<Body>(
  url: string,
  command: string,
  params: Record<string, unknown>,
): Promise<CommandAnswer<Body>> {
  const answer = await fetch(`${url}/db_command`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ command, params }),
  });
  return { status: answer.status, body: (await answer.json()) as Body, headers: answer.headers };
}

async function stopGroup(child: Child, signal: NodeJS.Signals, deadlineMs: number): Promise<number> {
  if (!child.hasExited()) process.kill(child.pid, signal);
  const code = await within(child.exited, deadlineMs);
  if (code === null) {
    killGroup(child.pid);
    throw new Error(`the server did not stop within ${deadlineMs} ms of ${signal}; its log:\n${child.log()}`);
  }
  try {
    await waitUntil(
      "the children end with the server",
      () => groupMembers(child.pid).length === 0,
      CHILDREN_DEADLINE_MS,
    );
  } catch {
    const survivors = groupMembers(child.pid);
    killGroup(child.pid);
    throw new Error(`the server left processes behind: ${survivors.join(", ")}; its log:\n${child.log()}`);
  }
  return code;
}

/** null after the time. A pending timer would hold up the end of a process, so it is cleared. */
async function within<T>(promise: Promise<T>, ms: number): Promise<T | null> {
  let timer: Timer | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function killGroup(leader: number): void {
  for (const pid of groupMembers(leader)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

function groupMembers(leader: number): number[] {
  return allPids().filter((pid) => statOf(pid)?.group === leader && isAlive(pid));
}

function cleanEnvironment(): Record<string, string> {
  const clean: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !name.startsWith("STOCK_DB_")) clean[name] = value;
  }
  return clean;
}

/** Without the port. */
function originOf(flags: string[]): string {
  const host = flagValue(flags, "--host");
  const scheme = flags.includes("--tls-cert") ? "https" : "http";
  return `${scheme}://${host === undefined || host === "0.0.0.0" ? "127.0.0.1" : host}`;
}

function flagValue(flags: string[], name: string): string | undefined {
  const at = flags.indexOf(name);
  return at === -1 ? undefined : flags[at + 1];
}
