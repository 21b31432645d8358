/**
 * SQL of users against the server's own: names that shadow built-in ones, and the server's tables.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Save } from "../../src/storage/contract.ts";
import { diagnoseDuckDb } from "../../src/storage/duckdb/diagnosis.ts";
import { type OpenDuckDb, openDuckDb } from "../../src/storage/duckdb/open.ts";
import { openReadOnly } from "../../src/storage/duckdb/read-only-file.ts";
import { rowsOf, textOf } from "../support/answered.ts";
import { changeDuckDbFile } from "../support/duckdb-file.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

/** What the server's statements use, and what they would use next. */
const MACROS = [
  "max(x) AS 42",
  "min(x) AS 42",
  "count(x) AS 0",
  "sum(x) AS 1",
  "hash(x) AS 1",
  "bit_xor(x) AS 1",
  "arg_max(a, b) AS 1",
  "strftime(a, b) AS '1999-01-01 00:00:00.000000'",
  "isfinite(x) AS false",
  "trunc(x) AS 0",
  "coalesce(a, b) AS 'null'",
  "concat(a, b) AS 'x'",
  "unnest(x) AS 7",
  "string_split(a, b) AS ['x']",
  "from_json(a, b) AS ['x']",
  "json_valid(a) AS true",
  "nullif(a, b) AS NULL",
  "chr(x) AS 'x'",
  "now() AS TIMESTAMP '1999-01-01'",
  "row_number() AS 1",
  "greatest(a, b) AS 0",
  "typeof(a) AS 'VARCHAR'",
  "rtrim(a, b) AS ''",
  '"+"(a, b) AS 42',
  '"-"(a, b) AS 42',
  "\"||\"(a, b) AS 'x'",
  '"~~"(a, b) AS false',
  "version() AS 'none'",
  "current_database() AS 'none'",
  "duckdb_tables() AS TABLE SELECT 1 AS x",
  "duckdb_columns() AS TABLE SELECT 1 AS x",
  "duckdb_functions() AS TABLE SELECT 1 AS x",
  "duckdb_indexes() AS TABLE SELECT 1 AS x",
  "pragma_database_size() AS TABLE SELECT 1 AS x",
  "checkpoint() AS TABLE SELECT 1 AS x",
  "range(x) AS TABLE SELECT 1 AS range",
];

function setUp() {
  const dir = tempDir();
  const path = join(dir.path, "market.duckdb");
  return {
    path,
    async open(onBroken?: (reason: string) => void): Promise<OpenDuckDb & AsyncDisposable> {
      const options = { path, memoryLimitMb: 256, threads: 2, onFatal() {} };
      const db = await openDuckDb(onBroken === undefined ? options : { ...options, onBroken });
      return { ...db, [Symbol.asyncDispose]: () => db.close() };
    },
    [Symbol.dispose]: () => dir[Symbol.dispose](),
  };
}

function run(db: OpenDuckDb, sql: string) {
  return db.sql.run({ sql, params: [], mode: "write", maxRows: 1_000 }, { timeoutMs: 60_000 });
}

async function execute(db: OpenDuckDb, sql: string): Promise<string> {
  const outcome = await run(db, sql);
  if (outcome.status !== "rows") throw new Error(`${sql}: ${JSON.stringify(outcome)}`);
  return Buffer.concat(outcome.parts).toString();
}

function tick(price: number, second: number): Save {
  return {
    kind: "ticks",
    ticker: "A",
    part: "trade",
    rows: [[`2024-01-02 10:00:0${second}.000000`, price, 1, null, 0.5, null, null, null]],
    onDuplicate: "match",
    update: { saveId: `${price} ${second}`, repeated: false, frame: `{"price":${price}}` },
  };
}

function bars(interval: "daily" | "hourly", closes: number[]): Save {
  const rows = closes.map((close, i): [string, number, number, number, number, number] => {
    const date = new Date(Date.UTC(2020, 0, i + 1)).toISOString().slice(0, 10);
    return [interval === "daily" ? date : `${date} 10:00:00`, close, close, close, close, 10];
  });
  const update = { saveId: `${interval}${closes.length}`, repeated: false, frame: "{}" };
  return { kind: interval, part: null, ticker: "A", rows, onDuplicate: "replace", update };
}

