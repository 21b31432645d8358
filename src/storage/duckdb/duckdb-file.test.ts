import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { rowsOf } from "../../../test/support/answered.ts";
import type { Save } from "../contract.ts";
import { type OpenDuckDb, openDuckDb } from "./open.ts";

setDefaultTimeout(120_000);

let folder = "";
let path = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "duckdb-file-"));
  path = join(folder, "stock.duckdb");
});

afterEach(() => rmSync(folder, { recursive: true }));

async function withDatabase<T>(work: (db: OpenDuckDb) => Promise<T>): Promise<T> {
  const db = await openDuckDb({ path, memoryLimitMb: 256, threads: 2, onFatal() {} });
  try {
    return await work(db);
  } finally {
    await db.close();
  }
}

/** A file as another program writes it. */
async function prepare(...statements: string[]): Promise<void> {
  const instance = await DuckDBInstance.create(path);
  const connection = await instance.connect();
  for (const statement of statements) await connection.run(statement);
  await connection.run("CHECKPOINT");
  connection.closeSync();
  instance.closeSync();
}

async function query(db: OpenDuckDb, sql: string, mode: "read" | "write" = "read"): Promise<unknown> {
  const outcome = await db.sql.run({ sql, params: [], mode, maxRows: 1_000_000 }, { timeoutMs: 60_000 });
  if (outcome.status !== "rows") throw new Error(JSON.stringify(outcome));
  return JSON.parse(Buffer.concat(outcome.parts).toString());
}

const allTicks = { kind: "ticks" as const, ticker: "A", part: "trade", from: null, to: null };

function daily(rows: [date: string, close: number][]): Save {
  return {
    kind: "daily",
    part: null,
    ticker: "A",
    rows: rows.map(([date, close]) => [date, close, close, close, close, close]),
    onDuplicate: "replace",
  };
}

describe("opening", () => {
  test("creates the file and its folder, and finds everything again", async () => {
    path = join(folder, "new", "stock.duckdb");
    await withDatabase(async (db) => {
      expect(db.preparation).toBe("created the tables");
      expect(await db.writer.isEmpty()).toBe(true);
      await db.writer.commit([daily([["2024-01-02", 1.5]])]);
      expect(await db.writer.isEmpty()).toBe(false);
    });
    await withDatabase(async (db) => {
      expect(db.preparation).toBeNull();
      expect(await db.reader.latestPrice("A")).toBe(1.5);
    });
  });

  test("an empty file is an empty database", async () => {
    writeFileSync(path, "");
    await withDatabase(async (db) => expect(await db.writer.isEmpty()).toBe(true));
  });

  test("a file that is open in this process is not opened again, by whatever name", async () => {
    await withDatabase(async (db) => {
      const other = join(folder, "link.duckdb");
      symlinkSync(path, other);
      for (const name of [path, other]) {
        const again = openDuckDb({ path: name, memoryLimitMb: 256, threads: 1, onFatal() {} });
        await expect(again).rejects.toThrow("open in this process already");
      }
      expect(await db.writer.commit([daily([["2024-01-02", 1]])])).toMatchObject([
        { ok: true, stored: 1, position: 1 },
      ]);
    });
  });

  test("a file that another process has open is refused in words", async () => {
    const holder = `const { DuckDBInstance } = await import("@duckdb/node-api");
      globalThis.held = await DuckDBInstance.create(${JSON.stringify(path)});
      console.log("open"); setInterval(() => {}, 1000);`;
    await using child = Bun.spawn([process.execPath, "-e", holder], {
      stdout: "pipe",
      cwd: import.meta.dir,
    });
    for await (const _ of child.stdout) break;
    const opening = openDuckDb({ path, memoryLimitMb: 256, threads: 1, onFatal() {} });
    await expect(opening).rejects.toThrow("another process has it open");
    child.kill("SIGKILL");
    await child.exited;
    await withDatabase(async (db) => expect(await db.writer.isEmpty()).toBe(true));
  });

  test("a file that is no DuckDB database is refused and left alone", async () => {
    writeFileSync(path, "no database, but somebody's text".repeat(1000));
    await expect(openDuckDb({ path, memoryLimitMb: 256, threads: 1, onFatal() {} })).rejects.toThrow(
      "cannot open",
    );
    expect((await Bun.file(path).text()).startsWith("no database")).toBe(true);
  });

  test("a newer schema is refused", async () => {
    await prepare(
      "CREATE TABLE stock_db_schema (version INTEGER)",
      "INSERT INTO stock_db_schema VALUES (99)",
    );
    await expect(openDuckDb({ path, memoryLimitMb: 256, threads: 1, onFatal() {} })).rejects.toThrow(
      "written by a newer server",
    );
  });
});

