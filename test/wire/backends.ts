/** What a transcript is replayed against: the server on each of its databases. */
import { join } from "node:path";
import type { TestPostgres } from "../support/postgres.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

export interface Backend {
  name: string;
  /** As /health names it; the recording's deviations say "sqlite". */
  engine: string;
  /** On a fresh and empty database. */
  start(options: { flags: string[]; workers: number }, stack: AsyncDisposableStack): Promise<RunningServer>;
}

export const SQLITE: Backend = {
  name: "SQLite",
  engine: "sqlite",
  start: async (options, stack) => stack.use(await startServer(options)),
};

/** A server in front of another, which has the database. */
export const FRONT: Backend = {
  name: "another server",
  engine: "remote",
  async start(options, stack) {
    const upstream = stack.use(await startServer(options));
    return stack.use(await startServer({ ...options, dbFile: `127.0.0.1:${upstream.port}` }));
  },
};

export function postgresBackend(postgres: TestPostgres): Backend {
  return {
    name: "PostgreSQL",
    engine: "postgresql",
    start: async (options, stack) =>
      stack.use(await startServer({ ...options, dbFile: await postgres.freshSchema() })),
  };
}

export const DUCKDB: Backend = {
  name: "DuckDB",
  engine: "duckdb",
  async start(options, stack) {
    const dir = stack.use(tempDir());
    return stack.use(await startServer({ ...options, dbFile: join(dir.path, "test.duckdb") }));
  },
};
