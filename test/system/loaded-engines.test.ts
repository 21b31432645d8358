/** A worker on DuckDB leaves the database, and its library of 70 MB, to the hub. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { readProc } from "../support/processes.ts";
import { startServer } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

const hasLibrary = (pid: number): boolean => readProc(pid, "maps").includes("duckdb");

test.skipIf(process.platform !== "linux")(
  "only the hub loads DuckDB, whatever its workers are asked",
  async () => {
    using dir = tempDir();
    await using server = await startServer({ dbFile: join(dir.path, "a.duckdb"), workers: 2 });
    const bars = { ticker: "A", index_col: "date", data: [{ date: "2024-01-02", close: 1 }] };
    expect((await server.command("save_stock_data", bars)).status).toBe(200);
    expect((await server.command("get_stock_data", { ticker: "A" })).status).toBe(200);
    expect(
      (await server.command("execute_sql", { sql_query: "SELECT 1 AS one", query_type: "select" })).status,
    ).toBe(200);
    const { hub, workers } = processesOf(server);
    expect(hasLibrary(hub)).toBe(true);
    expect(workers.map(hasLibrary)).toEqual([false, false]);
  },
);