describe("a file of the older server", () => {
  const DAILY = `CREATE TABLE daily_prices (ticker VARCHAR, date DATE, open DOUBLE, high DOUBLE, low DOUBLE, close DOUBLE, volume BIGINT,
    ma_10 DOUBLE, ma_50 DOUBLE, ma_100 DOUBLE, ma_200 DOUBLE, ema_8 DOUBLE, ema_21 DOUBLE, ema_34 DOUBLE, ema_55 DOUBLE, ema_89 DOUBLE,
    write_timestamp TIMESTAMP, PRIMARY KEY (ticker, date))`;

  test("is upgraded: ticks of one stamp are numbered, columns and indexes of the user's own stay", async () => {
    await prepare(
      DAILY,
      "INSERT INTO daily_prices (ticker, date, close, volume) VALUES ('A', '2024-01-03', 2, 20), ('A', '2024-01-02', 1, 10)",
      `CREATE TABLE realtime_data (ticker VARCHAR, timestamp TIMESTAMP, type VARCHAR, price DOUBLE, size DOUBLE, ask_price DOUBLE,
         ask_size INTEGER, write_timestamp TIMESTAMP, venue VARCHAR)`,
      "CREATE INDEX venues ON realtime_data(venue)",
      `INSERT INTO realtime_data (ticker, timestamp, type, price, size, venue) VALUES
         ('A', '2024-01-02 10:00:00', 'trade', 1, 0.5, 'X'), ('A', '2024-01-02 10:00:00', 'trade', 1, 2, 'Y'),
         ('A', NULL, 'trade', 9, 9, 'Z'), ('A', '2024-01-02 09:00:00.000001', 'trade', 3, 3, NULL)`,
    );
    await withDatabase(async (db) => {
      expect(db.preparation).toContain("realtime_data 3 rows (1 without a key of their own");
      const ticks = await rowsOf(db.reader.rows(allTicks));
      expect(ticks.map(({ price, size }) => [price, size])).toEqual([
        [3, 3],
        [1, 0.5],
        [1, 2],
      ]);
      expect(await query(db, "SELECT seq, venue FROM realtime_data WHERE price = 1 ORDER BY seq")).toEqual([
        { seq: 0, venue: "X" },
        { seq: 1, venue: "Y" },
      ]);
      expect(await query(db, "SELECT price FROM unkeyed_realtime_data")).toEqual([{ price: 9 }]);
      expect(await query(db, "SELECT index_name FROM duckdb_indexes()")).toEqual([{ index_name: "venues" }]);
      expect(await db.writer.commit([daily([["2024-01-04", 3]])])).toMatchObject([
        { ok: true, stored: 1, position: 1 },
      ]);
      const bars = await rowsOf(
        db.reader.rows({ kind: "daily", part: null, ticker: "A", from: null, to: null }),
      );
      expect(bars.map(({ close }) => close)).toEqual([1, 2, 3]);
    });
    await withDatabase(async (db) => {
      expect(db.preparation).toBeNull();
      expect(db.writer.takeNotes?.()).toEqual([
        "the file holds on the server's own tables: index venues of realtime_data",
      ]);
      expect(db.writer.takeNotes?.()).toEqual([]);
    });
  });

  test("stamps kept as text become stamps, of a key twice the last row counts", async () => {
    await prepare(
      "CREATE TABLE hourly_prices (ticker TEXT, datetime TEXT, open REAL, high REAL, low REAL, close REAL, volume TEXT, write_timestamp TEXT)",
      `INSERT INTO hourly_prices (ticker, datetime, close, volume) VALUES ('A', '2024-01-02T10:00:00Z', 1, '9007199254740993'),
         ('A', '2024-01-02 10:00:00', 2, '9007199254740993'), ('A', 'no stamp', 3, '1')`,
    );
    await withDatabase(async (db) => {
      const bars = await db.reader.rows({ kind: "hourly", part: null, ticker: "A", from: null, to: null });
      expect(bars).toMatchObject({ empty: false });
      expect("text" in bars && bars.text).toContain(
        '"datetime":"2024-01-02T10:00:00.000000Z","ticker":"A","open":null,"high":null,"low":null,"close":2,"volume":9007199254740993',
      );
      expect(await query(db, "SELECT count(*) AS n FROM unkeyed_hourly_prices")).toEqual([{ n: 2 }]);
    });
  });

  test("volumes and sizes keep their values: each column gets the type that holds them all", async () => {
    await prepare(
      `CREATE TABLE realtime_data (ticker VARCHAR, timestamp TIMESTAMP, type VARCHAR, price DOUBLE, size DOUBLE, ask_price DOUBLE,
         ask_size DECIMAL(38, 18), write_timestamp TIMESTAMP)`,
      "INSERT INTO realtime_data (ticker, timestamp, type, size, ask_size) SELECT 'A', TIMESTAMP '2024-01-02' + to_seconds(unnest(range(5))), 'trade', unnest(['1e-19', '7', 'nan', '1e300', '9007199254740992']), unnest(['0.3', '9007199254740993', '7', NULL, '1152921504606846976'])",
      "CREATE TABLE hourly_prices (ticker TEXT, datetime TEXT, open REAL, high REAL, low REAL, close REAL, volume TEXT, write_timestamp TEXT)",
      "INSERT INTO hourly_prices (ticker, datetime, volume) VALUES ('A', '2024-01-02T10:00:00Z', '1e-19'), ('A', '2024-01-02T11:00:00Z', '9007199254740992')",
    );
    await withDatabase(async (db) => {
      expect(
        await query(db, "SELECT typeof(size) AS s, typeof(ask_size) AS a FROM realtime_data LIMIT 1"),
      ).toEqual([{ s: "DOUBLE", a: "DECIMAL(38,18)" }]);
      expect(
        await query(db, "SELECT volume, typeof(volume) AS t FROM hourly_prices ORDER BY datetime"),
      ).toEqual([
        { volume: 1e-19, t: "DOUBLE" },
        { volume: 2 ** 53, t: "DOUBLE" },
      ]);
      const rows = await db.reader.rows(allTicks);
      const sizes = "text" in rows ? [...rows.text.matchAll(/size":([^,]+)/g)].map((match) => match[1]) : [];
      expect(sizes).toEqual(
        ["1e-19", "0.3", "7", "9007199254740993", "null", "7", "1e+300", "null", "9007199254740992"].concat(
          "1152921504606846976",
        ),
      );
    });
  });

  test("a column of volumes that no type holds exactly is refused, and the file stays as it is", async () => {
    await prepare(
      "CREATE TABLE hourly_prices (ticker TEXT, datetime TEXT, open REAL, high REAL, low REAL, close REAL, volume TEXT, write_timestamp TEXT)",
      "INSERT INTO hourly_prices (ticker, datetime, volume) VALUES ('A', '2024-01-02T10:00:00Z', '1e-19'), ('A', '2024-01-02T11:00:00Z', '9007199254740993')",
    );
    await expect(openDuckDb({ path, memoryLimitMb: 256, threads: 1, onFatal() {} })).rejects.toThrow(
      "DOUBLE has no room for 9007199254740993; DECIMAL(38,18) has no room for 1e-19",
    );
  });

  test("a table without its key column is refused, and the file keeps its rows", async () => {
    await prepare(DAILY, "INSERT INTO daily_prices (ticker, date) VALUES ('A', '2024-01-02')");
    await prepare("CREATE TABLE hourly_prices (ticker VARCHAR, hour TIMESTAMP)");
    const opening = openDuckDb({ path, memoryLimitMb: 256, threads: 1, onFatal() {} });
    await expect(opening).rejects.toThrow("table hourly_prices has no column datetime");
    const instance = await DuckDBInstance.create(path);
    const connection = await instance.connect();
    const result = await connection.runAndReadAll("SELECT count(*)::INTEGER FROM daily_prices");
    expect(result.getRows()).toEqual([[1]]);
    connection.closeSync();
    instance.closeSync();
  });
});

test("counts: whole ones of 64 bits are exact, and stay so once one isn't whole", async () => {
  const tick = (second: number, size: number | string): Save => ({
    kind: "ticks",
    ticker: "A",
    part: "trade",
    rows: [[`2024-01-02 10:00:0${second}.000000`, 1, size, null, null, null, null, null]],
    onDuplicate: "match",
  });
  await withDatabase(async (db) => {
    await db.writer.commit([tick(1, "9223372036854775807"), tick(2, "-9223372036854775808")]);
    expect(await query(db, "SELECT typeof(size) AS type FROM realtime_data LIMIT 1")).toEqual([
      { type: "BIGINT" },
    ]);
    const odd = [tick(3, 0.30000000000000004), tick(4, 1e-7), tick(5, "9007199254740993")];
    expect(await db.writer.commit(odd)).toMatchObject(
      [3, 4, 5].map((position) => ({ ok: true, stored: 1, position })),
    );
    expect(await db.writer.commit(odd)).toMatchObject(Array(3).fill({ ok: true, stored: 0, position: null }));
    const rows = await db.reader.rows(allTicks);
    const sizes = "text" in rows ? [...rows.text.matchAll(/"size":([^,]+)/g)].map((match) => match[1]) : [];
    expect(sizes).toEqual([
      "9223372036854775807",
      "-9223372036854775808",
      "0.30000000000000004",
      "0.0000001",
      "9007199254740993",
    ]);
  });
});

test("large answers: every row once, also of a key that a user stored twice", async () => {
  await withDatabase(async () => null);
  // The page's end falls between rows of one key.
  await prepare(
    `INSERT INTO realtime_data BY NAME SELECT 'A' AS ticker, TIMESTAMP '2024-01-02' + to_seconds(range // 5) AS timestamp, 'trade' AS type,
       range::DOUBLE AS price, 0 AS seq FROM range(140000)`,
  );
  await withDatabase(async (db) => {
    const ticks = await rowsOf(db.reader.rows(allTicks));
    expect(ticks.map(({ price }) => price as number).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 140_000 }, (_, i) => i),
    );
  });
});

