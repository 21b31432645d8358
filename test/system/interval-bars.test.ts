import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { get } from "../support/requests.ts";
import { runCli } from "../support/run-cli.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";

setDefaultTimeout(120_000);

let server: RunningServer;
beforeAll(async () => {
  server = await startServer({ workers: 2 });
});
afterAll(() => server[Symbol.asyncDispose]());

const bar = (time: string, close: number) => ({
  datetime: `2024-01-02T${time}:00Z`,
  open: close,
  high: close + 1,
  low: close - 1,
  close,
  volume: 100,
  vwap: close - 0.5,
  trade_count: 7,
});

const save = (interval: string, data: object[], ticker = "AAPL", more: object = {}) =>
  server.command("save_stock_data", { ticker, interval, index_col: "datetime", data, ...more });

async function read(interval: string, params: object = {}, ticker = "AAPL"): Promise<unknown[]> {
  const { body } = await server.command<{ data: unknown[] }>("get_stock_data", {
    ticker,
    interval,
    ...params,
  });
  return body.data;
}

test("a bar comes back with its length, vwap and trade count, under every name of the length", async () => {
  expect((await save("5min", [bar("09:30", 10), bar("09:35", 11)])).status).toBe(200);
  expect((await save("90s", [bar("09:30", 12)])).status).toBe(200);
  for (const name of ["5min", "5Min", "5m", "300s"]) {
    expect(await read(name)).toMatchObject([
      {
        datetime: "2024-01-02T09:30:00.000000Z",
        ticker: "AAPL",
        interval: "5min",
        close: 10,
        vwap: 9.5,
        trade_count: 7,
      },
      { close: 11 },
    ]);
  }
  expect(await read("5min", { start_date: "2024-01-02T09:31:00Z" })).toHaveLength(1);
  expect(await read("90s")).toHaveLength(1);
  expect(await read("1min")).toEqual([]);
  expect(await read("hourly")).toEqual([]);
  const newest = { ticker: "AAPL", interval: "5min", limit: 1 };
  expect((await server.command("get_historical_data", newest)).body).toMatchObject({ data: [{ close: 11 }] });
  const series = await server.command("get_series", { kind: "interval", ticker: "AAPL" });
  expect(series.body).toEqual({ ticker: "AAPL", kind: "interval", series: ["5min", "90s"] });
  expect((await server.command("get_tickers", { kind: "interval" })).body).toEqual({ tickers: ["AAPL"] });
});

test("an hour and a day are the hourly and daily bars, and no length is an error that says so", async () => {
  await save("60min", [bar("10:00", 20)], "HOUR");
  expect(await read("hourly", {}, "HOUR")).toMatchObject([{ close: 20 }]);
  await server.command("save_stock_data", {
    ticker: "DAY",
    interval: "24hour",
    index_col: "date",
    data: [{ date: "2024-01-02", close: 30 }],
  });
  expect(await read("1day", {}, "DAY")).toMatchObject([{ date: "2024-01-02T00:00:00.000000Z", close: 30 }]);
  for (const interval of ["1M", "0min", "1.5hour", "fortnight", 5]) {
    const { status, body } = await server.command("get_stock_data", { ticker: "A", interval });
    expect(status).toBe(400);
    expect(String(body.error)).toContain(`interval: got ${JSON.stringify(interval)}, expected "daily"`);
  }
});

test("on_duplicate counts within a length", async () => {
  await save("1min", [bar("09:30", 1)], "DUP");
  await save("1min", [bar("09:30", 2), bar("09:31", 3)], "DUP", { on_duplicate: "keep" });
  expect(await read("1min", {}, "DUP")).toMatchObject([{ close: 1 }, { close: 3 }]);
  const refused = await save("1min", [bar("09:31", 4)], "DUP", { on_duplicate: "error" });
  expect(refused).toMatchObject({
    status: 409,
    body: { error: expect.stringContaining("save_stock_data: DUP 1min"), details: "2024-01-02 09:31:00" },
  });
  await save("2min", [bar("09:30", 5)], "DUP", { on_duplicate: "error" });
  expect(await read("2min", {}, "DUP")).toMatchObject([{ close: 5 }]);
});

test("frames say the length, and a snapshot has the newest bar of each", async () => {
  await using live = await Subscriber.open(server.wsUrl, "LIVE");
  const sent = bar("09:30", 40);
  await save("15min", [sent], "LIVE");
  await save("hourly", [bar("10:00", 41)], "LIVE");
  await live.until("two updates", () => live.positions.get("LIVE") === 2);
  const updates = live.frames.filter(({ data }) => Array.isArray(data));
  expect(updates).toMatchObject([{ data: [sent], interval: "15min", seq: 1 }, { seq: 2 }]);
  expect(updates[1]).not.toHaveProperty("interval");
  const { body } = await server.command("get_snapshot", { ticker: "LIVE" });
  expect(body).toMatchObject({
    seq: 2,
    bar: { daily: null, hourly: { close: 41 }, "15min": { close: 40, vwap: 39.5, trade_count: 7 } },
  });
});

test("a replay plays bars of every length, each in the last moment of its period", async () => {
  await save("5min", [bar("09:30", 50)], "PLAY");
  await save("1min", [bar("09:33", 51)], "PLAY");
  await save("hourly", [bar("09:00", 52)], "PLAY");
  const query = { symbols: "PLAY", types: "bar", start: "2024-01-02", end: "2024-01-02", speed: "max" };
  await using replay = Subscriber.replay(server.wsUrl, query);
  await replay.until("the end", () => replay.closed !== null);
  const played = replay.frames.filter(({ data }) => Array.isArray(data));
  expect(
    played.map(({ data, ...frame }) => [data[0].close, (frame as { interval?: string }).interval]),
  ).toEqual([
    [51, "1min"],
    [50, "5min"],
    [52, undefined],
  ]);
});

test("imported, counted and copied", async () => {
  const file = join(server.dir, "minutes.csv");
  writeFileSync(
    file,
    `datetime,open,high,low,close,volume,vwap,transactions\n${[30, 31, 32, 33]
      .map((minute) => `2024-01-02 09:${minute}:00,1,2,0.5,1.5,100,1.25,9`)
      .join("\n")}\n`,
  );
  const imported = await runCli(["import", file, "--ticker", "CSV", "--to", server.url]);
  expect(imported).toMatchObject({
    code: 0,
    stderr: expect.stringContaining("1min bars: by the time between two bars"),
  });
  expect(await read("1min", {}, "CSV")).toMatchObject([{ vwap: 1.25, trade_count: 9 }, {}, {}, {}]);
  const tables = (await get(`${server.url}/stats/tables`)).body.tables;
  expect(tables.interval_prices.row_count).toBeGreaterThan(4);
  for (const destination of ["copied.db", "copied.duckdb"]) {
    const to = join(server.dir, destination);
    const copy = await runCli(["copy", "--from", server.dbFile, "--to", to, "--list", "--quiet"]);
    expect(copy.code).toBe(0);
    expect(copy.stdout).toContain("1min\tCSV\t4\t");
    const back = await runCli(["copy", "--from", to, "--to", server.dbFile, "--dry-run", "--quiet"]);
    expect(back).toMatchObject({ code: 0, stdout: expect.stringContaining("0 would be written") });
  }
});
