/**
 * A database file of the Python server: it opens, is upgraded in one transaction, and reads the
 * same.
 */
import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { continueAverages, startState } from "../../src/market/moving-averages.ts";
import { failingStart } from "../support/failing-start.ts";
import { closeOfDay, DAILY_ROWS, dateOfDay, writePythonFile } from "../support/python-file.ts";
import { command, runSql, saveTrade } from "../support/requests.ts";
import { startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const AVERAGES = ["ma_10", "ma_50", "ma_100", "ma_200", "ema_8", "ema_21", "ema_34", "ema_55", "ema_89"];
const USERS_OWN = [
  "CREATE INDEX by_close ON daily_prices (close)",
  "CREATE VIEW last_closes AS SELECT ticker, max(date) AS date, close FROM daily_prices GROUP BY ticker",
  "ALTER TABLE daily_prices ADD COLUMN note TEXT",
  "UPDATE daily_prices SET note = 'first' WHERE date = '2023-01-01'",
  "CREATE TABLE diary (day TEXT)",
];

test("rows read as before, and what users have added is still there", async () => {
  using dir = tempDir();
  const dbFile = join(dir.path, "stock_data.db");
  writePythonFile(dbFile, { statements: USERS_OWN });
  await using server = await startServer({ dbFile, workers: 2 });
  await server.logged("upgraded a file of the Python server");

  const daily = await command(server.url, "get_stock_data", {
    ticker: "AAPL",
    start_date: null,
    end_date: null,
  });
  expect(daily.body.data.length).toBe(DAILY_ROWS);
  expect(daily.body.data[20]).toEqual({
    date: `${dateOfDay(20)}T00:00:00.000000Z`,
    ticker: "AAPL",
    open: closeOfDay(20) - 1,
    high: null,
    low: null,
    close: closeOfDay(20),
    volume: 1020,
    ...Object.fromEntries(AVERAGES.map((name) => [name, name === "ma_10" ? 1 : null])),
    write_timestamp: "2023-11-02 10:00:00.123456+00:00",
  });

  const hourly = await fetch(`${server.url}/db_command`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      command: "get_stock_data",
      params: { ticker: "AAPL", interval: "hourly", start_date: null },
    }),
  });
  const text = await hourly.text();
  expect(text).toContain('"datetime":"2024-01-02T15:00:00.000000Z"');
  expect(text).toContain('"volume":9007199254740993'); // every digit of the 64 bits
  expect(text).toContain('"close":null');

  const trades = await command(server.url, "get_realtime_data", { ticker: "AAPL", data_type: "trade" });
  expect(trades.body.data).toEqual([
    {
      timestamp: "2024-01-02T15:30:00.000001Z",
      ticker: "AAPL",
      type: "trade",
      price: 10.25,
      size: 7,
      ask_price: null,
      ask_size: null,
      write_timestamp: "2024-01-02T15:30:00.200000Z",
    },
    expect.objectContaining({ timestamp: "2024-01-02T15:30:00.500000Z", price: 10.75, size: null }),
  ]);
  const latest = await command(server.url, "get_latest_price", { ticker: "AAPL" });
  expect(latest.body.latest_price).toBe(10.75);

  // What users made with SQL, and the row that no command could ever read.
  const rows = async (sql: string) => (await runSql(server.url, sql)).body.data;
  expect(await rows("SELECT * FROM last_closes")).toEqual([
    { ticker: "AAPL", date: dateOfDay(DAILY_ROWS - 1), close: closeOfDay(DAILY_ROWS - 1) },
  ]);
  expect(await rows("SELECT date FROM daily_prices WHERE note = 'first'")).toEqual([{ date: "2023-01-01" }]);
  expect(await rows("SELECT name FROM sqlite_master WHERE name IN ('by_close', 'diary') ORDER BY 1")).toEqual(
    [{ name: "by_close" }, { name: "diary" }],
  );
  expect(await rows("SELECT price FROM unkeyed_realtime_data")).toEqual([{ price: 99 }]);
});

test("the next save puts the averages of the whole series right, and ticks may share a stamp", async () => {
  using dir = tempDir();
  const dbFile = join(dir.path, "stock_data.db");
  writePythonFile(dbFile);
  await using server = await startServer({ dbFile });
  const save = await command(server.url, "save_stock_data", {
    ticker: "AAPL",
    index_col: "date",
    data: [{ date: dateOfDay(DAILY_ROWS), close: closeOfDay(DAILY_ROWS) }],
  });
  expect(save.status).toBe(200);
  const { body } = await command(server.url, "get_stock_data", {
    ticker: "AAPL",
    start_date: null,
    end_date: null,
  });
  const closes = Array.from({ length: DAILY_ROWS + 1 }, (_, n) => closeOfDay(n));
  const expected = continueAverages(startState(), [], closes).rows;
  expect(body.data.map((row: Record<string, number>) => AVERAGES.map((name) => row[name]))).toEqual(expected);

  const stamp = "2024-01-02T15:30:00.000001Z";
  expect((await saveTrade(server.url, "AAPL", 10.25, stamp)).status).toBe(200);
  expect((await saveTrade(server.url, "AAPL", 11, stamp)).status).toBe(200);
  const trades = await command(server.url, "get_realtime_data", { ticker: "AAPL", data_type: "trade" });
  // The first of the two differs from the stored tick in its size.
  expect(trades.body.data.map((row: { price: number }) => row.price)).toEqual([10.25, 10.25, 11, 10.75]);
});

test("an upgraded file opens again without another upgrade, with the same rows", async () => {
  using dir = tempDir();
  const dbFile = join(dir.path, "stock_data.db");
  writePythonFile(dbFile);
  const read = async () => {
    await using server = await startServer({ dbFile });
    const { body } = await command(server.url, "get_stock_data", {
      ticker: "AAPL",
      start_date: null,
      end_date: null,
    });
    await server.stop();
    return { body, upgraded: server.log().includes("upgraded a file") };
  };
  const first = await read();
  const second = await read();
  expect([first.upgraded, second.upgraded]).toEqual([true, false]);
  expect(second.body).toEqual(first.body);
});

for (const workers of ["1", "2"]) {
  test(`a file that can't be upgraded is left as it was (--workers ${workers})`, async () => {
    using dir = tempDir();
    const dbFile = join(dir.path, "stock_data.db");
    writePythonFile(dbFile, { brokenTable: "realtime_data" });
    const before = readFileSync(dbFile);
    const start = await failingStart(["--db-file", dbFile, "--port", "0", "--workers", workers]);
    expect(start.code).toBe(1);
    expect(start.output).toContain("realtime_data has no column timestamp");
    expect(readFileSync(dbFile).equals(before)).toBe(true);
    using db = new Database(dbFile, { readonly: true });
    expect(db.query("SELECT count(*) AS n FROM daily_prices").get()).toEqual({ n: DAILY_ROWS });
  });
}
