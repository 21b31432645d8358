/**
 * The database file removed, replaced, truncated or overwritten under a running server: nothing may
 * be answered as stored, and nothing be read, any more.
 */

import { Database } from "bun:sqlite";
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const SAVE = { ticker: "A", index_col: "date", data: [{ date: "2024-01-02", close: 1 }] };
const FILES = { sqlite: "a.db", duckdb: "a.duckdb" } as const;
type Engine = keyof typeof FILES;

const dir = tempDir();
const disk = join(dir.path, "disk");
mkdirSync(disk);
const canMount = Bun.which("mount") !== null && process.getuid?.() === 0;
const umount = () => Bun.spawnSync(["umount", "-l", disk]);
if (!canMount) console.log("lost-file.test.ts: no disk is taken away, as that takes root");

afterAll(() => {
  if (canMount) umount();
  dir[Symbol.dispose]();
});

async function expectReady(server: RunningServer) {
  await waitUntil("the server is ready", async () => (await fetch(`${server.url}/ready`)).status === 200);
}

async function expectLost(server: RunningServer, words: RegExp) {
  const refused = await server.command("save_stock_data", SAVE);
  expect(refused.status).toBe(503);
  expect(JSON.stringify(refused.body)).toMatch(words);
  for (const [command, params] of [
    ["get_stock_data", { ticker: "A", interval: "daily", start_date: "2024-01-01", end_date: "2024-12-31" }],
    ["get_latest_price", { ticker: "A" }],
    ["get_positions", { tickers: ["A"] }],
    ["execute_sql", { sql_query: "SELECT count(*) AS n FROM daily_prices", query_type: "select" }],
  ] as const) {
    const { status, body } = await server.command(command, params);
    expect([command, status]).toEqual([command, 503]);
    expect(JSON.stringify(body)).toMatch(words);
  }
  for (const path of ["/health", "/ready"]) {
    const answer = await fetch(server.url + path);
    expect(answer.status).toBe(503);
    expect(await answer.text()).toMatch(words);
  }
  expect((await fetch(`${server.url}/live`)).status).toBe(200);
  await server.logged("[ERROR] - The database is lost");
}

for (const how of ["removed", "replaced"] as const) {
  test(`${how}: saves and health are 503 and say so; put back, all goes on`, async () => {
    await using server = await startServer();
    expect((await server.command("save_stock_data", SAVE)).status).toBe(200);
    const aside = `${server.dbFile}.aside`;
    renameSync(server.dbFile, aside);
    if (how === "replaced") writeFileSync(server.dbFile, "");
    await expectLost(server, new RegExp(`was ${how} while the server had it open`));
    rmSync(server.dbFile, { force: true });
    renameSync(aside, server.dbFile);
    expect((await server.command("save_stock_data", SAVE)).status).toBe(200);
    await expectReady(server);
    await server.logged("The database's file is there again");
  });
}

const overwrite = (path: string, bytes: Uint8Array, at = 0) => {
  const fd = openSync(path, "r+");
  writeSync(fd, bytes, 0, bytes.length, at);
  closeSync(fd);
};
/** Larger, and with more changes behind it than what it replaces. */
const otherDatabase = () => {
  using folder = tempDir();
  const path = join(folder.path, "other.db");
  const db = new Database(path, { create: true });
  db.run("CREATE TABLE other (x)");
  // Each statement is a change, and none needs the disk.
  db.run("PRAGMA synchronous = OFF");
  for (let n = 0; n < 200; n++) db.run(`INSERT INTO other VALUES (hex(zeroblob(4000)))`);
  db.close();
  return readFileSync(path);
};
const WAYS: { name: string; words: RegExp; lose(path: string): void; only?: Engine }[] = [
  { name: "emptied", words: /was truncated while/, lose: (path) => writeFileSync(path, "") },
  {
    name: "cut to a half",
    words: /was truncated while/,
    lose: (path) => truncateSync(path, statSync(path).size / 2),
  },
  {
    name: "with zeros for its first bytes",
    words: /was overwritten while/,
    lose: (path) => overwrite(path, new Uint8Array(4_096)),
  },
  {
    name: "without its write-ahead log",
    words: /-wal was removed while/,
    lose: (path) => rmSync(`${path}-wal`),
    only: "sqlite",
  },
  {
    name: "with a larger database copied over it in place",
    words: /a\.db was overwritten while/,
    lose: (path) => overwrite(path, otherDatabase()),
    only: "sqlite",
  },
  {
    name: "with zeros in its middle",
    words: /a\.db was overwritten while/,
    lose: (path) => overwrite(path, new Uint8Array(4_096), 16_384),
    only: "sqlite",
  },
  {
    name: "with its write-ahead log emptied",
    words: /-wal was truncated while/,
    lose: (path) => truncateSync(`${path}-wal`, 0),
    only: "sqlite",
  },
  {
    name: "with zeros for the beginning of its write-ahead log",
    words: /-wal was overwritten while/,
    lose: (path) => overwrite(`${path}-wal`, new Uint8Array(32)),
    only: "sqlite",
  },
  {
    name: "with zeros for the index of its write-ahead log",
    words: /-shm was overwritten while .* nothing is lost/,
    lose: (path) => overwrite(`${path}-shm`, new Uint8Array(4_096)),
    only: "sqlite",
  },
  {
    name: "replaced by a copy of another time",
    words: /was replaced while/,
    lose(path) {
      copyFileSync(path, `${path}.copy`);
      renameSync(`${path}.copy`, path);
    },
  },
  {
    name: "gone with its folder",
    words: /was removed while/,
    lose: (path) => renameSync(join(path, ".."), `${join(path, "..")}.away`),
  },
];