/** Everything that the server does with a file, as far as answers show it. */
async function work(db: OpenDuckDb): Promise<unknown[]> {
  const closes = Array.from({ length: 400 }, (_, i) => 50 + (i % 90));
  const outcomes = [
    ...(await db.writer.commit([tick(1, 1), bars("daily", closes), bars("hourly", [1, 2, 3])])),
    ...(await db.writer.commit([tick(1, 1), tick(2, 1), tick(3, 2), bars("daily", [7])])),
    ...(await db.writer.commit([{ ...tick(3, 2), update: { ...tick(3, 2).update!, repeated: true } }])),
  ];
  const written = (text: string): string => text.replaceAll(/"write_timestamp":"[^"]*"/g, "");
  const range = { ticker: "A", from: null, to: null };
  return [
    outcomes,
    written(await textOf(db.reader.rows({ ...range, kind: "ticks", part: "trade", withSeq: true }))),
    written(await textOf(db.reader.rows({ ...range, kind: "daily", part: null }))),
    written(await textOf(db.reader.rows({ ...range, kind: "hourly", part: null }))),
    written(await textOf(db.reader.newest({ ...range, kind: "ticks", part: "trade", limit: 2 }))),
    await db.reader.latestPrice("A"),
    await db.reader.previousClose("A"),
    await db.reader.dailyVolume("A", "2020-01-01"),
    await db.reader.tickers("ticks", null, 10),
    await db.reader.updates.positions(null),
    await db.reader.updates.snapshot("A"),
    (await db.reader.updates.after("A", 0, { updates: 100, characters: 1e6 })).map(({ frame }) => frame),
    typeof (await db.reader.sizeBytes()),
    await db.reader.probe(),
    await execute(db, "INSERT INTO daily_prices (ticker, date, close) VALUES ('B', '2024-01-02', 1)"),
    (await run(db, "INSERT INTO daily_prices (ticker, date, close) VALUES ('B', '2024-01-02', 1)")).status,
  ];
}

/** Each database has one of its own. */
function withoutEpochs(results: unknown[]): unknown {
  return JSON.parse(JSON.stringify(results, (key, value) => (key === "epoch" ? "" : value)));
}

/** What `work` gives where nobody has named anything. */
async function workOnNewFile(): Promise<unknown[]> {
  using clean = setUp();
  await using db = await clean.open();
  return await work(db);
}

test("macros of an old file with the names of built-in functions change nothing that the server does, and are told", async () => {
  const expected = await workOnNewFile();
  using file = setUp();
  await (await file.open()).close();
  await changeDuckDbFile(file.path, ...MACROS.map((macro) => `CREATE MACRO ${macro}`).reverse());
  {
    await using db = await file.open();
    const notes = db.writer.takeNotes?.() ?? [];
    expect(notes).toEqual([expect.stringContaining("macros with names of built-in functions")]);
    expect(notes[0]).toContain("strftime");
    expect(withoutEpochs(await work(db))).toEqual(withoutEpochs(expected));
  }
  await using again = await file.open();
  expect(await again.reader.latestPrice("A")).toBe(expected[5] as number);
  expect(again.writer.takeNotes?.()).toEqual([expect.stringContaining("max")]);
});

test("an empty file with such macros becomes a database, and a file of the older server is upgraded", async () => {
  using file = setUp();
  const macros = MACROS.map((macro) => `CREATE MACRO ${macro}`).reverse();
  await changeDuckDbFile(
    file.path,
    "CREATE TABLE realtime_data (ticker VARCHAR, timestamp TIMESTAMP, type VARCHAR, price DOUBLE, size DOUBLE, ask_price DOUBLE, ask_size DOUBLE)",
    "INSERT INTO realtime_data VALUES ('A', '2024-01-02 10:00:00', 'trade', 1, 1, 1, 1), ('A', '2024-01-02 10:00:00', 'trade', 2, 1, 1, 1)",
    ...macros,
  );
  await using db = await file.open();
  expect(db.preparation).toContain("realtime_data 2 rows");
  expect(
    (
      await rowsOf(
        db.reader.rows({ kind: "ticks", ticker: "A", part: "trade", from: null, to: null, withSeq: true }),
      )
    ).map(({ price, seq }) => [price, seq]),
  ).toEqual([
    [1, 0],
    [2, 1],
  ]);
});

