/**
 * What another program does to the file of a running SQLite server: noticed, told, and nobody's
 * rows are blamed for it.
 */
import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { command, get, saveTrade } from "../support/requests.ts";
import { runCli } from "../support/run-cli.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";

setDefaultTimeout(180_000);

function foreign(server: { dbFile: string }, ...statements: string[]): void {
  using other = new Database(server.dbFile, { readwrite: true });
  other.run("PRAGMA busy_timeout = 10000");
  for (const statement of statements) other.run(statement);
}

const ready = async (server: RunningServer) => await get(`${server.url}/ready`);
const saves = async (server: RunningServer, ticker = "A") =>
  (await saveTrade(server.url, ticker, Math.round(performance.now()))).status;

const DAMAGES: [what: string, damage: string[], repair: string[], told: RegExp][] = [
  [
    "a renamed table",
    ["ALTER TABLE realtime_data RENAME TO r2"],
    ["ALTER TABLE r2 RENAME TO realtime_data"],
    /realtime_data is missing/,
  ],
  [
    "a view in the place of a table",
    ["ALTER TABLE realtime_data RENAME TO r2", "CREATE VIEW realtime_data AS SELECT * FROM r2"],
    ["DROP VIEW realtime_data", "ALTER TABLE r2 RENAME TO realtime_data"],
    /realtime_data is a view/,
  ],
  [
    "a lost column",
    ["ALTER TABLE realtime_data RENAME COLUMN ask_size TO gone"],
    ["ALTER TABLE realtime_data RENAME COLUMN gone TO ask_size"],
    /realtime_data has no column ask_size/,
  ],
  [
    "the index of the log",
    ["ALTER TABLE update_log_index RENAME TO u2"],
    ["ALTER TABLE u2 RENAME TO update_log_index"],
    /update_log_index is missing/,
  ],
  [
    "a trigger on the log",
    ["CREATE TRIGGER evil BEFORE INSERT ON update_log BEGIN SELECT RAISE(IGNORE); END"],
    ["DROP TRIGGER evil"],
    /trigger evil is on update_log/,
  ],
];

// Each waits most of the time.
test.concurrent.each(DAMAGES)(
  "%s: saves are 503, /ready and the log tell it, and its end",
  async (_, damage, repair, told) => {
    await using server = await startServer();
    expect(await saves(server)).toBe(200);
    foreign(server, ...damage);
    await waitUntil("/ready tells it", async () => told.test(JSON.stringify((await ready(server)).body)));
    for (let i = 0; i < 20; i++) {
      const { status, body, headers } = await saveTrade(server.url, "A", 1000 + i);
      expect([status, body.details]).toEqual([503, expect.stringMatching(told)]);
      expect(headers.get("retry-after")).not.toBeNull();
    }
    await server.logged(told);
    expect(
      server
        .log()
        .split("\n")
        .filter((line) => /\[ERROR\].*saves (are refused|failed)/.test(line)).length,
    ).toBeWithin(1, 4);
    foreign(server, ...repair);
    await waitUntil("ready again", async () => (await ready(server)).status === 200);
    expect(await saves(server)).toBe(200);
    await server.logged("takes saves again");
  },
);

test("a trigger that needs a table which isn't there is 503, and the others' saves are stored", async () => {
  await using server = await startServer();
  foreign(
    server,
    "CREATE TABLE needed (a)",
    "CREATE TRIGGER t AFTER INSERT ON realtime_data WHEN NEW.ticker = 'BAD' BEGIN INSERT INTO needed VALUES (1); END",
    "DROP TABLE needed",
  );
  const bars = { ticker: "GOOD", index_col: "date", data: [{ date: "2024-01-02", close: 1 }] };
  const [bad, good] = await Promise.all([
    saveTrade(server.url, "BAD", 1),
    command(server.url, "save_stock_data", bars),
  ]);
  expect([bad.status, bad.body.details]).toEqual([503, expect.stringContaining("no such table")]);
  expect(good.status).toBe(200);
});

test("a save that rolls everything back is the only one refused", async () => {
  await using server = await startServer();
  foreign(
    server,
    "CREATE TRIGGER rb BEFORE INSERT ON realtime_data WHEN NEW.ticker LIKE 'BAD%' BEGIN SELECT RAISE(ROLLBACK, 'nope'); END",
  );
  for (let round = 0; round < 5; round++) {
    const tickers = Array.from({ length: 40 }, (_, i) => (i % 13 === round ? `BAD${i}` : `T${round}-${i}`));
    const answers = await Promise.all(tickers.map((ticker) => saveTrade(server.url, ticker, 1)));
    expect(answers.map(({ status }) => status)).toEqual(
      tickers.map((name) => (name.startsWith("BAD") ? 409 : 200)),
    );
    for (const ticker of tickers) {
      const { body } = await command(server.url, "get_positions", { tickers: [ticker] });
      expect(body.positions[ticker]).toBe(ticker.startsWith("BAD") ? undefined : 1);
    }
  }
  expect((await ready(server)).status).toBe(200);
});

