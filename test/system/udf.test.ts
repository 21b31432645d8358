/** TradingView's data feed, as its adapter asks it. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Json } from "../support/requests.ts";
import { type RunningServer, startServer } from "../support/server.ts";

setDefaultTimeout(120_000);

let server: RunningServer;

beforeAll(async () => {
  server = await startServer({ flags: ["--sample"] });
  const minutes = Array.from({ length: 400 }, (_, n) => ({
    timestamp: new Date(Date.UTC(2024, 0, 2, 14, 0) + n * 60_000).toISOString(),
    ...{ price: 100 + n / 1_000, size: 10 },
  }));
  const data = { ticker: "MIN", data_type: "trade", index_col: "timestamp", data: minutes };
  expect((await server.command("save_realtime_data", data)).status).toBe(200);
});

afterAll(() => server[Symbol.asyncDispose]());

const seconds = (stamp: string): number => Date.parse(stamp) / 1_000;

async function ask(path: string): Promise<{ status: number; body: Json }> {
  const answer = await fetch(`${server.url}${path}`);
  return { status: answer.status, body: await answer.json() };
}

async function history(query: Record<string, string | number>, feed = "/udf"): Promise<Json> {
  const parameters = Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]);
  return (await ask(`${feed}/history?${new URLSearchParams(parameters)}`)).body;
}

test("config, time, symbols and search are as the adapter reads them", async () => {
  const { body: config } = await ask("/udf/config");
  expect(config).toMatchObject({ supports_search: true, supports_group_request: false, supports_time: true });
  expect(config.supported_resolutions).toContain("1D");
  const time = await (await fetch(`${server.url}/udf/time`)).text();
  expect(Math.abs(Number(time) - Date.now() / 1_000)).toBeLessThan(600);
  expect((await ask("/udf/symbols?symbol=AAPL")).body).toMatchObject({
    ...{ name: "AAPL", ticker: "AAPL", type: "stock", session: "24x7", timezone: "Etc/UTC" },
    ...{ minmov: 1, pricescale: 100, has_intraday: true },
  });
  // Thousandths, as its newest price has them.
  expect((await ask("/udf/symbols?symbol=MIN")).body.pricescale).toBe(1_000);
  const { body: symbol } = await ask("/udf/XNYS/symbols?symbol=XNYS%3AAAPL");
  expect(symbol).toMatchObject({ exchange: "XNYS", session: "0930-1600", timezone: "America/New_York" });
  const year = new Date().getUTCFullYear() - 1;
  expect(symbol.session_holidays.split(",")).toContain(`${year}1225`);
  expect(symbol.corrections).toMatch(/^0930-1300:\d{8},/);
  expect((await ask("/udf/XTKS/symbols?symbol=AAPL")).body.session).toMatch(/^0900-1130,1230-15\d0$/);
  expect((await ask("/udf/search?limit=30&query=AA&type=&exchange=")).body).toEqual([
    {
      ...{
        symbol: "AAPL",
        full_name: "AAPL",
        description: "AAPL",
        exchange: "",
        ticker: "AAPL",
        type: "stock",
      },
    },
  ]);
});

test("history: from is inclusive, to exclusive, countback outranks from, daily bars are at midnight", async () => {
  const daily = { symbol: "AAPL", resolution: "1D" };
  const from = seconds("2021-03-29T00:00:00Z");
  const to = seconds("2021-03-31T00:00:00Z");
  const found = await history({ ...daily, from, to });
  expect(found).toMatchObject({ s: "ok", t: [from, from + 86_400], c: [121.39, 119.9] });
  expect(Object.keys(found)).toEqual(["s", "t", "o", "h", "l", "c", "v"]);
  expect((await history({ ...daily, resolution: "D", from: to, to, countback: 3 })).t).toEqual(
    ["2021-03-26", "2021-03-29", "2021-03-30"].map((date) => seconds(`${date}T00:00:00Z`)),
  );
  expect((await history({ ...daily, from: from, to: to }, "/udf/XNYS")).t).toEqual(found.t);
  expect((await history({ ...daily, resolution: "1W", to, countback: 2 })).t).toHaveLength(2);
});

test("minutes are made of trades, and those outside of the session are left out", async () => {
  const day = { symbol: "MIN", from: seconds("2024-01-02T00:00:00Z"), to: seconds("2024-01-03T00:00:00Z") };
  const hours = await history({ ...day, resolution: "60" });
  expect(hours.t[0]).toBe(seconds("2024-01-02T14:00:00Z"));
  expect([hours.o[0], hours.v[0]]).toEqual([100, 600]);
  const minutes = await history({ ...day, resolution: "1" }, "/udf/XNYS");
  expect([minutes.t[0], minutes.t.length]).toEqual([seconds("2024-01-02T14:30:00Z"), 370]);
  // What the adapter asks for while a chart is open.
  expect((await history({ ...day, resolution: "1", countback: 2 })).t).toHaveLength(2);
});

test("no data says where there is some", async () => {
  const future = { symbol: "AAPL", resolution: "1D", from: seconds("2030-01-01"), to: seconds("2031-01-01") };
  expect(await history(future)).toEqual({ s: "no_data", nextTime: seconds("2021-03-31") });
  const past = { ...future, from: seconds("1980-01-01"), to: seconds("1981-01-01") };
  expect(await history(past)).toEqual({ s: "no_data" });
  expect(await history({ ...future, symbol: "NOBODY", countback: 5 })).toEqual({ s: "no_data" });
});

test("quotes tell the change since the close before, and an unknown one is told by itself", async () => {
  const { body } = await ask("/udf/quotes?symbols=AAPL%2CNOBODY");
  expect(body).toMatchObject({
    s: "ok",
    d: [
      { s: "ok", n: "AAPL", v: { lp: 122.15, prev_close_price: 119.9, short_name: "AAPL" } },
      { s: "error", n: "NOBODY" },
    ],
  });
  expect(body.d[0].v.chp).toBeCloseTo(1.8766, 3);
});

test("what can't be understood is an error in the feed's shape, with its name and value", async () => {
  const bars = "/udf/history?symbol=AAPL&resolution=1D&from=0&to=1";
  for (const [path, status, told] of [
    ["/udf/symbols?symbol=NOBODY", 404, "unknown_symbol"],
    ["/udf/symbols", 400, "symbol: got none"],
    ["/udf/nothing", 404, "there is no such endpoint"],
    ["/udf/MOON/config", 400, 'calendar: got "MOON"'],
    ["/udf/history?symbol=AAPL&resolution=1X&from=0&to=1", 400, 'resolution: got "1X"'],
    ["/udf/history?symbol=AAPL&resolution=0&from=0&to=1", 400, 'resolution: got "0"'],
    ["/udf/history?symbol=AAPL&resolution=1D&from=2&to=1", 400, "from: got 2"],
    ["/udf/history?symbol=AAPL&resolution=1D&to=NaN&from=1", 400, 'to: got "NaN"'],
    ["/udf/history?symbol=AAPL&resolution=1D&to=99999999999999&from=1", 400, "expected seconds"],
    [`${bars}&countback=-1`, 400, 'countback: got "-1"'],
    [`${bars}&countback=20001`, 400, "from 1 to 20000"],
    [
      `/udf/quotes?symbols=${Array(101)
        .fill(0)
        .map((_, n) => `A${n}`)}`,
      400,
      "symbols: got 101",
    ],
    ["/udf/history?symbol=%00&resolution=1D&from=0&to=1", 400, "symbol"],
  ] as const) {
    const { status: got, body } = await ask(path);
    expect([path, got, body.s, body.errmsg]).toEqual([path, status, "error", expect.stringContaining(told)]);
  }
});