test("schemas, tables and macros named like databases and schemas of DuckDB lead nowhere else", async () => {
  const expected = await workOnNewFile();
  using file = setUp();
  await (await file.open()).close();
  const db = await file.open();
  for (const schema of ["system", "market", "pg_catalog_2", "temp_2"]) {
    await execute(db, `CREATE SCHEMA market.${schema}`);
    await execute(db, `CREATE TABLE market.${schema}.realtime_data (x INTEGER)`);
    await execute(db, `CREATE TABLE market.${schema}.update_log_2 (x INTEGER)`);
    await execute(db, `CREATE MACRO market.${schema}.max(x) AS 42`);
    await execute(db, `CREATE MACRO market.${schema}.current_database() AS 'none'`);
  }
  await execute(db, "CREATE TABLE market.main.system (x INTEGER)");
  await db.close();
  await using again = await file.open();
  expect(withoutEpochs(await work(again))).toEqual(withoutEpochs(expected));
  expect((await run(again, "UPDATE update_epoch SET epoch = 'x'")).status).toBe("error");
});

test("doctor and copies read such a file as it is", async () => {
  using file = setUp();
  {
    await using db = await file.open();
    await work(db);
  }
  await changeDuckDbFile(file.path, ...MACROS.map((macro) => `CREATE MACRO ${macro}`).reverse());
  const levels = new Map<string, string>();
  for await (const step of diagnoseDuckDb(file.path))
    if ("level" in step) levels.set(step.subject, `${step.level}: ${step.finding}`);
  expect(levels.get("schema")).toStartWith("ok");
  expect(levels.get("keys")).toStartWith("ok");
  expect(levels.get("foreign objects")).toStartWith("warning: the file holds macros with names of built-in");
  const { session, close } = await openReadOnly(file.path);
  expect(await session.rows("SELECT max(price), 1 + 1 FROM realtime_data")).toEqual([[3, 2]]);
  close();
});

test("a macro with the name of something built in is refused, whatever it is; others are made", async () => {
  using file = setUp();
  await using db = await file.open();
  for (const macro of MACROS) {
    for (const create of ["CREATE MACRO", "CREATE OR REPLACE FUNCTION"]) {
      expect({ macro, ...(await run(db, `${create} ${macro}`)) }).toMatchObject({
        macro,
        status: "error",
        httpStatus: 400,
        error: expect.stringMatching(
          /^execute_sql: (a macro named \S+ is not allowed: DuckDB has that name itself|checkpoint is not allowed)/,
        ),
      });
    }
  }
  expect(await run(db, "EXPLAIN ANALYZE CREATE MACRO max(x) AS 42")).toMatchObject({ status: "error" });
  expect(await execute(db, "SELECT max(x) AS m FROM (VALUES (1), (2)) t(x)")).toBe('[{"m":2}]');
  await execute(db, "CREATE MACRO spread(bid, ask) AS ask - bid");
  await execute(db, "CREATE MACRO closes_of(t) AS TABLE SELECT close FROM daily_prices WHERE ticker = t");
  expect(await execute(db, "SELECT spread(1, 3) AS s")).toBe('[{"s":2}]');
});

