/** Rules that another program has put on the server's tables, and saves that break them. */
import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { type RunningServer, startServer } from "../support/server.ts";

setDefaultTimeout(180_000);

const STAMP = "2024-01-02T15:00:00Z";

/** As somebody does who has the file and no server's leave. */
function sql(server: RunningServer, statement: string): void {
  using other = new Database(server.dbFile, { readwrite: true });
  other.run("PRAGMA busy_timeout = 10000");
  other.run(statement);
}

function saveTick(server: RunningServer, ticker: string, price: number) {
  return server.command("save_realtime_data", {
    ticker,
    index_col: "timestamp",
    data_type: "trade",
    data: [{ timestamp: STAMP, price, size: 1 }],
  });
}

function saveHour(server: RunningServer, ticker: string) {
  return server.command("save_stock_data", {
    ticker,
    interval: "hourly",
    index_col: "datetime",
    data: [{ datetime: STAMP, close: 1 }],
  });
}

test("a tick that a unique index of the user refuses is a 409 that names it, and the next save works", async () => {
  await using server = await startServer();
  sql(server, "CREATE UNIQUE INDEX one_a_stamp ON realtime_data (ticker, type, timestamp)");

  expect(await saveTick(server, "AAPL", 1)).toMatchObject({ status: 200 });
  expect(await saveTick(server, "AAPL", 2)).toMatchObject({
    status: 409,
    body: {
      details: "UNIQUE constraint failed: realtime_data.ticker, realtime_data.type, realtime_data.timestamp",
    },
  });
  expect(await saveTick(server, "MSFT", 2)).toMatchObject({ status: 200 });
});

test("a trigger that ignores a tick doesn't hang the writer", async () => {
  await using server = await startServer();
  sql(
    server,
    "CREATE TRIGGER none BEFORE INSERT ON realtime_data WHEN NEW.ticker = 'NONE' BEGIN SELECT RAISE(IGNORE); END",
  );
  expect(await saveTick(server, "NONE", 1)).toMatchObject({ status: 409 });
  expect(await saveTick(server, "AAPL", 1)).toMatchObject({ status: 200 });
});

test("one save that a trigger refuses leaves those that were committed with it alone", async () => {
  await using server = await startServer({ workers: 2 });
  sql(
    server,
    "CREATE TRIGGER no BEFORE INSERT ON hourly_prices WHEN NEW.ticker = 'NO' BEGIN SELECT RAISE(ABORT, 'not NO'); END",
  );
  const tickers = Array.from({ length: 60 }, (_, i) => (i % 10 === 5 ? "NO" : `T${i}`));
  const answers = await Promise.all(tickers.map((ticker) => saveHour(server, ticker)));
  expect(answers.map((answer) => answer.status)).toEqual(tickers.map((name) => (name === "NO" ? 409 : 200)));
  expect(answers[5]).toMatchObject({ body: { details: "not NO" } });

  const stored = await server.command<{ data: { ticker: string }[] }>("execute_sql", {
    sql_query: "SELECT ticker FROM hourly_prices",
    query_type: "select",
  });
  expect(stored.body.data.map((row) => row.ticker).sort()).toEqual(
    tickers.filter((name) => name !== "NO").sort(),
  );
});

test("an edit that a trigger refuses is a 409, and changes nothing", async () => {
  await using server = await startServer();
  for (const [price, ticker] of ["KEPT", "AAPL"].entries()) await saveTick(server, ticker, price);
  sql(
    server,
    "CREATE TRIGGER keep BEFORE DELETE ON realtime_data WHEN OLD.ticker = 'KEPT' BEGIN SELECT RAISE(ABORT, 'kept'); END",
  );
  const remove = (ticker: string) =>
    server.command("delete_ticks", { ticker, data_type: "trade", all: true });
  expect(await remove("KEPT")).toMatchObject({
    status: 409,
    body: {
      error: "delete_ticks: the database refuses a change of KEPT; nothing was changed",
      details: "kept",
    },
  });
  const renaming = { ticker: "KEPT", new_ticker: "NEW" };
  expect(await server.command("rename_ticker", renaming)).toMatchObject({ status: 409 });
  expect((await server.command("get_positions", {})).body.positions).toEqual({ KEPT: 1, AAPL: 1 });
  expect(await server.command("get_tickers", { kind: "ticks" })).toMatchObject({
    body: { tickers: ["AAPL", "KEPT"] },
  });
  expect(await remove("AAPL")).toMatchObject({ status: 200, body: { removed: 1, seq: 2 } });
});

test("columns that users have added keep what they hold when a ticker is renamed", async () => {
  await using server = await startServer();
  await saveTick(server, "OLD", 1);
  sql(server, 'ALTER TABLE realtime_data ADD COLUMN "my own" TEXT');
  sql(server, `UPDATE realtime_data SET "my own" = 'kept'`);
  const renaming = { ticker: "OLD", new_ticker: "NEW" };
  expect(await server.command("rename_ticker", renaming)).toMatchObject({ status: 200 });
  const stored = await server.command("execute_sql", {
    sql_query: `SELECT ticker, "my own" AS own FROM realtime_data`,
    query_type: "select",
  });
  expect(stored.body.data).toEqual([{ ticker: "NEW", own: "kept" }]);
});
