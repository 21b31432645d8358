/**
 * Tables of our names that other programs have made: a start and `doctor` say the same about them,
 * and a refused start leaves nothing behind.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import type { DoctorReport } from "../../src/cli/doctor.ts";
import type { Save } from "../../src/storage/contract.ts";
import { openPostgres, type PostgresDatabase } from "../../src/storage/postgres/open.ts";
import { schemaOf, usePostgres } from "../support/postgres.ts";
import { runCli } from "../support/run-cli.ts";

setDefaultTimeout(180_000);

const postgres = usePostgres();

const open = (dbFile: string): Promise<PostgresDatabase> =>
  openPostgres({ dbFile, durability: "full", dbPoolSize: 2, startWaitMs: 0 });

const PRICES = "open double precision, high double precision, low double precision, close double precision";
const AVERAGES = ["ma_10", "ma_50", "ma_100", "ma_200", "ema_8", "ema_21", "ema_34", "ema_55", "ema_89"]
  .map((name) => `${name} double precision`)
  .join(", ");
const WRITTEN = "write_timestamp timestamptz";
const TICKER = 'ticker text COLLATE "C"';
const DAILY = `${TICKER}, date date, ${PRICES}, volume numeric, ${AVERAGES}, ${WRITTEN}`;
const TICKS = `"timestamp" timestamptz, ${TICKER}, type text COLLATE "C", price double precision, size numeric, ask_price double precision,
  ask_size numeric, ${WRITTEN}`;
const TICK_KEY = 'PRIMARY KEY (ticker, type, "timestamp", seq)';

/** In a schema of its own. */
async function having(statements: string[]): Promise<{ dbFile: string; schema: string }> {
  const dbFile = await postgres.freshSchema();
  const schema = schemaOf(dbFile);
  const connection = await postgres.admin.reserve();
  try {
    await connection.unsafe(`SET search_path = ${schema}`);
    for (const statement of statements) await connection.unsafe(statement);
  } finally {
    await connection.unsafe("RESET search_path");
    connection.release();
  }
  return { dbFile, schema };
}

async function relations(schema: string): Promise<string[]> {
  const rows = await postgres.admin<{ name: string }[]>`
    SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ${schema} ORDER BY 1`;
  return rows.map(({ name }) => name);
}