test("the server's tables keep their shape, whatever tries to change it", async () => {
  using file = setUp();
  await using db = await file.open();
  await db.writer.commit([tick(1, 1), bars("daily", [1])]);
  const tables = ["daily_prices", "hourly_prices", "realtime_data", "update_log", "daily_checkpoints"];
  const refusals = tables.flatMap((table) => [
    `DROP TABLE ${table}`,
    `DROP TABLE IF EXISTS main.${table.toUpperCase()} CASCADE`,
    `ALTER TABLE ${table} RENAME TO mine`,
    `ALTER TABLE market.main."${table}" RENAME ticker TO symbol`,
    `ALTER TABLE ${table} ADD COLUMN note VARCHAR`,
    `ALTER TABLE ${table} DROP COLUMN ticker`,
    `ALTER TABLE ${table} ALTER ticker SET DATA TYPE BLOB`,
    `ALTER TABLE ${table} ALTER ticker SET DEFAULT 'X'`,
    `ALTER TABLE ${table} ALTER ticker DROP NOT NULL`,
    `ALTER TABLE ${table} ADD PRIMARY KEY (ticker)`,
    `CREATE OR REPLACE TABLE ${table} AS SELECT * FROM ${table}`,
    `CREATE OR REPLACE VIEW ${table} AS SELECT 1`,
    `CREATE INDEX mine ON ${table} (ticker)`,
    `CREATE UNIQUE INDEX mine ON ${table} (ticker)`,
    `COMMENT ON TABLE ${table} IS 'mine'`,
    `COMMENT ON COLUMN ${table}.ticker IS 'mine'`,
    `CREATE TABLE mine (ticker VARCHAR REFERENCES ${table} (ticker))`,
    `CREATE TRIGGER mine AFTER INSERT ON ${table} FOR EACH ROW SELECT 1`,
    `EXPLAIN ANALYZE DROP TABLE ${table}`,
    `EXPLAIN ANALYZE CREATE OR REPLACE TABLE ${table} AS SELECT 1`,
  ]);
  refusals.push(
    "DROP SCHEMA main CASCADE",
    "ALTER SCHEMA main RENAME TO other",
    "DROP TABLE stock_db_schema",
  );
  const shape = await execute(db, "SELECT table_name, sql, comment FROM duckdb_tables() ORDER BY ALL");
  for (const sql of refusals)
    expect({ sql, ...(await run(db, sql)) }).toMatchObject({ sql, status: "error", httpStatus: 400 });
  expect(await execute(db, "SELECT table_name, sql, comment FROM duckdb_tables() ORDER BY ALL")).toBe(shape);
  expect(await db.writer.commit([tick(2, 2)])).toMatchObject([{ ok: true, stored: 1 }]);

  // What only reads them is the user's own.
  await execute(
    db,
    "CREATE VIEW closes AS SELECT ticker, max(date) AS date FROM daily_prices GROUP BY ticker",
  );
  await execute(db, "CREATE TABLE mine AS SELECT * FROM realtime_data");
  await execute(db, "ALTER TABLE mine RENAME TO mine_too");
  await execute(db, "CREATE INDEX by_price ON mine_too (price)");
  await execute(db, "DROP TABLE mine_too");
});

test("rows that users write have keys of their own, by whatever statement", async () => {
  using file = setUp();
  await using db = await file.open();
  await db.writer.commit([bars("daily", [1, 2, 3])]);
  const columns = "ticker, date, close";
  for (const sql of [
    `INSERT INTO daily_prices (${columns}) VALUES ('A', '2020-01-01', 9)`,
    `EXPLAIN ANALYZE INSERT INTO daily_prices (${columns}) VALUES ('A', '2020-01-01', 9)`,
    "EXPLAIN (ANALYZE, FORMAT json) INSERT INTO daily_prices BY NAME SELECT 'A' AS ticker, DATE '2020-01-01' AS date",
    "INSERT INTO daily_prices BY NAME SELECT 'A' AS ticker, DATE '2020-01-01' AS date",
    "WITH x AS (SELECT 'A' AS ticker, DATE '2020-01-01' AS date) INSERT INTO main.daily_prices BY NAME FROM x",
    `INSERT OR REPLACE INTO daily_prices (${columns}) VALUES ('A', '2020-01-01', 9)`,
    `INSERT OR IGNORE INTO "Daily_Prices" (${columns}) VALUES ('A', '2020-01-01', 9)`,
    "INSERT INTO daily_prices SELECT * FROM daily_prices",
    "MERGE INTO daily_prices d USING (SELECT 'A' AS ticker, DATE '2020-01-01' AS date) s ON false WHEN NOT MATCHED THEN INSERT (ticker, date) VALUES (s.ticker, s.date)",
    "MERGE INTO daily_prices d USING (SELECT 'A' AS ticker) s ON d.ticker = s.ticker WHEN MATCHED THEN UPDATE SET date = DATE '2020-01-01'",
    "UPDATE daily_prices SET date = DATE '2020-01-01'",
    "EXPLAIN ANALYZE UPDATE daily_prices SET date = DATE '2020-01-01' WHERE close = 2",
    "UPDATE daily_prices d SET date = s.date FROM (SELECT DATE '2020-01-03' AS date) s WHERE d.close = 1",
  ])
    expect({ sql, ...(await run(db, sql)) }).toMatchObject({ sql, status: "error", httpStatus: 400 });
  expect(await execute(db, "SELECT date, close FROM daily_prices ORDER BY ALL")).toBe(
    '[{"date":"2020-01-01","close":1},{"date":"2020-01-02","close":2},{"date":"2020-01-03","close":3}]',
  );

  // Keys that stay single may change, and rows added by any statement have their time.
  await execute(db, "UPDATE daily_prices SET ticker = 'META' WHERE ticker = 'A'");
  await execute(db, "UPDATE daily_prices SET close = close + 1");
  await execute(db, `EXPLAIN ANALYZE INSERT INTO daily_prices (${columns}) VALUES ('A', '2020-01-01', 9)`);
  expect(
    await execute(
      db,
      "SELECT ticker, count(*) AS n, count(write_timestamp) AS stamped FROM daily_prices GROUP BY ALL ORDER BY ALL",
    ),
  ).toBe('[{"ticker":"A","n":1,"stamped":1},{"ticker":"META","n":3,"stamped":3}]');
});