const filledFiles = new Map<Engine, Promise<string>>();
/** Of a server that has stopped; made once, as a start takes longer than a copy. */
const filledFile = (engine: Engine): Promise<string> =>
  filledFiles.getOrInsertComputed(engine, async () => {
    const dbFile = join(dir.path, FILES[engine]);
    await using server = await startServer({ dbFile });
    expect((await server.command("save_stock_data", SAVE)).status).toBe(200);
    return dbFile;
  });

for (const engine of ["sqlite", "duckdb"] as const) {
  for (const workers of [1, 2]) {
    for (const { name, words, lose, only } of WAYS) {
      if (only !== undefined && only !== engine) continue;
      test(`${engine}, ${workers} workers, ${name}: all is 503 and says so`, async () => {
        using folder = tempDir();
        mkdirSync(join(folder.path, "data"));
        const dbFile = join(folder.path, "data", FILES[engine]);
        copyFileSync(await filledFile(engine), dbFile);
        await using server = await startServer({ dbFile, workers });
        expect((await server.command("save_stock_data", SAVE)).status).toBe(200);
        expect((await server.command("get_latest_price", { ticker: "A" })).status).toBe(200);
        lose(dbFile);
        await expectLost(server, words);
      });
    }
  }

  test.skipIf(!canMount)(`${engine} on a disk that goes away: all is 503 and says so`, async () => {
    Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk]);
    await using server = await startServer({ dbFile: join(disk, FILES[engine]), workers: 2 });
    expect((await server.command("save_stock_data", SAVE)).status).toBe(200);
    umount();
    await expectLost(server, /was removed while/);
  });
}

test("DuckDB without its write-ahead log: the save that went there isn't answered as stored", async () => {
  using folder = tempDir();
  await using server = await startServer({ dbFile: join(folder.path, "a.duckdb"), workers: 2 });
  expect((await server.command("save_stock_data", SAVE)).status).toBe(200);
  expect(existsSync(`${server.dbFile}.wal`)).toBe(true);
  rmSync(`${server.dbFile}.wal`);
  await expectLost(server, /\.wal was removed while/);
});

test("what makes the file shorter by right is no loss", async () => {
  await using server = await startServer();
  const rows = Array.from(
    { length: 20_000 },
    (_, n) => `('B', '${new Date(Date.UTC(2024, 0, 2) + n * 1000).toISOString()}', 'trade', ${n})`,
  );
  const sql = (sql_query: string) => server.command("execute_sql", { sql_query, query_type: "raw" });
  expect(
    (await sql(`INSERT INTO realtime_data (ticker, timestamp, type, price) VALUES ${rows.join(", ")}`))
      .status,
  ).toBe(200);
  expect((await sql("DELETE FROM realtime_data")).status).toBe(200);
  expect((await sql("VACUUM")).status).toBe(200);
  const before = statSync(server.dbFile).size;
  for (let n = 0; n < 50; n++) expect((await server.command("save_stock_data", SAVE)).status).toBe(200);
  expect(statSync(server.dbFile).size).toBeLessThanOrEqual(before);
  await expectReady(server);
});

test("what was written over the file shows to workers that haven't looked since a checkpoint", async () => {
  await using server = await startServer({ workers: 2 });
  expect((await server.command("save_stock_data", SAVE)).status).toBe(200);
  const another = new Database(server.dbFile, { readwrite: true });
  another.run("PRAGMA wal_checkpoint(PASSIVE)");
  another.close();
  expect((await server.command("save_stock_data", SAVE)).status).toBe(200);
  overwrite(server.dbFile, otherDatabase());
  await server.logged("[ERROR] - The database is lost");
  await expectLost(server, /was overwritten while/);
});

test("checkpoints and a VACUUM of another program, and another time of the file, are no loss", async () => {
  await using server = await startServer({ workers: 2 });
  const another = new Database(server.dbFile, { readwrite: true });
  for (let n = 0; n < 60; n++) {
    expect((await server.command("save_stock_data", SAVE)).status).toBe(200);
    if (n % 3 === 0) another.run(`PRAGMA wal_checkpoint(${n % 2 === 0 ? "TRUNCATE" : "PASSIVE"})`);
    if (n % 10 === 0) another.run("VACUUM");
    if (n % 4 === 0) utimesSync(server.dbFile, new Date(), new Date(Date.now() - n * 1000));
    expect((await server.command("get_latest_price", { ticker: "A" })).status).toBe(200);
  }
  another.close();
  await expectReady(server);
});
