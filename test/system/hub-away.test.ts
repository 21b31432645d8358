/** DuckDB is in the hub: whoever asks while that is away waits for the next. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { get, saveTrade } from "../support/requests.ts";
import { startServer, waitUntil } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

test("reads, SQL and saves that come while the hub is away are answered by the next one", async () => {
  using dir = tempDir();
  await using server = await startServer({ dbFile: join(dir.path, "away.duckdb"), workers: 2 });
  expect((await saveTrade(server.url, "A", 1)).status).toBe(200);
  const { hub, workers } = processesOf(server);
  // It starts no other hub for now.
  process.kill(server.pid, "SIGSTOP");
  let answers: Promise<number>[];
  let answered = 0;
  try {
    process.kill(hub, "SIGKILL");
    await waitUntil("every worker has noticed", async () => {
      const states = await Promise.all(
        workers.flatMap(() => Array.from({ length: 8 }, () => get(`${server.url}/ready`))),
      );
      return states.every(({ status }) => status === 503);
    });
    const read = server.command("get_realtime_data", { ticker: "A", data_type: "trade" });
    const latest = server.command("get_latest_price", { ticker: "A" });
    const sql = server.command("execute_sql", { sql_query: "SELECT 1 AS one", query_type: "select" });
    const saved = saveTrade(server.url, "A", 2);
    answers = [read, latest, sql, saved].map(async (asked) => {
      const { status } = await asked;
      answered++;
      return status;
    });
    await Bun.sleep(300);
    expect(answered).toBe(0);
  } finally {
    process.kill(server.pid, "SIGCONT");
  }
  expect(await Promise.all(answers)).toEqual([200, 200, 200, 200]);
  expect((await server.command("get_latest_price", { ticker: "A" })).body.latest_price).toBe(2);
});
