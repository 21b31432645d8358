/**
 * What a load can be aimed at: the server as its users start it, or a floor. Each is a process that
 * listens on a loopback port.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../test/support/free-port.ts";
import { LOOPBACK } from "./load-plan.ts";
import { spawnOwn, stopChild } from "./processes.ts";

export interface Target {
  port: number;
  pid: number;
  /** From the start of the process to the first answer of every worker. */
  startMs: number;
  /** Resolves to the exit code. */
  exited: Promise<number>;
  stop(): Promise<number>;
}

export interface ServerOptions {
  folder: string;
  /** Names the database file and the log in `folder`. */
  name: string;
  workers: number;
  /** Path or connection string; default: `name`.db in `folder`. */
  database?: string;
  flags?: string[];
}

const START_MS = 30_000;

/** Starts the server on a database in `options.folder`; resolves when every worker has answered. */
export async function startServer(options: ServerOptions): Promise<Target> {
  const port = await freePort();
  const log = join(options.folder, `${options.name}-${port}.log`);
  const database = options.database ?? join(options.folder, `${options.name}.db`);
  const args = ["serve", "--port", String(port), "--db-file", database];
  args.push("--workers", String(options.workers), "--durability", "full", "--log-level", "WARNING");
  args.push(...(options.flags ?? []));
  return await start({ file: "src/main.ts", args, log, port, answers: options.workers });
}

/** Starts a floor of bench/floors/; `args` follow the port. */
export async function startFloor(options: { file: string; folder: string; args: string[] }): Promise<Target> {
  const port = await freePort();
  const log = join(options.folder, `${options.file}-${port}.log`);
  const file = join(import.meta.dir, "floors", options.file);
  return await start({ file, args: [String(port), ...options.args], log, port, answers: 1 });
}

/**
 * Sends one command and returns its answer's body.
 *
 * @throws Error The status isn't 200.
 */
export async function sendCommand(
  port: number,
  command: string,
  params: object,
  key: string | null = null,
): Promise<Uint8Array> {
  const response = await fetch(`http://${LOOPBACK}:${port}/db_command`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
    },
    body: JSON.stringify({ command, params }),
  });
  const body = await response.bytes();
  if (response.status !== 200) {
    throw new Error(`${command}: status ${response.status}: ${Buffer.from(body).toString().slice(0, 300)}`);
  }
  return body;
}

/** How many stored ticks are of a ticker like this, with SQL's `%`. */
export async function countTicks(server: Target, ticker: string): Promise<number> {
  const body = await sendCommand(server.port, "execute_sql", {
    sql_query: `select count(*) as n from realtime_data where ticker like '${ticker}'`,
    query_type: "select",
    query_params: [],
  });
  const answer = JSON.parse(Buffer.from(body).toString()) as { data: { n: number | string }[] };
  // A 64-bit count is text with some engines.
  return Number(answer.data[0]?.n ?? 0);
}

async function start(options: {
  file: string;
  args: string[];
  log: string;
  port: number;
  answers: number;
}): Promise<Target> {
  const startedAt = performance.now();
  const child = spawnOwn({ file: options.file, args: options.args, log: options.log });
  const workers = new Set<number>();
  const deadline = startedAt + START_MS;
  while (workers.size < options.answers) {
    if (child.exitCode !== null || performance.now() > deadline) {
      await stopChild(child);
      throw new Error(`${options.file} did not start:\n${tail(options.log)}${tail(`${options.log}.err`)}`);
    }
    const health = await askHealth(options.port);
    if (health === null) await Bun.sleep(5);
    else workers.add(health.pid);
  }
  const startMs = performance.now() - startedAt;
  const { pid, exited } = child;
  return { port: options.port, pid, startMs, exited, stop: () => stopChild(child) };
}

/** Which process answers a new connection, 0 where it doesn't say; null when none answers. */
export async function askHealth(port: number): Promise<{ pid: number } | null> {
  let response: Response;
  try {
    response = await fetch(`http://${LOOPBACK}:${port}/health`, { keepalive: false });
  } catch {
    return null; // not listening yet, or killed
  }
  if (response.status !== 200) return null;
  const health = (await response.json()) as { process?: { pid: number } };
  return { pid: health.process?.pid ?? 0 };
}

function tail(path: string): string {
  return readFileSync(path, "utf8").slice(-2000);
}
