/** Servers that keep roll-ups: over kills, of two servers, by setting and by command. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { usePostgres } from "../support/postgres.ts";
import { randomNumbers } from "../support/random.ts";
import { becomeRight, rowsOfServer } from "../support/rollups.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { processesOf, untilReady } from "../support/server-processes.ts";
import { Subscriber } from "../support/subscriber.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const INTERVALS = ["1min", "1hour"];
const FLAGS = ["--rollup", INTERVALS.join(",")];
const TICKERS = ["A", "B", "C", "D"];
const KILLS = 3;
const START_S = Date.parse("2024-01-02T10:00:00Z") / 1_000;

const postgres = usePostgres();

const saveTrades = (server: RunningServer, ticker: string, data: object[], more: object = {}) =>
  server.command("save_realtime_data", { ticker, data_type: "trade", index_col: "t", data, ...more });

/** Trades of all tickers, one of ten late, and corrections, until it is told to stop. */
function startFeed(servers: readonly RunningServer[], seed: number) {
  const random = randomNumbers(seed);
  let stopped = false;
  let saved = 0;
  const feed = (async () => {
    for (let now = START_S; !stopped; now += random() * 20) {
      const ticker = TICKERS[Math.floor(random() * TICKERS.length)]!;
      const isLate = random() < 0.1;
      const t = isLate ? now - random() * 7_200 : now;
      const id = isLate ? `late ${Math.floor(random() * 20)}` : `${now}`;
      const trade = { t, price: 100 + Math.floor(random() * 100) / 8, size: Math.floor(random() * 100), id };
      const server = servers[Math.floor(random() * servers.length)]!;
      // It may be away: then it is as if it had never been sent, or the bars have it too.
      const answer = await saveTrades(server, ticker, [trade]).catch(() => null);
      if (answer?.status === 200) saved++;
      if (random() < 0.02)
        await server
          .command("delete_ticks", {
            ticker,
            data_type: "trade",
            start_datetime: (now - 300) * 1_000,
            end_datetime: (now - 200) * 1_000,
          })
          .catch(() => null);
    }
  })();
  return {
    saved: () => saved,
    async stop() {
      stopped = true;
      await feed;
    },
  };
}

for (const [engine, file] of [
  ["SQLite", "rollups.db"],
  ["DuckDB", "rollups.duckdb"],
  ["PostgreSQL", null],
] as const) {
  test(`${engine}: hub and workers are killed, and in the end every bar is that of its trades`, async () => {
    using dir = tempDir();
    const dbFile = file === null ? await postgres.freshSchema() : join(dir.path, file);
    await using server = await startServer({ dbFile, workers: 2, flags: FLAGS });
    const feed = startFeed([server], 1);
    for (let kill = 0; kill < KILLS; kill++) {
      const before = feed.saved();
      await waitUntil("trades are saved", () => feed.saved() > before + 40);
      const { hub, workers } = processesOf(server);
      for (const pid of kill % 2 === 0 ? [hub] : workers) if (pid > 0) process.kill(pid, "SIGKILL");
      await untilReady(server);
    }
    const before = feed.saved();
    await waitUntil("trades are saved", () => feed.saved() > before + 40);
    await feed.stop();
    await becomeRight(rowsOfServer(server), TICKERS, INTERVALS);
  });
}

test("two servers of a PostgreSQL: one makes the roll-ups, and the other when it is gone", async () => {
  const dbFile = await postgres.freshSchema();
  const first = await startServer({ dbFile, flags: FLAGS });
  await using second = await startServer({ dbFile, flags: FLAGS });
  const feed = startFeed([first, second], 2);
  await waitUntil("trades are saved", () => feed.saved() > 100);
  await feed.stop();
  await becomeRight(rowsOfServer(second), TICKERS, INTERVALS);
  process.kill(first.pid, "SIGKILL");
  const rest = startFeed([second], 3);
  await waitUntil("trades are saved", () => rest.saved() > 100);
  await rest.stop();
  await becomeRight(rowsOfServer(second), TICKERS, INTERVALS);
});

