/**
 * `copy` as a process from engine to engine and back: the rows and their checksums stay what they
 * were.
 */
import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import type { BarRow, Count, Save } from "../../src/storage/contract.ts";
import { openTarget } from "../../src/storage/engines.ts";
import { copy, copySeries, importSample } from "../support/copying.ts";
import { storedRows, TABLES } from "../support/database-rows.ts";
import { usePostgres } from "../support/postgres.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const FILES = [
  ["aapl-daily.csv.gz", "AAPL"],
  ["spy-daily.csv.gz", "SPY"],
  ["ibm-trades.csv.gz", "IBM", "--type", "trade"],
  ["ibm-quotes.csv.gz", "IBM", "--type", "quote"],
] as const;
/** What engines could have each in their own way. */
const SPECIAL: Save[] = [
  {
    kind: "hourly",
    part: null,
    ticker: "O'Neil 株",
    rows: [["2024-01-02 15:00:00", 0.1 + 0.2, 5e-324, null, -0, "9007199254740993"]],
    onDuplicate: "replace",
  },
  {
    kind: "ticks",
    ticker: "IBM",
    part: "auction",
    rows: [
      ["1969-12-31 23:59:59.999999", 1.7976931348623157e308, "-9223372036854775808", null, 0, null, null, 7],
      ["2024-01-02 10:00:00.000001", null, null, null, null, null, null, 0],
    ],
    onDuplicate: "replace",
  },
];

const postgres = usePostgres();

