/** No room for DuckDB: saves say so, reads go on, and it is over as soon as there is room. A database that fails all the same ends its process. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { BUN_LAUNCHER, type RunningServer, startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const ROWS = 1_000;
/** Far more saves than fit in. */
const SAVES_MAX = 500;

const dir = tempDir();
const disk = join(dir.path, "disk");
mkdirSync(disk);
const mount = (...args: string[]) =>
  Bun.spawnSync(["mount", "-t", "tmpfs", ...args, "tmpfs", disk]).exitCode === 0;
const hasDisk = Bun.which("mount") !== null && process.getuid?.() === 0 && mount("-o", "size=24m");

if (!hasDisk)
  console.log("full-disk.test.ts: skipped, as no small disk can be mounted here: that takes root");

afterAll(() => {
  if (hasDisk) Bun.spawnSync(["umount", "-l", disk]);
  dir[Symbol.dispose]();
});

const FIRST_MS = Date.UTC(2024, 0, 2);

function save(server: RunningServer, n: number) {
  return server.command("save_realtime_data", {
    ticker: "A",
    data_type: "trade",
    index_col: "timestamp",
    data: Array.from({ length: ROWS }, (_, row) => ({
      timestamp: new Date(FIRST_MS + n * ROWS + row).toISOString(),
      price: Math.random(),
      size: row,
    })),
  });
}

/** @returns how many saves were stored, and the first answer of another kind; null where the server has gone. */
async function fillUp(server: RunningServer) {
  for (let stored = 0; stored < SAVES_MAX; stored++) {
    const answer = await save(server, stored).catch(() => null);
    if (answer?.status !== 200) return { stored, refused: answer };
  }
  throw new Error(`${SAVES_MAX} saves found room`);
}

const countRows = async (server: RunningServer) =>
  (
    await server.command<{ data: unknown }>("execute_sql", {
      sql_query: "SELECT count(*)::INTEGER AS n FROM realtime_data",
      query_type: "select",
    })
  ).body.data;

for (const workers of [1, 2]) {
  test.skipIf(!hasDisk)(
    `DuckDB on a full disk, ${workers} workers: saves get 503, reads go on, room ends it`,
    async () => {
      mount("-o", "remount,size=24m");
      const dbFile = join(disk, `${workers}.duckdb`);
      {
        await using server = await startServer({ dbFile, workers });
        const { stored, refused } = await fillUp(server);
        expect(refused).toMatchObject({ status: 503 });
        expect(refused?.body.details).toStartWith("No space left on the database's disk");
        const written = await server.command("execute_sql", {
          sql_query: "DELETE FROM hourly_prices",
          query_type: "raw",
        });
        expect(written).toMatchObject({ status: 503 });
        expect(written.body.details).toStartWith("No space left");
        expect(await countRows(server)).toEqual([{ n: stored * ROWS }]);
        const ready = await fetch(`${server.url}/ready`);
        expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining("No space left")]);
        await server.logged("[ERROR] - Hub: commit of 1 saves failed: No space left");

        mount("-o", "remount,size=200m");
        expect(await save(server, stored)).toMatchObject({ status: 200 });
        expect(await countRows(server)).toEqual([{ n: (stored + 1) * ROWS }]);
        expect((await fetch(`${server.url}/ready`)).status).toBe(200);
        await server.stop();
        expect(server.log()).not.toContain("CRITICAL");
      }
      Bun.spawnSync(["rm", "-f", dbFile]);
    },
  );
}

test("a database that fails in the only process ends it, with the reason in the log", async () => {
  using other = tempDir();
  const dbFile = join(other.path, "a.duckdb");
  {
    await using server = await startServer({ dbFile });
    const sql_query = `INSERT INTO realtime_data (ticker, type, timestamp, price, size)
      SELECT 'B', 'trade', TIMESTAMP '2024-01-02' + INTERVAL (i) MILLISECOND, random(), (random() * 1e15)::BIGINT FROM range(1400000) t(i)`;
    expect(await server.command("execute_sql", { sql_query, query_type: "raw" })).toMatchObject({
      status: 200,
    });
  }
  // The file can't become longer: the checkpoint that nobody expects to fail does. In units of 512 bytes.
  const limit = Math.ceil(statSync(dbFile).size / 512);
  const launcher = ["sh", "-c", `trap "" XFSZ; ulimit -f ${limit}; exec "$0" "$@"`, ...BUN_LAUNCHER];
  let stored: number;
  {
    await using server = await startServer({ dbFile, launcher });
    stored = (await fillUp(server)).stored;
    await server.exited;
    expect(await server.stop()).toBe(1);
    expect(server.log()).toMatch(/\[CRITICAL\] - The database's writer failed: DuckDB can't go on: /);
  }
  await using again = await startServer({ dbFile });
  const [{ n }] = (await countRows(again)) as [{ n: number }];
  expect(n).toBeGreaterThanOrEqual(1_400_000 + stored * ROWS);
  expect(await save(again, SAVES_MAX)).toMatchObject({ status: 200 });
});
