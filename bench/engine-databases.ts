/**
 * Empty databases of each engine for the server and its floors, and the PostgreSQL that holds some
 * of them.
 */
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SQL } from "bun";
import type { EngineName } from "../test/support/flags.ts";
import { freePort } from "../test/support/free-port.ts";
import { spawnOwn, stopChild } from "./processes.ts";

/** initdb takes a second, or several when the machine is busy. */
const START_MS = 60_000;
const POLL_MS = 20;

export interface EngineDatabases {
  /** @returns path or connection string of a database that is empty, or not there yet. */
  create(name: string): Promise<string>;
  close(): Promise<void>;
}

/** @throws Error PostgreSQL can't be started here. */
export async function openDatabases(engine: EngineName, folder: string): Promise<EngineDatabases> {
  if (engine === "postgres") return await startPostgres(folder);
  const ending = engine === "sqlite" ? "db" : "duckdb";
  return {
    create: async (name) => join(folder, `engine-${name}.${ending}`),
    close: async () => undefined,
  };
}

/** With commits as durable as it ships, in a folder that goes with it. */
async function startPostgres(folder: string): Promise<EngineDatabases> {
  // It runs as another user where this one is root.
  chmodSync(folder, 0o711);
  const port = await freePort();
  const log = join(folder, "postgres.log");
  const child = spawnOwn({
    file: "test/support/postgres-process.ts",
    args: [String(port), "fsync=on", "shared_buffers=128MB"],
    log,
    stdin: "pipe",
    env: { TMPDIR: folder },
  });
  const deadline = performance.now() + START_MS;
  while (!(existsSync(log) && readFileSync(log, "utf8").includes("ready"))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      await stopChild(child);
      throw new Error(`PostgreSQL did not start: ${readFileSync(`${log}.err`, "utf8").slice(-500).trim()}`);
    }
    await Bun.sleep(POLL_MS);
  }
  const url = (database: string) => `postgresql://postgres@127.0.0.1:${port}/${database}`;
  const admin = new SQL(url("postgres"), { max: 1 });
  return {
    async create(name) {
      await admin.unsafe(`create database "${name}"`);
      return url(name);
    },
    async close() {
      await admin.close({ timeout: 0 });
      await stopChild(child);
    },
  };
}