test("keys that were there twice before don't stand in the way of others", async () => {
  using file = setUp();
  {
    await using db = await file.open();
    await db.writer.commit([bars("daily", [1, 2, 3])]);
  }
  await changeDuckDbFile(
    file.path,
    "INSERT INTO daily_prices BY NAME SELECT * FROM daily_prices WHERE close = 1",
  );
  await using db = await file.open();
  await execute(db, "UPDATE daily_prices SET date = DATE '2021-01-01' WHERE close = 3");
  expect((await run(db, "UPDATE daily_prices SET date = DATE '2020-01-01' WHERE close = 2")).status).toBe(
    "error",
  );
});

test("refusals say why", async () => {
  using file = setUp();
  await using db = await file.open();
  for (const [sql, why] of [
    ["SET memory_limit = '9GB'", "settings of the database are the server's"],
    ["SET search_path = 'main'", "settings of the database are the server's"],
    ["SET VARIABLE x = 1", "settings of the database are the server's"],
    ["RESET memory_limit", "settings of the database are the server's"],
    ["USE main", "settings of the database are the server's"],
    ["ATTACH ':memory:' AS m", "a request may use only the server's own database"],
    ["DETACH market", "a request may use only the server's own database"],
    ["LOAD json", "a request may not load code"],
    ["INSTALL json", "a request may not load code"],
    ["BEGIN", "each request is one transaction of its own"],
    ["COMMIT", "each request is one transaction of its own"],
    [
      "PREPARE p AS INSERT INTO daily_prices (ticker, date) VALUES ('A', '2020-01-01')",
      "each request is one",
    ],
    ["CALL pragma_version()", "it would act on the whole server"],
    ["COPY daily_prices TO '/tmp/x.csv'", "a request may not use files"],
    ["EXPORT DATABASE '/tmp/x'", "a request may not use files"],
  ] as const) {
    for (const mode of ["read", "write"] as const) {
      const outcome = await db.sql.run({ sql, params: [], mode, maxRows: 10 }, { timeoutMs: 10_000 });
      expect({ sql, ...outcome }).toMatchObject({
        sql,
        status: "error",
        error: expect.stringContaining(why),
      });
    }
  }
});

test("a file without one of the server's tables or columns isn't opened, and doctor says what it lacks", async () => {
  for (const [damage, lack] of [
    ["DROP TABLE realtime_data", "it has no table realtime_data"],
    ["ALTER TABLE daily_prices DROP COLUMN close", "table daily_prices has no column close"],
    ["DROP TABLE update_log", "it has no table update_log"],
    ["DROP TABLE daily_checkpoints", "it has no table daily_checkpoints"],
  ] as const) {
    using file = setUp();
    await (await file.open()).close();
    await changeDuckDbFile(file.path, damage);
    await expect(file.open()).rejects.toThrow(lack);
    const found = new Map<string, string>();
    for await (const step of diagnoseDuckDb(file.path))
      if ("level" in step) found.set(step.subject, `${step.level}: ${step.finding}`);
    expect(found.get("schema")).toBe(`fail: ${lack}`);
  }
});

test("columns that another program has given a type of its own are the server's state: no row is blamed, and the log tells it", async () => {
  using file = setUp();
  await (await file.open()).close();
  await changeDuckDbFile(
    file.path,
    "ALTER TABLE update_log ALTER saved_at SET DATA TYPE TINYINT",
    "ALTER TABLE hourly_prices ALTER close SET DATA TYPE VARCHAR[] USING [close::VARCHAR]",
  );
  const told: string[] = [];
  await using db = await file.open((reason) => void told.push(reason));
  await expect(Promise.resolve(db.writer.commit([tick(1, 1)]))).rejects.toThrow("Conversion Error");
  for (let i = 0; i < 5; i++)
    await expect(Promise.resolve(db.reader.latestPrice("A"))).rejects.toMatchObject({ status: 503 });
  expect(told).toEqual([
    expect.stringContaining("a read failed, as the database's tables are not as they were"),
  ]);
});
