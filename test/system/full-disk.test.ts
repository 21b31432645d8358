/**
 * No room on the disk: saves say so before it is full, reads and deletes go on, and it is over as
 * soon as there is room. A database that fails all the same ends its hub.
 */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { unpackable } from "../support/random.ts";
import { get } from "../support/requests.ts";
import { runCli } from "../support/run-cli.ts";
import { BUN_LAUNCHER, type RunningServer, startServer, waitUntil } from "../support/server.ts";
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
const umount = () => Bun.spawnSync(["umount", "-l", disk]);
const hasDisk = Bun.which("mount") !== null && process.getuid?.() === 0 && mount("-o", "size=24m");

if (!hasDisk)
  console.log("full-disk.test.ts: skipped, as no small disk can be mounted here: that takes root");

/** Empty. */
function freshDisk(size: string): void {
  umount();
  mount("-o", `size=${size}`);
}

afterAll(() => {
  if (hasDisk) umount();
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
      note: unpackable(60),
    })),
  });
}

/**
 * @returns how many saves were stored, and the first answer of another kind; null where the server
 *   has gone.
 */
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
      sql_query: "SELECT CAST(count(*) AS INTEGER) AS n FROM realtime_data",
      query_type: "select",
    })
  ).body.data;

const ready = async (server: RunningServer) => {
  const answer = await fetch(`${server.url}/ready`);
  return { status: answer.status, text: await answer.text() };
};
const runSql = (server: RunningServer, sql_query: string) =>
  server.command("execute_sql", { sql_query, query_type: "raw" });

for (const name of ["a.db", "a.duckdb"]) {
  for (const workers of [1, 2]) {
    test.skipIf(!hasDisk)(
      `${name} on a full disk, ${workers} workers: saves get 503, reads and deletes go on, room ends it`,
      async () => {
        freshDisk("40m");
        const dbFile = join(disk, name);
        {
          await using server = await startServer({ dbFile, workers });
          const { stored: first, refused } = await fillUp(server);
          expect(first).toBeGreaterThan(20);
          expect(refused).toMatchObject({ status: 503 });
          expect(refused?.body.details).toStartWith("No space left on the database's disk");
          expect(refused?.headers.get("retry-after")).toBe("1");
          expect(await countRows(server)).toEqual([{ n: first * ROWS }]);
          const unready = await waitUntil("/ready tells it", async () => {
            const { status, text } = await ready(server);
            return status === 503 && text;
          });
          expect(unready).toContain("No space left on the database's disk");
          await server.logged(/\[WARNING\] - No space left on the database's disk: .*saves are refused/);
          await server.logged("[ERROR] - Hub: commit of 1 saves failed: No space left");
          let stored = first;
          // SQLite may write its log into the file meanwhile, which leaves room for one more.
          for (let inARow = 0; inARow < 20; inARow++) {
            const { status } = await save(server, stored);
            if (status === 200) [stored, inARow] = [stored + 1, -1];
            else expect(status).toBe(503);
            expect(stored).toBeLessThan(SAVES_MAX);
          }
          expect(server.log().split("saves failed").length - 1).toBeLessThan(4);

          const deleted = await runSql(server, "DELETE FROM realtime_data WHERE size >= 100");
          expect(deleted).toMatchObject({ status: 200 });
          expect(await countRows(server)).toEqual([{ n: stored * 100 }]);
          // DuckDB gives back whole blocks, and most of this file is the update log.
          if (name === "a.db") {
            await waitUntil(
              "what was deleted made room",
              async () => (await save(server, stored)).status === 200,
            );
            await waitUntil("the server is ready", async () => (await ready(server)).status === 200);
            await server.logged("The database's disk has room again");
            await fillUp(server);
          }
          mount("-o", "remount,size=200m");
          await waitUntil("room ends it", async () => (await save(server, SAVES_MAX)).status === 200);
          await server.stop();
          expect(server.log()).not.toContain("CRITICAL");
        }
        await using again = await startServer({ dbFile });
        expect((await ready(again)).status).toBe(200);
        await again.stop();
      },
    );
  }
}

test.skipIf(!hasDisk)("what has to stay free is the user's to say, and nothing with 0", async () => {
  freshDisk("40m");
  for (const [flag, status] of [
    ["60", 503],
    ["0", 200],
  ] as const) {
    await using server = await startServer({
      dbFile: join(disk, "b.db"),
      flags: ["--min-free-mb", flag],
      withoutDatabase: true,
    });
    expect((await save(server, 0)).status).toBe(status);
  }
});

test.skipIf(!hasDisk)("an import into a file says why it stops", async () => {
  freshDisk("24m");
  using other = tempDir();
  const csv = join(other.path, "a.csv");
  const lines = Array.from({ length: 600_000 }, (_, n) => `${FIRST_MS + n},${n % 97},${n}`);
  writeFileSync(csv, `timestamp,price,size\n${lines.join("\n")}\n`);
  for (const name of ["i.db", "i.duckdb"]) {
    const { code, stderr } = await runCli([
      "import",
      csv,
      "--ticker",
      "A",
      "--type",
      "trade",
      "--db-file",
      join(disk, name),
      "--quiet",
    ]);
    expect(code).toBe(1);
    expect(stderr).toContain("No space left on the database's disk");
  }
});

test.skipIf(!hasDisk)("a log on a full disk hurts nobody, and says later how much is missing", async () => {
  freshDisk("24m");
  writeFileSync(join(disk, "ballast"), Buffer.alloc(23 * 1024 * 1024));
  await using server = await startServer({
    workers: 2,
    flags: ["--log-file", join(disk, "x.log"), "--access-log", "on"],
  });
  const path = `/nothing/${"x".repeat(4_000)}`;
  for (let n = 0; n < 1_000; n++) expect((await fetch(server.url + path)).status).toBe(404);
  expect((await save(server, 0)).status).toBe(200);
  expect((await ready(server)).status).toBe(200);
  rmSync(join(disk, "ballast"));
  await waitUntil("lines are written again", async () => {
    await fetch(server.url + path);
    return readdirSync(disk).some((file) =>
      readFileSync(join(disk, file), "utf8").includes("log lines lost"),
    );
  });
  await server.stop();
});

test("a database that fails ends its hub, with the reason in the log, and the one server process tries the next", async () => {
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
  // The file can't become longer: the checkpoint that nobody expects to fail does. In units of 512
  // bytes.
  const limit = Math.ceil(statSync(dbFile).size / 512);
  const launcher = ["sh", "-c", `trap "" XFSZ; ulimit -f ${limit}; exec "$0" "$@"`, ...BUN_LAUNCHER];
  let stored: number;
  {
    await using server = await startServer({ dbFile, launcher });
    stored = (await fillUp(server)).stored;
    await server.logged(/\[CRITICAL\] - The database's writer failed: DuckDB can't go on: /);
    await server.logged(/Hub \(pid \d+\) exited with code 1; starting another/);
    expect((await get(`${server.url}/live`)).status).toBe(200);
    expect(await server.stop()).toBe(0);
  }
  await using again = await startServer({ dbFile });
  const [{ n }] = (await countRows(again)) as [{ n: number }];
  expect(n).toBeGreaterThanOrEqual(1_400_000 + stored * ROWS);
  expect(await save(again, SAVES_MAX)).toMatchObject({ status: 200 });
});
