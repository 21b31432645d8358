/**
 * `copy` as a process, on real files: what arrives, what is left alone, and what happens when it is
 * interrupted.
 */
import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, linkSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Save, TickRow } from "../../src/storage/contract.ts";
import { openTarget } from "../../src/storage/engines.ts";
import { changeAsAnotherProgram } from "../support/another-program.ts";
import { countRows, storedRows, TABLES } from "../support/database-rows.ts";
import { writePythonFile } from "../support/python-file.ts";
import { runCli } from "../support/run-cli.ts";
import { startServer, waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const ROOT = resolve(import.meta.dir, "../..");
const BARS = join(ROOT, "sample/aapl-daily.csv.gz");
const TRADES = join(ROOT, "sample/ibm-trades.csv.gz");

const copy = (...args: string[]) => runCli(["copy", "--quiet", ...args]);

async function copyJson(...args: string[]) {
  const { code, stdout, stderr } = await copy("--json", ...args);
  return { code, stderr, summary: JSON.parse(stdout) as Record<string, unknown> };
}

async function save(dbFile: string, saves: Save[]): Promise<void> {
  const database = await openTarget({ dbFile, durability: "normal" });
  try {
    for (let left = saves; left.length > 0; ) {
      const outcomes = await database.writer.commit(left);
      for (const outcome of outcomes) if (outcome !== null) expect(outcome).toMatchObject({ ok: true });
      left = left.filter((_, index) => outcomes[index] === null);
    }
  } finally {
    await database.close();
  }
}

const tick = (second: number, price: number, seq = 0): TickRow => {
  return [
    `2024-01-02 10:00:${String(second).padStart(2, "0")}.000001`,
    price,
    1,
    null,
    null,
    null,
    null,
    seq,
  ];
};
const trades = (ticker: string, rows: TickRow[]): Save => {
  return { kind: "ticks", ticker, part: "trade", rows, onDuplicate: "replace" };
};
const daily = (ticker: string, dates: string[], close = 5): Save => ({
  kind: "daily",
  part: null,
  ticker,
  rows: dates.map((date) => [date, 1, 2, 0.5, close, 100]),
  onDuplicate: "replace",
});

/** Two files with the same rows, averages included; what each has only for itself is left out. */
function expectSameRows(from: string, to: string, where = "1"): void {
  for (const table of TABLES) expect(storedRows(to, table, where)).toEqual(storedRows(from, table, where));
}

test("real bars and ticks arrive as they are, and a second copy writes nothing", async () => {
  using dir = tempDir();
  const [from, to] = [join(dir.path, "from.db"), join(dir.path, "to.db")];
  for (const [file, ...flags] of [
    [BARS, "--ticker", "AAPL"],
    [TRADES, "--ticker", "IBM", "--type", "trade"],
  ] as const)
    expect((await runCli(["import", file, "--db-file", from, "--quiet", ...flags])).code).toBe(0);
  await save(from, [
    {
      kind: "hourly",
      part: null,
      ticker: "O'Neil",
      rows: [["2024-01-02 15:00:00", 0.1 + 0.2, 5e-324, null, -0, "9007199254740993"]],
      onDuplicate: "replace",
    },
    trades("IBM", [tick(1, 5, 7), tick(1, 5, 9)]),
  ]);

  const first = await copy("--from", from, "--to", to, "--list");
  expect(first.stderr).toBe("");
  expect(first.code).toBe(0);
  expect(first.stdout).toMatch(/^daily\tAAPL\t2000\t[0-9a-f]{16}\t2000 new$/m);
  expect(first.stdout).toContain(
    `7,003 rows of ${from}, 7,003 written to ${to}, 3 series read back and equal`,
  );
  expectSameRows(from, to);

  const bytes = readFileSync(to);
  const { code, summary } = await copyJson("--from", from, "--to", to);
  expect(code).toBe(0);
  expect(summary).toMatchObject({
    ok: true,
    rowsRead: 7_003,
    rowsWritten: 0,
    seriesVerified: 3,
    seriesFailed: 0,
  });
  expect(readFileSync(to).equals(bytes)).toBe(true);
});

test("what the destination has besides is left alone, what differs there becomes the source's", async () => {
  using dir = tempDir();
  const [from, to] = [join(dir.path, "from.db"), join(dir.path, "to.db")];
  await save(from, [
    daily("A", ["2024-01-02", "2024-01-04"], 5),
    trades("A", [tick(2, 1), tick(4, 1), tick(4, 2, 1)]),
  ]);
  await save(to, [
    daily("A", ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-05"], 6),
    trades("A", [tick(1, 9), tick(4, 9), tick(4, 9, 2)]),
    trades("ONLY", [tick(1, 9)]),
  ]);
  const { code, summary } = await copyJson("--from", from, "--to", to);
  expect(code).toBe(0);
  expect(summary).toMatchObject({ rowsRead: 5, rowsWritten: 5, rowsOnlyInDestination: 5, seriesVerified: 2 });
  using db = new Database(to, { readonly: true });
  expect(db.query("SELECT close FROM daily_prices ORDER BY date").values().flat()).toEqual([6, 5, 6, 5, 6]);
  expect(
    db.query("SELECT price FROM realtime_data WHERE ticker = 'A' ORDER BY timestamp, seq").values().flat(),
  ).toEqual([9, 1, 1, 2, 9]);
  expect(db.query("SELECT count(*) FROM realtime_data WHERE ticker = 'ONLY'").values()).toEqual([[1]]);
});

test("ticks of one stamp are the same by id and values, wherever they stand, and none takes another's place", async () => {
  using dir = tempDir();
  const [from, to] = [join(dir.path, "from.db"), join(dir.path, "to.db")];
  const other = (seq: number, price: number, id: string | null, extra: string | null = null): TickRow => {
    const [stamp] = tick(1, price);
    return [stamp, price, 1, null, null, id, extra, seq];
  };
  const source = [other(0, 1, "a"), other(1, 2, "b"), tick(1, 3, 2), tick(1, 3, 3), other(4, 4, null, "{}")];
  await save(from, [trades("A", source), trades("B", [tick(1, 5)])]);
  const there = [
    ...[tick(1, 3, 0), tick(1, 9, 1), other(2, 2, "b"), other(3, 7, "a"), tick(1, 4, 4)],
    other(5, 3, "c"),
  ];
  await save(to, [trades("A", there), trades("B", [tick(1, 7), tick(1, 5, 1)])]);
  for (const rowsWritten of [2, 0]) {
    const { code, summary } = await copyJson("--from", from, "--to", to);
    expect([code, summary.rowsWritten, summary.rowsOnlyInDestination]).toEqual([0, rowsWritten, 2]);
  }
  using db = new Database(to, { readonly: true });
  const stored = (ticker: string) =>
    db.query("SELECT price, id, extra FROM realtime_data WHERE ticker = ? ORDER BY seq").values(ticker);
  expect(stored("A")).toEqual([
    [3, null, null],
    [9, null, null],
    [2, "b", null],
    [1, "a", null],
    [4, null, "{}"],
    // It may be the second one of the source.
    [3, "c", null],
  ]);
  expect(stored("B")).toEqual([
    [7, null, null],
    [5, null, null],
  ]);
});

test("--tickers and --since take a part; a ticker that the source hasn't got is no success", async () => {
  using dir = tempDir();
  const [from, to] = [join(dir.path, "from.db"), join(dir.path, "to.db")];
  const dates = ["2024-01-01", "2024-01-02", "2024-01-03"];
  await save(from, [daily("A", dates), daily("B", dates), daily("C", dates), trades("A", [tick(1, 1)])]);
  const part = await copyJson("--from", from, "--to", to, "--tickers", "A,B", "--since", "2024-01-02");
  expect(part.summary).toMatchObject({ ok: true, rowsWritten: 5 });
  expect(storedRows(to, "daily_prices").map((row) => (row as { date: string }).date)).toEqual([
    ...dates.slice(1),
    ...dates.slice(1),
  ]);

  const later = await copyJson("--from", from, "--to", to, "--tickers", "C", "--since", "2030");
  expect(later).toMatchObject({ code: 0, summary: { ok: true, rowsRead: 0 } });
  const absent = await copyJson("--from", from, "--to", to, "--tickers", "C", "--tickers", "NONE");
  expect(absent.code).toBe(1);
  expect(absent.stderr).toContain("NONE: the source has no row of it");
  expect(absent.summary).toMatchObject({ rowsWritten: 3, seriesVerified: 1, seriesFailed: 1 });
});

test("a dry run tells what is missing and touches nothing", async () => {
  using dir = tempDir();
  const [from, to] = [join(dir.path, "from.db"), join(dir.path, "to.db")];
  await save(from, [daily("A", ["2024-01-02", "2024-01-03"]), trades("A", [tick(1, 1)])]);
  const missing = await copyJson("--from", from, "--to", to, "--dry-run");
  expect(missing).toMatchObject({
    code: 1,
    summary: { ok: false, dryRun: true, rowsToWrite: 3, rowsWritten: 0 },
  });
  expect(existsSync(to)).toBe(false);

  await save(to, [daily("A", ["2024-01-02"])]);
  const bytes = readFileSync(to);
  expect((await copyJson("--from", from, "--to", to, "--dry-run")).summary).toMatchObject({ rowsToWrite: 2 });
  expect(readFileSync(to).equals(bytes)).toBe(true);

  expect((await copy("--from", from, "--to", to)).code).toBe(0);
  const equal = await copyJson("--from", from, "--to", to, "--dry-run");
  expect(equal).toMatchObject({ code: 0, summary: { ok: true, rowsToWrite: 0, seriesVerified: 2 } });
});

test("killed at any moment and started again, it ends with the same rows, each once", async () => {
  using dir = tempDir();
  const [from, to] = [join(dir.path, "from.db"), join(dir.path, "to.db")];
  await save(
    from,
    Array.from({ length: 60 }, (_, n) =>
      trades(
        `T${n % 12}`,
        Array.from({ length: 2_000 }, (_, i): TickRow => {
          const stamp = `2024-01-02 ${10 + Math.floor(n / 12)}:00:00.${String(i >> 1).padStart(6, "0")}`;
          return [stamp, i / 7, i, null, null, null, null, i % 2];
        }),
      ),
    ),
  );
  // A foreign lock holds the first copy up while it has rows to write: it is killed in the middle
  // of a save.
  await save(to, [trades("OTHER", [tick(1, 1)])]);
  const other = new Database(to);
  other.run("BEGIN IMMEDIATE");
  const killed = spawnCopy(from, to);
  await Bun.sleep(300);
  killed.kill("SIGKILL");
  expect(await killed.exited).toBe(137);
  other.run("ROLLBACK");
  other.close();

  for (let kills = 0; kills < 3; kills++) {
    const before = countRows(to, "realtime_data");
    const child = spawnCopy(from, to);
    await waitUntil(
      "the copy gets on",
      () => child.exitCode !== null || countRows(to, "realtime_data") > before,
    );
    child.kill("SIGKILL");
    await child.exited;
  }
  const { code, summary } = await copyJson("--from", from, "--to", to);
  expect(code).toBe(0);
  expect(summary).toMatchObject({ rowsRead: 120_000, seriesVerified: 12, rowsOnlyInDestination: 0 });
  expectSameRows(from, to, "ticker <> 'OTHER'");
});

function spawnCopy(from: string, to: string) {
  const main = join(ROOT, "src/main.ts");
  return Bun.spawn([process.execPath, "--no-orphans", main, "copy", "--from", from, "--to", to, "--quiet"], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
}

test("a server may have the source open, and save into it meanwhile, but not the destination", async () => {
  using dir = tempDir();
  const to = join(dir.path, "to.db");
  await using server = await startServer();
  const saveTrades = async (prices: number[]): Promise<void> => {
    const { status } = await server.command("save_realtime_data", {
      ticker: "A",
      data_type: "trade",
      index_col: "timestamp",
      data: prices.map((price, i) => ({ timestamp: `2024-01-02T10:00:0${i}Z`, price, size: 1 })),
    });
    expect(status).toBe(200);
  };
  await saveTrades([1, 2, 3]);
  const saving = (async () => {
    for (let i = 0; !existsSync(to); i++) await saveTrades([i, i + 0.5]);
    // No more than are made up for: what changes each time that it is read back is given up.
    for (const price of [1_000, 2_000]) await saveTrades([price, price + 0.5]);
  })();
  const during = await copy("--from", server.dbFile, "--to", to);
  expect(during.stderr).toBe("");
  await saving;
  const after = await copyJson("--from", server.dbFile, "--to", to);
  expect(after.code).toBe(0);
  expectSameRows(server.dbFile, to);

  await saveTrades([99]);
  const refused = await copy("--from", to, "--to", server.dbFile);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("is served by another stock-db-server");
});

test("rows that the destination refuses, or changes, are told; the others are copied", async () => {
  using dir = tempDir();
  const [from, to] = [join(dir.path, "from.db"), join(dir.path, "to.db")];
  await save(
    from,
    ["A", "B", "C"].map((ticker) => trades(ticker, [tick(1, 1), tick(2, 2)])),
  );
  await save(to, []);
  using db = new Database(to);
  db.run(`CREATE TRIGGER no_b BEFORE INSERT ON realtime_data WHEN NEW.ticker = 'B'
    BEGIN SELECT RAISE(ABORT, 'B is not wanted'); END`);
  db.run(`CREATE TRIGGER round_c AFTER INSERT ON realtime_data WHEN NEW.ticker = 'C'
    BEGIN UPDATE realtime_data SET price = price + 0.5 WHERE ticker = 'C' AND timestamp = NEW.timestamp; END`);
  db.run(`CREATE TRIGGER round_c_again AFTER UPDATE ON realtime_data WHEN NEW.ticker = 'C' AND NEW.price = cast(NEW.price AS INTEGER)
    BEGIN UPDATE realtime_data SET price = price + 0.5 WHERE ticker = 'C' AND timestamp = NEW.timestamp; END`);
  const { code, stderr, summary } = await copyJson("--from", from, "--to", to);
  expect(code).toBe(1);
  expect(stderr).toContain("B trade ticks: save: the database refuses a row of B");
  expect(stderr).toContain("B is not wanted");
  expect(stderr).toContain(
    "C trade ticks: read back 3 times, and never equal: 2024-01-02 10:00:01.000001 seq 0 is [1.5,1,null,null,null,null,0], expected [1,1,null,null,null,null,0]",
  );
  expect(summary).toMatchObject({ ok: false, seriesVerified: 1, seriesFailed: 2 });
  expectSameRows(from, to, "ticker = 'A'");
});

test("a file of the Python server is read as it is; what no save could have stored is told", async () => {
  using dir = tempDir();
  const [from, to] = [join(dir.path, "from.db"), join(dir.path, "to.db")];
  writePythonFile(from, {
    statements: [
      "INSERT INTO realtime_data (ticker, timestamp, type, price) VALUES ('SHORT', '2024-01-02 15:30:00', 'trade', 1.5)",
      "INSERT INTO hourly_prices (ticker, datetime, open) VALUES ('TEXT', '2024-01-02 15:00:00', 'much')",
      "INSERT INTO daily_prices (ticker, date, open) VALUES ('NODATE', 'yesterday', 1)",
    ],
  });
  const bytes = readFileSync(from);
  const { code, stderr, summary } = await copyJson("--from", from, "--to", to);
  expect(code).toBe(1);
  expect(stderr).toContain('TEXT hourly 2024-01-02 15:00:00: open is "much", expected a number');
  expect(stderr).toContain("NODATE daily yesterday: its stamp can't be read");
  expect(summary).toMatchObject({ seriesVerified: 5, seriesFailed: 2, rowsWritten: 306 });
  expect(readFileSync(from).equals(bytes)).toBe(true);
  expect(readdirSync(dir.path).toSorted()).toEqual(["from.db", "to.db", "to.db.epoch"]);
  expect(storedRows(to, "realtime_data", "ticker = 'SHORT'")).toMatchObject([
    { timestamp: "2024-01-02 15:30:00.000000", price: 1.5 },
  ]);
  expect(storedRows(to, "hourly_prices")).toHaveLength(2);
});

test("wrong usage is told apart from databases that can't be had", async () => {
  using dir = tempDir();
  const [from, to] = [join(dir.path, "from.db"), join(dir.path, "to.db")];
  for (const args of [
    [],
    ["--from", from],
    ["--from", from, "--to", from],
    ["--from", from, "--to", to, "--since", "soon"],
    ["--from", from, "--to", to, "--tickers", ","],
    ["--from", "what.txt", "--to", to],
    ["--from", from, "--to", to, "--fast"],
  ]) {
    const { code, stderr } = await copy(...args);
    expect({ args, code }).toEqual({ args, code: 2 });
    expect(stderr).toStartWith("copy: ");
  }
  const absent = await copy("--from", from, "--to", to);
  expect(absent).toMatchObject({ code: 1, stderr: `copy: there is no database ${from}\n` });
  expect(existsSync(to)).toBe(false);
  await save(from, [daily("A", ["2024-01-02"])]);
  linkSync(from, to);
  expect(await copy("--from", from, "--to", to)).toMatchObject({ code: 1 });
  expect((await copy("--help")).stdout).toStartWith("Usage: stock-db-server copy");
});

test("what is in the way of saves in the destination is told, as a server would log it", async () => {
  using dir = tempDir();
  const [from, to] = [join(dir.path, "from.db"), join(dir.path, "to.db")];
  await save(from, [trades("A", [tick(1, 1)])]);
  await save(to, []);
  changeAsAnotherProgram(to, "CREATE INDEX by_price ON realtime_data (price)");
  const { code, stderr } = await runCli(["copy", "--from", from, "--to", to]);
  expect(code).toBe(0);
  expect(stderr).toContain(`${to}: the index by_price on realtime_data costs every save`);
});
