/**
 * Statements against the server's own tables on DuckDB, beside saves: whatever is undone, the file
 * can be opened again.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { runSql, saveTrade } from "../support/requests.ts";
import { startServer, waitUntil } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

const TABLES = ["daily_prices", "hourly_prices", "realtime_data"];
const STATEMENTS = [
  ...TABLES.flatMap((table) => [
    `ALTER TABLE ${table} ADD COLUMN g INTEGER DEFAULT 7`,
    `ALTER TABLE main.${table} RENAME TO moved`,
    `/* now */ ALTER TABLE "${table}" DROP COLUMN write_timestamp`,
    `CREATE UNIQUE INDEX i_${table} ON ${table} (ticker)`,
    `CREATE OR REPLACE TABLE ${table} AS SELECT 1 AS x`,
    `EXPLAIN ANALYZE DROP TABLE ${table}`,
    `DROP TABLE ${table}`,
  ]),
  "UPDATE update_positions SET seq = 7",
  "DELETE FROM main.update_log",
];

test("they are refused before they begin, and a killed hub's file opens again", async () => {
  using dir = tempDir();
  await using server = await startServer({ dbFile: `${dir.path}/x.duckdb`, flags: ["--sample"] });
  let price = 0;
  let isOver = false;
  const saver = async (): Promise<void> => {
    while (!isOver) expect((await saveTrade(server.url, "A", ++price)).status).toBe(200);
  };
  const savers = [saver(), saver()];
  for (const statement of STATEMENTS) {
    const { status, body } = await runSql(server.url, statement);
    expect([statement, status, body.error]).toEqual([statement, 400, expect.stringContaining("not allowed")]);
  }
  isOver = true;
  await Promise.all(savers);
  process.kill(processesOf(server).hub, "SIGKILL");
  await waitUntil("saves work again", async () => (await saveTrade(server.url, "A", ++price)).status === 200);
  expect(server.log()).not.toContain("did not start");
  const { body } = await runSql(server.url, "SELECT count(*) AS n FROM realtime_data WHERE ticker = 'A'");
  expect(body.data[0].n).toBeGreaterThanOrEqual(price - 1);
  await server.stop();
});