test("a trade is in its bar soon after, for readers and subscribers, with a position", async () => {
  using dir = tempDir();
  await using server = await startServer({ dbFile: join(dir.path, "a.db"), flags: FLAGS });
  await using subscriber = await Subscriber.open(server.wsUrl, "A");
  const { body } = await saveTrades(server, "A", [{ t: "2024-01-02T10:00:30Z", price: 5, size: 10 }]);
  const { seq } = body as { seq: number };
  await waitUntil("both bars come", () => subscriber.updates.length === 3);
  const [, minute, hour] = subscriber.updates;
  expect(minute).toMatchObject({
    interval: "1min",
    seq: seq + 1,
    data: [
      { datetime: "2024-01-02T10:00:00.000000Z", open: 5, volume: 10, vwap: 5, trade_count: 1, rollup: true },
    ],
  });
  expect(hour).toMatchObject({ seq: seq + 2, data: [{ datetime: "2024-01-02T10:00:00.000000Z", close: 5 }] });
  const rollups = await server.command<{ tickers: Record<string, { rolled_up_to: number }> }>("get_rollups", {
    tickers: ["A", "none"],
  });
  expect(rollups.body).toMatchObject({
    rollups: [{ tickers: "*", intervals: ["1min", "hourly"], by: "--rollup" }],
    tickers: { A: { intervals: ["1min", "hourly"] }, none: null },
  });
  await waitUntil("the position is told", async () => {
    const { body: now } = await server.command<{ tickers: { A: { rolled_up_to: number; backlog: [] } } }>(
      "get_rollups",
      { tickers: ["A"] },
    );
    return now.tickers.A.rolled_up_to >= seq && now.tickers.A.backlog.length === 0;
  });
});

test("roll-ups are set, made anew and removed by commands", async () => {
  using dir = tempDir();
  await using server = await startServer({ dbFile: join(dir.path, "a.db") });
  for (const ticker of ["AA1", "B1"])
    await saveTrades(server, ticker, [{ t: "2024-01-02T10:00:30Z", price: 5, size: 10 }]);
  const set = await server.command("set_rollup", { tickers: "AA*", intervals: ["5min", "1min"] });
  expect(set.body).toMatchObject({
    rollups: [{ tickers: "AA*", intervals: ["1min", "5min"], by: "set_rollup" }],
  });
  const rows = rowsOfServer(server);
  await becomeRight(rows, ["AA1"], ["1min", "5min"]);
  expect(await rows.bars("B1", "1min")).toEqual([]);

  // What SQL changes is no update.
  const sql = "UPDATE realtime_data SET price = 7 WHERE ticker = 'AA1'";
  expect((await server.command("execute_sql", { sql_query: sql, query_type: "raw" })).status).toBe(200);
  await server.command("set_rollup", { tickers: "AA*", intervals: ["1min", "5min"], rebuild: true });
  await waitUntil("the bar is made anew", async () => (await rows.bars("AA1", "1min"))[0]?.close === 7);

  // Also by a pattern of its own beside one that was made anew, and by one that was removed before.
  const changeTo = async (price: number): Promise<void> => {
    const change = sql.replace("7", String(price));
    await server.command("execute_sql", { sql_query: change, query_type: "raw" });
    await server.command("set_rollup", { tickers: "AA1", intervals: ["1min"], rebuild: true });
    await waitUntil("made anew", async () => (await rows.bars("AA1", "1min"))[0]?.close === price);
  };
  await changeTo(8);
  await server.command("remove_rollup", { tickers: "AA1" });
  await changeTo(9);
  await server.command("remove_rollup", { tickers: "AA1" });

  expect((await server.command("remove_rollup", { tickers: "AA*" })).body).toMatchObject({ rollups: [] });
  expect((await server.command("remove_rollup", { tickers: "AA*" })).status).toBe(400);
  expect(await rows.bars("AA1", "1min")).toHaveLength(1);
  for (const intervals of [["7min"], ["1day"], [], "x", 5]) {
    const { status, body } = await server.command("set_rollup", { tickers: "A", intervals });
    expect([status, (body as { error: string }).error]).toEqual([
      400,
      expect.stringContaining("intervals: got"),
    ]);
  }
});

test("a trade far in the future has no bar, and stops none", async () => {
  using dir = tempDir();
  await using server = await startServer({ dbFile: join(dir.path, "a.db"), flags: ["--rollup", "1min"] });
  await saveTrades(server, "FAR", [
    { t: "1900-01-02T10:00:30Z", price: 1, size: 1 },
    { t: "2261-01-02T10:00:30Z", price: 2, size: 1 },
  ]);
  await saveTrades(server, "FAR", [{ t: "2024-01-02T10:00:30Z", price: 5, size: 10 }]);
  const rows = rowsOfServer(server);
  await waitUntil("the others have bars", async () => (await rows.bars("FAR", "1min")).length === 2);
  await server.command("set_rollup", { tickers: "FAR", intervals: ["5min"] });
  await waitUntil("of another length too", async () => (await rows.bars("FAR", "5min")).length === 2);
  await saveTrades(server, "FAR", [{ t: "2024-01-02T10:01:30Z", price: 6, size: 10 }]);
  await waitUntil("later ones too", async () => (await rows.bars("FAR", "1min")).length === 3);
});