test("what is put into the log and the positions is taken out or begins a new epoch, and saves go on", async () => {
  await using server = await startServer();
  expect(await saves(server, "X")).toBe(200);
  const before = (await command(server.url, "get_positions", { tickers: ["X"] })).body;
  foreign(
    server,
    "INSERT INTO update_log (id, ticker, seq, type, saved_at, frame) VALUES (9223372036854775807, 'X', 1, 'trade', 1, '{}')",
  );
  expect([await saves(server, "X"), await saves(server, "Y")]).toEqual([200, 200]);
  await server.logged(/1 rows into update_log/);
  const after = (await command(server.url, "get_positions", { tickers: ["X"] })).body;
  expect(after).toEqual({ ...before, positions: { X: 2 } });
  const { updates } = (await command(server.url, "get_updates", { ticker: "X", since: 0 })).body;
  expect(updates.map(({ seq }: { seq: number }) => seq)).toEqual([1, 2]);

  foreign(
    server,
    "INSERT INTO update_positions (ticker, seq, saved_at) VALUES ('X', 9223372036854775807, 1)",
  );
  await Bun.sleep(5_500);
  expect(await saves(server, "X")).toBe(200);
  await server.logged(/positions into update_positions that no server has given \(X\)/);
  const mended = (await command(server.url, "get_positions", { tickers: ["X"] })).body;
  expect(mended.positions.X).toBe(3);
  expect(mended.epoch).not.toBe(before.epoch);

  foreign(server, "UPDATE update_log_state SET indexed_to = 'abc'");
  expect(await saves(server, "X")).toBe(200);
  await server.logged("another program has changed update_log_state");
  expect((await command(server.url, "get_positions", { tickers: ["X"] })).body.positions.X).toBe(4);
});

test("what hangs on the tables of an old file is told at the start, and stays; the books are freed", async () => {
  let dbFile = "";
  await using server = await startServer();
  await server.stop();
  dbFile = server.dbFile;
  foreign(
    { dbFile },
    "CREATE TRIGGER watch AFTER INSERT ON realtime_data BEGIN SELECT 1; END",
    "CREATE INDEX by_price ON realtime_data (price)",
    "ALTER TABLE hourly_prices ADD COLUMN twice AS (close * 2)",
    "CREATE TABLE child (x REFERENCES daily_prices ON DELETE CASCADE)",
    "CREATE TRIGGER evil BEFORE INSERT ON update_log BEGIN SELECT RAISE(IGNORE); END",
    "DROP TRIGGER daily_checkpoints_insert",
    "CREATE TRIGGER daily_checkpoints_insert AFTER INSERT ON daily_prices BEGIN SELECT 1; END",
  );
  const { stdout } = await runCli(["doctor", "--db-file", dbFile]);
  for (const told of [
    /warning tables: the server's trigger daily_checkpoints_insert is another/,
    /warning tables: the trigger watch/,
  ])
    expect(stdout).toMatch(told);
  await using again = await startServer({ dbFile });
  for (const told of [
    /\[WARNING\].*trigger watch on realtime_data/,
    /\[WARNING\].*index by_price on realtime_data/,
    /\[WARNING\].*generated column hourly_prices.twice/,
    /\[WARNING\].*foreign key of child to daily_prices/,
    /\[WARNING\].*trigger evil was on update_log.*dropped/,
    /\[WARNING\].*trigger daily_checkpoints_insert was another: it has been made anew/,
  ])
    await again.logged(told);
  expect(await saves(again)).toBe(200);
  const { updates } = (await command(again.url, "get_updates", { ticker: "A", since: 0 })).body;
  expect(updates.length).toBe(1);
  const { body } = await command(again.url, "execute_sql", {
    sql_query: "SELECT name FROM sqlite_schema WHERE type = 'trigger' ORDER BY name",
    query_type: "select",
  });
  expect(body.data.map(({ name }: { name: string }) => name)).toEqual([
    "daily_checkpoints_delete",
    "daily_checkpoints_insert",
    "daily_checkpoints_update",
    "watch",
  ]);
});

test("a stored frame that is no JSON object goes into no answer", async () => {
  await using server = await startServer();
  for (const frame of [
    "not json",
    "{}",
    "{",
    "[1]",
    "null",
    '"a"',
    '{"a":1',
    '{"a":1}{"b":2}',
    "{,}",
    '{"a":1},',
    "1",
    "{\"a\":'x'}",
  ]) {
    const ticker = `T${frame}`;
    expect([
      (await saveTrade(server.url, ticker, 1)).status,
      (await saveTrade(server.url, ticker, 2)).status,
    ]).toEqual([200, 200]);
    using other = new Database(server.dbFile, { readwrite: true });
    other.run("PRAGMA busy_timeout = 10000");
    other.run("UPDATE update_log SET frame = ? WHERE ticker = ? AND seq = 1", [frame, ticker]);
    const { status, body } = await command(server.url, "get_updates", { ticker, since: 0 });
    expect([frame, status, body.recovered, body.code, body.updates]).toEqual([
      frame,
      200,
      false,
      "not_kept",
      [],
    ]);
    const rest = (await command(server.url, "get_updates", { ticker, since: 1 })).body;
    expect([frame, rest.recovered, rest.updates.length]).toEqual([frame, true, 1]);
  }
});