test("the sample goes from SQLite to DuckDB to PostgreSQL to SQLite, and is the same", async () => {
  using dir = tempDir();
  const [first, duckdb, last] = ["first.db", "second.duckdb", "last.db"].map((name) =>
    join(dir.path, name),
  ) as [string, string, string];
  const postgresql = await postgres.freshSchema();
  await importSample(FILES, first);
  const database = await openTarget({ dbFile: first, durability: "normal" });
  await database.writer.commit(SPECIAL);
  await database.close();

  const expected = await copySeries(first, duckdb);
  expect(expected.length).toBe(6);
  expect(await copySeries(duckdb, postgresql)).toEqual(expected);
  expect(await copySeries(postgresql, last)).toEqual(expected);
  expect(await copySeries(last, first, "--dry-run")).toEqual(expected);
  for (const table of TABLES) expect(storedRows(last, table)).toEqual(storedRows(first, table));

  // Once more, from each to each: nothing is written.
  for (const [from, to] of [
    [first, postgresql],
    [postgresql, duckdb],
    [duckdb, last],
  ] as const) {
    const { code, stdout } = await copy(from, to, "--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, rowsWritten: 0, seriesVerified: 6 });
  }
});

test("volumes and sizes of every magnitude go through DuckDB; one that it can't hold is named", async () => {
  using dir = tempDir();
  const [first, duckdb, last] = ["first.db", "second.duckdb", "last.db"].map((name) =>
    join(dir.path, name),
  ) as [string, string, string];
  const sizes = [
    2 / 3e5,
    1e-19,
    5e-324,
    0.1 + 0.2,
    7,
    -3.5,
    2 ** 53 - 1,
    2 ** 53,
    -(2 ** 60),
    2 ** 63 - 1024,
    null,
  ];
  const save = (ticker: string, counts: (Count | null)[]): Save[] => [
    {
      kind: "ticks",
      ticker,
      part: "trade",
      rows: counts.map((size, i) => [
        `2024-01-02 10:00:00.0000${10 + i}`,
        5,
        size,
        null,
        counts.at(-i)!,
        null,
        null,
        0,
      ]),
      onDuplicate: "replace",
    },
    ...(["daily", "hourly"] as const).map(
      (interval): Save => ({
        kind: interval,
        part: null,
        ticker,
        rows: counts.map((volume, i) => [
          interval === "daily" ? `2024-01-${10 + i}` : `2024-01-02 ${10 + i}:00:00`,
          ...[1, 2, 0, 1],
          volume,
          null,
        ]) as BarRow[],
        onDuplicate: "replace",
      }),
    ),
  ];
  const database = await openTarget({ dbFile: first, durability: "normal" });
  await database.writer.commit(save("FRAC", sizes));
  expect((await copySeries(first, duckdb)).length).toBe(3);
  await copySeries(duckdb, last);
  for (const table of TABLES) expect(storedRows(last, table)).toEqual(storedRows(first, table));

  await database.writer.commit(save("HUGE", [1, "9007199254740993"]));
  await database.close();
  const { code, stdout, stderr } = await copy(first, duckdb, "--json");
  expect(code).toBe(1);
  expect(stdout).toContain(
    "HUGE trade 2024-01-02 10:00:00.000011: size 9007199254740993 can't be stored exactly",
  );
  expect(stdout).toContain(
    "HUGE hourly 2024-01-02 11:00:00: volume 9007199254740993 can't be stored exactly",
  );
  expect(stdout + stderr).toMatch(/DECIMAL\(38,18\) has no room for \S+, which is stored/);
  expect(JSON.parse(stdout)).toMatchObject({ ok: false, rowsWritten: 0, seriesVerified: 3, seriesFailed: 3 });
});

test("rows that a destination never gives back as they were count as written once", async () => {
  using dir = tempDir();
  const [from, to] = [join(dir.path, "from.db"), join(dir.path, "to.duckdb")] as const;
  const source = await openTarget({ dbFile: from, durability: "normal" });
  await source.writer.commit(SPECIAL);
  await source.close();
  const destination = await openTarget({ dbFile: to, durability: "normal" });
  await destination.close();
  const instance = await DuckDBInstance.create(to);
  const connection = await instance.connect();
  await connection.run("ALTER TABLE hourly_prices ALTER open SET DATA TYPE FLOAT");
  connection.closeSync();
  instance.closeSync();
  const { code, stdout } = await copy(from, to, "--json");
  expect(code).toBe(1);
  expect(stdout).toMatch(/read back 3 times, and never equal: 2024-01-02 15:00:00 is /);
  expect(JSON.parse(stdout)).toMatchObject({ ok: false, rowsWritten: 3, seriesVerified: 1, seriesFailed: 1 });
});

test("a DuckDB file of the Python server is read as it is, and not upgraded", async () => {
  using dir = tempDir();
  const [from, to] = [join(dir.path, "from.duckdb"), join(dir.path, "to.db")] as const;
  const instance = await DuckDBInstance.create(from);
  const connection = await instance.connect();
  for (const statement of [
    "CREATE TABLE daily_prices (ticker VARCHAR, date TIMESTAMP, open DOUBLE, high DOUBLE, low DOUBLE, close DOUBLE, volume DOUBLE)",
    "INSERT INTO daily_prices VALUES ('A', '2024-01-02', 1, 2, 0.5, 1.5, 1e3), ('A', '2024-01-03', 'nan', 2, 0.5, 1.5, 2.5), ('A', NULL, 1, 1, 1, 1, 1)",
    "CREATE TABLE realtime_data (ticker VARCHAR, timestamp TIMESTAMP, type VARCHAR, price DOUBLE, size BIGINT)",
    "INSERT INTO realtime_data VALUES ('A', '2024-01-02 10:00:00', 'trade', 1, 1), ('A', '2024-01-02 10:00:00', 'trade', 2, 1), ('A', '2024-01-02 10:00:01.5', 'trade', 3, 1)",
  ])
    await connection.run(statement);
  connection.closeSync();
  instance.closeSync();
  const bytes = readFileSync(from);

  expect(await copySeries(from, to)).toHaveLength(2);
  expect(readFileSync(from).equals(bytes)).toBe(true);
  using db = new Database(to, { readonly: true });
  expect(db.query("SELECT date, open, volume FROM daily_prices ORDER BY date").values()).toEqual([
    ["2024-01-02", 1, 1000],
    ["2024-01-03", null, 2.5],
  ]);
  expect(
    db.query("SELECT timestamp, seq, price FROM realtime_data ORDER BY timestamp, seq").values(),
  ).toEqual([
    ["2024-01-02 10:00:00.000000", 0, 1],
    ["2024-01-02 10:00:00.000000", 1, 2],
    ["2024-01-02 10:00:01.500000", 0, 3],
  ]);
});

test("a key that is stored twice fails its series, and only that", async () => {
  using dir = tempDir();
  const [from, to] = [join(dir.path, "from.duckdb"), join(dir.path, "to.db")] as const;
  const database = await openTarget({ dbFile: from, durability: "normal" });
  await database.writer.commit(SPECIAL);
  await database.close();
  const instance = await DuckDBInstance.create(from);
  const connection = await instance.connect();
  await connection.run("INSERT INTO hourly_prices SELECT * FROM hourly_prices");
  connection.closeSync();
  instance.closeSync();
  const { code, stderr } = await copy(from, to);
  expect(code).toBe(1);
  expect(stderr).toMatch(/O'Neil 株 hourly bars: .*not in order of their keys/);
  expect((await copySeries(to, from, "--tickers", "IBM")).length).toBe(1);
});

test("a DuckDB file that a process has open is neither copied from nor to", async () => {
  using dir = tempDir();
  const [open, other] = [join(dir.path, "open.duckdb"), join(dir.path, "other.db")];
  const database = await openTarget({ dbFile: open, durability: "normal" });
  try {
    for (const [from, to] of [
      [open, other],
      [other, open],
    ] as const) {
      await (await openTarget({ dbFile: other, durability: "normal" })).close();
      const { code, stderr } = await copy(from, to);
      expect(code).toBe(1);
      expect(stderr).toContain("another process has it open");
    }
  } finally {
    await database.close();
  }
});

test("a password is in no message, and no database that can't be reached is waited for without end", async () => {
  using dir = tempDir();
  const file = join(dir.path, "a.db");
  await (await openTarget({ dbFile: file, durability: "normal" })).close();
  const away = "postgresql://desk:s3cret@127.0.0.1:1/stocks";
  for (const [from, to] of [
    [away, file],
    [file, `postgresql://nobody:s3cret@127.0.0.1:${postgres.port}/postgres`],
  ] as const) {
    const { code, stdout, stderr } = await copy(from, to);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^copy: cannot (read|open) postgresql:/);
    expect(stdout + stderr).not.toContain("s3cret");
  }
});
