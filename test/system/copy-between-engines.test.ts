/** `copy` as a process from engine to engine and back: the rows and their checksums stay what they were. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join, resolve } from "node:path";
import { openDuckDbWriter } from "../../src/roles/engines/duckdb.ts";
import { openSqliteWriter } from "../../src/roles/engines/sqlite.ts";
import type { Save } from "../../src/storage/contract.ts";
import { storedRows, TABLES } from "../support/database-rows.ts";
import { usePostgres } from "../support/postgres.ts";
import { runCli } from "../support/run-cli.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

const SAMPLE = resolve(import.meta.dir, "../../sample");
const FILES = [
  ["aapl-daily.csv.gz", "AAPL"],
  ["spy-daily.csv.gz", "SPY"],
  ["ibm-trades.csv.gz", "IBM", "--type", "trade"],
  ["ibm-quotes.csv.gz", "IBM", "--type", "quote"],
] as const;
/** What engines could have each in their own way. */
const SPECIAL: Save[] = [
  {
    kind: "bars",
    interval: "hourly",
    ticker: "O'Neil 株",
    rows: [["2024-01-02 15:00:00", 0.1 + 0.2, 5e-324, null, -0, "9007199254740993"]],
    onDuplicate: "replace",
  },
  {
    kind: "ticks",
    ticker: "IBM",
    type: "auction",
    rows: [
      ["1969-12-31 23:59:59.999999", 1.7976931348623157e308, "-9223372036854775808", null, 0, 7],
      ["2024-01-02 10:00:00.000001", null, null, null, null, 0],
    ],
    onDuplicate: "replace",
  },
];

const postgres = usePostgres();

const copy = (from: string, to: string, ...flags: string[]) =>
  runCli(["copy", "--quiet", "--from", from, "--to", to, ...flags]);

/** The series with their counts and checksums, in one order whatever that of the engine. */
async function series(from: string, to: string, ...flags: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await copy(from, to, "--list", ...flags);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  const lines = stdout.split("\n").filter((line) => line.includes("\t"));
  return lines.map((line) => line.split("\t").slice(0, 4).join("\t")).toSorted();
}

test("the sample goes from SQLite to DuckDB to PostgreSQL to SQLite, and is the same", async () => {
  using dir = tempDir();
  const [first, duckdb, last] = ["first.db", "second.duckdb", "last.db"].map((name) =>
    join(dir.path, name),
  ) as [string, string, string];
  const postgresql = await postgres.freshSchema();
  for (const [file, ticker, ...flags] of FILES) {
    const args = ["import", join(SAMPLE, file), "--db-file", first, "--quiet", "--ticker", ticker, ...flags];
    expect((await runCli(args)).code).toBe(0);
  }
  const writer = openSqliteWriter({ dbFile: first, durability: "normal" });
  await writer.commit(SPECIAL);
  await writer.close();

  const expected = await series(first, duckdb);
  expect(expected.length).toBe(6);
  expect(await series(duckdb, postgresql)).toEqual(expected);
  expect(await series(postgresql, last)).toEqual(expected);
  expect(await series(last, first, "--dry-run")).toEqual(expected);
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

test("a DuckDB file that a process has open is neither copied from nor to", async () => {
  using dir = tempDir();
  const [open, other] = [join(dir.path, "open.duckdb"), join(dir.path, "other.db")];
  const writer = await openDuckDbWriter({ dbFile: open, durability: "normal" });
  try {
    for (const [from, to] of [
      [open, other],
      [other, open],
    ] as const) {
      openSqliteWriter({ dbFile: other, durability: "normal" }).close();
      const { code, stderr } = await copy(from, to);
      expect(code).toBe(1);
      expect(stderr).toContain("another process has it open");
    }
  } finally {
    await writer.close();
  }
});

test("a password is in no message, and no database that can't be reached is waited for without end", async () => {
  using dir = tempDir();
  const file = join(dir.path, "a.db");
  openSqliteWriter({ dbFile: file, durability: "normal" }).close();
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

test("another server is refused, with what to do instead", async () => {
  using dir = tempDir();
  const file = join(dir.path, "a.db");
  const server = "http://desk:s3cret@127.0.0.1:12345";
  for (const [from, to] of [
    [server, file],
    [file, server],
  ] as const) {
    const { code, stderr } = await copy(from, to);
    expect(code).toBe(2);
    expect(stderr).toContain("is another server, not a database; name the database of that server instead");
    expect(stderr).not.toContain("s3cret");
  }
});