test("averages: a checkpoint is not used once a close before it was changed by another program", async () => {
  const dateOf = (day: number): string =>
    new Date(Date.UTC(2000, 0, 1) + day * 86_400_000).toISOString().slice(0, 10);
  const days = Array.from({ length: 600 }, (_, day): [string, number] => [dateOf(day), 50 + (day % 90)]);
  const averages = (db: OpenDuckDb) =>
    query(db, "SELECT date, close, ma_200, ema_89 FROM daily_prices ORDER BY date");
  await withDatabase(async (db) => {
    await db.writer.commit([daily(days)]);
    expect(
      await query(db, "SELECT count(*) AS n, count(closes_hash) AS hashed FROM daily_checkpoints"),
    ).toEqual([{ n: 4, hashed: 4 }]);
  });
  await prepare(`UPDATE daily_prices SET close = 999 WHERE date = '${dateOf(300)}'`);
  const repaired = await withDatabase(async (db) => {
    await db.writer.commit([daily([[dateOf(600), 60]])]);
    expect(
      await query(db, "SELECT count(*) AS n, count(closes_hash) AS hashed FROM daily_checkpoints"),
    ).toEqual([{ n: 4, hashed: 4 }]);
    return averages(db);
  });
  rmSync(path);
  await withDatabase(async (db) => {
    days[300] = [dateOf(300), 999];
    await db.writer.commit([daily([...days, [dateOf(600), 60]])]);
    expect(repaired).toEqual(await averages(db));
  });
});