const UNFIT: [name: string, statements: string[], problems: RegExp[]][] = [
  ["a view", ["CREATE VIEW realtime_data AS SELECT 1 AS x"], [/^realtime_data is a view: rename it/]],
  ["a sequence", ["CREATE SEQUENCE update_epoch"], [/^update_epoch is a sequence/]],
  [
    "a table of another kind",
    ["CREATE TABLE daily_prices (id int, ticker text)"],
    [/^daily_prices lacks the columns date, open, .*: it is another program's/],
  ],
  [
    "no key",
    [`CREATE TABLE daily_prices (${DAILY})`],
    [
      /^daily_prices has no unique key \(ticker, date\): ALTER TABLE daily_prices ADD PRIMARY KEY \(ticker, date\)$/,
    ],
  ],
  [
    "keys that ON CONFLICT doesn't take",
    [
      `CREATE TABLE daily_prices (${DAILY}, UNIQUE (ticker, date) DEFERRABLE)`,
      "CREATE UNIQUE INDEX ON daily_prices (ticker, date) WHERE volume > 0",
      "CREATE UNIQUE INDEX ON daily_prices (ticker, date, close)",
    ],
    [/^daily_prices has no unique key/],
  ],
  [
    "another key",
    [`CREATE TABLE daily_prices (id serial PRIMARY KEY, ${DAILY})`],
    [/: CREATE UNIQUE INDEX ON daily_prices \(ticker, date\)$/],
  ],
  [
    "other types of prices and texts",
    [
      `CREATE TABLE daily_prices (${DAILY.replace("open double precision", "open numeric(10,2)")
        .replace("high double precision", "high real")
        .replace("ticker text", "ticker varchar(3)")
        .replace("volume numeric", "volume integer")}, PRIMARY KEY (ticker, date))`,
    ],
    [
      /^daily_prices.ticker is character varying\(3\), expected text: ALTER TABLE daily_prices ALTER COLUMN ticker TYPE text/,
      /^daily_prices.open is numeric\(10,2\), expected double precision/,
      /^daily_prices.high is real, expected double precision/,
      /^daily_prices.volume is integer, expected numeric/,
    ],
  ],
  [
    "dates with a time",
    [
      `CREATE TABLE daily_prices (${DAILY.replace("date date", "date timestamp")}, PRIMARY KEY (ticker, date))`,
    ],
    [/^daily_prices.date is timestamp without time zone, expected date/],
  ],
  [
    "stamps without a zone",
    [`CREATE TABLE realtime_data (${TICKS.replace("timestamptz", "timestamp")}, seq bigint, ${TICK_KEY})`],
    [
      /^realtime_data.timestamp is timestamp without time zone, expected timestamptz: .* TYPE timestamptz USING "timestamp" AT TIME ZONE 'UTC'$/,
    ],
  ],
  [
    "no seq",
    [`CREATE TABLE realtime_data (${TICKS})`],
    [
      /^realtime_data lacks the column seq: ALTER TABLE realtime_data ADD COLUMN seq bigint NOT NULL DEFAULT 0$/,
    ],
  ],
  [
    "the order of a language",
    [
      `CREATE COLLATION german (provider = icu, locale = 'de')`,
      `CREATE TABLE daily_prices (${DAILY.replace('"C"', "german")}, PRIMARY KEY (ticker, date))`,
    ],
    [/^daily_prices.ticker is in the order of a language \(german\).*COLLATE "C"$/],
  ],
  [
    "what is generated, and what must be given",
    [
      `CREATE TABLE daily_prices (${DAILY.replace("volume numeric", "volume numeric GENERATED ALWAYS AS (1) STORED")},
         desk text NOT NULL, PRIMARY KEY (ticker, date))`,
    ],
    [
      /^daily_prices.volume is generated by the database/,
      /^daily_prices.desk is NOT NULL and has no default/,
    ],
  ],
  [
    "versions of another program",
    ["CREATE TABLE stock_db_schema (name text)"],
    [/stock_db_schema is another/],
  ],
];

test.each(UNFIT)(
  "%s: refused in the same words by a start and doctor, and nothing is made",
  async (_, statements, problems) => {
    const { dbFile, schema } = await having(statements);
    const before = await relations(schema);
    const error = (await open(dbFile).then(
      () => new Error("it was opened"),
      (reason: unknown) => reason,
    )) as Error;
    const { code, stdout } = await runCli(["doctor", "--json", "--db-file", dbFile]);
    expect(code).toBe(1);
    const report = JSON.parse(stdout) as DoctorReport;
    const failed = report.findings.filter(({ subject, level }) => subject === "schema" && level === "fail");
    expect(failed).toHaveLength(problems.length);
    for (const [i, problem] of problems.entries()) {
      const { finding, advice } = failed[i]!;
      const [told, todo] = [
        finding,
        advice!.replace("; or give the server a schema of its own with ?search_path=", ""),
      ];
      expect(`${told}: ${todo}`).toMatch(problem);
      expect(error.message).toContain(told);
    }
    expect(error.message).toContain("?search_path=");
    expect(error.message).not.toContain("\n");
    expect(await relations(schema)).toEqual(before);
  },
);

const BAR: Save = {
  kind: "daily",
  part: null,
  ticker: "A",
  rows: [["2024-01-02", 1, 2, 0.5, 0.1 + 0.2, 10]],
  onDuplicate: "replace",
};
const TICK: Save = {
  kind: "ticks",
  ticker: "A",
  part: "trade",
  rows: [["2024-01-02 10:00:00.000001", 0.1 + 0.2, 2, null, null, null, null, null]],
  onDuplicate: "match",
};

test("what works alike is served: columns of the user's own, other texts, a unique index, partitions", async () => {
  const { dbFile } = await having([
    `CREATE TABLE daily_prices (note text DEFAULT 'x' NOT NULL, ${DAILY.replace("ticker text", "ticker varchar").replace("volume numeric", "volume bigint")})`,
    "CREATE UNIQUE INDEX any_name ON daily_prices (date, ticker) INCLUDE (close)",
    `CREATE TABLE realtime_data (my_id bigint GENERATED ALWAYS AS IDENTITY, ${TICKS}, seq bigint, ${TICK_KEY}) PARTITION BY RANGE ("timestamp")`,
    "CREATE TABLE all_ticks PARTITION OF realtime_data DEFAULT",
  ]);
  const { code, stdout } = await runCli(["doctor", "--db-file", dbFile]);
  expect(stdout).toContain("daily_prices, realtime_data made by another program, with the columns and keys");
  expect(code).toBe(0);
  for (let i = 0; i < 2; i++) {
    await using db = await open(dbFile);
    for (let n = 0; n < 2; n++)
      expect(await db.writer.commit([BAR, TICK])).toMatchObject([{ ok: true }, { ok: true }]);
    expect(await db.reader.latestPrice("A")).toBe(0.1 + 0.2);
    expect(await db.reader.dailyVolume("A", "2024-01-02")).toBe(10);
  }
  expect((await runCli(["doctor", "--db-file", dbFile])).code).toBe(0);
});

test("a table that has gone since is missed", async () => {
  const { dbFile, schema } = await having([]);
  await (await open(dbFile)).close();
  await postgres.admin.unsafe(`DROP TABLE ${schema}.update_positions`);
  await expect(open(dbFile)).rejects.toThrow("there is no table update_positions");
  expect((await runCli(["doctor", "--db-file", dbFile])).stdout).toContain(
    "there is no table update_positions",
  );
});
