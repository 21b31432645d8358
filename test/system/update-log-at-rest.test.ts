/**
 * A real server brings an update log that is too long back to its bound, also when nobody saves.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { unpackable } from "../support/random.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(240_000);

const MIB = 1024 * 1024;
/** What is counted here is the frames alone, which are less than what they take in the file. */
const KEPT_MAX = 1.1 * MIB;
const LARGE_ROWS = 2_000;

let micros = 0;

async function save(server: RunningServer, rows: number): Promise<void> {
  const data = Array.from({ length: rows }, () => {
    const stamp = new Date(Date.UTC(2024, 0, 2) + Math.floor(micros / 1000)).toISOString().slice(0, 23);
    const timestamp = `${stamp}${String(micros++ % 1000).padStart(3, "0")}Z`;
    return { timestamp, price: 1, size: 1, note: unpackable(70) };
  });
  const params = { ticker: "A", data_type: "trade", index_col: "timestamp", data };
  expect((await server.command("save_realtime_data", params)).status).toBe(200);
}

async function keptBytes(server: RunningServer): Promise<number> {
  const sql_query = "SELECT sum(length(frame)) AS bytes FROM update_log";
  const { body } = await server.command<{ data: { bytes: number }[] }>("execute_sql", {
    sql_query,
    query_type: "select",
  });
  return Number(body.data[0]!.bytes);
}

for (const file of ["log.db", "log.duckdb"]) {
  test(`${file}: small saves, then large ones; then a lower setting, and nobody saves`, async () => {
    using dir = tempDir();
    const dbFile = join(dir.path, file);
    {
      await using server = await startServer({ dbFile, flags: ["--update-log-mb", "4"] });
      for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 100 }, () => save(server, 1)));
      for (let i = 0; i < 60; i++) await save(server, LARGE_ROWS);
      // Nobody saves any more.
      await waitUntil("the log is at its bound", async () => (await keptBytes(server)) < 4 * KEPT_MAX);
      expect(await keptBytes(server)).toBeGreaterThan(2 * MIB);
    }
    await using server = await startServer({ dbFile, flags: ["--update-log-mb", "1"] });
    await waitUntil("it is at the lower one", async () => (await keptBytes(server)) < KEPT_MAX);
    await save(server, 1);
    const { body } = await server.command<{ positions: { A: number } }>("get_positions", {});
    expect(body.positions.A).toBe(2_061);
  });
}
