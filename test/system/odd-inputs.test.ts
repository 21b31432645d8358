/**
 * Values that no client should send: each is 400 with what was expected, and an error that stays
 * short.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { command, get } from "../support/requests.ts";
import { type RunningServer, startServer } from "../support/server.ts";

setDefaultTimeout(120_000);

const STAMP = "2024-01-02T15:00:00Z";
const LONG = "t".repeat(100_000);
let server: RunningServer;

beforeAll(async () => {
  server = await startServer({ flags: ["--access-log", "on"] });
});
afterAll(() => server[Symbol.asyncDispose]());

async function post(body: string | Uint8Array): Promise<{ status: number; text: string }> {
  const answer = await fetch(`${server.url}/db_command`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body,
  });
  return { status: answer.status, text: await answer.text() };
}

const tick = (column: string, value: string): string =>
  `{"command":"save_realtime_data","params":{"ticker":"ODD","data_type":"trade","index_col":"timestamp","data":[{"timestamp":"${STAMP}","price":1,"size":1,"${column}":${value}}]}}`;
const bar = (column: string, value: string): string =>
  `{"command":"save_stock_data","params":{"ticker":"ODD","index_col":"date","data":[{"date":"2024-01-02","close":1,"${column}":${value}}]}}`;

test("what is no decimal number is no price, size or volume", async () => {
  for (const value of [
    "true",
    "false",
    '"0x10"',
    '"0b1"',
    '"0o7"',
    '"1_000"',
    '"1,5"',
    '"Infinity"',
    '"1e400"',
    '"e5"',
    '"."',
    '"+"',
    "[]",
    "{}",
    `"${"1".repeat(5_000)}"`,
  ])
    for (const body of [
      ...["price", "size", "ask_price", "ask_size"].map((column) => tick(column, value)),
      ...["open", "high", "low", "close", "volume"].map((column) => bar(column, value)),
    ]) {
      const { status, text } = await post(body);
      expect([body.slice(0, 250), status]).toEqual([body.slice(0, 250), 400]);
      expect(text.length).toBeLessThan(1_000);
    }
});

test("decimal text is its number, and holes are holes", async () => {
  for (const [value, stored] of [
    ['" 5 "', 5],
    ['"5."', 5],
    ['"-.5e1"', -5],
    ['""', null],
    ['"NaN"', null],
    ["NaN", null],
    ["-Infinity", null],
    ["null", null],
    [`"0.${"0".repeat(1_000)}1"`, 0],
  ] as const) {
    expect([value, (await post(bar("open", value))).status]).toEqual([value, 200]);
    const { body } = await command(server.url, "get_stock_data", { ticker: "ODD", interval: "daily" });
    expect([value, body.data[0].open]).toEqual([value, stored]);
  }
});

test("a name that every object knows is no column", async () => {
  for (const name of ["constructor", "toString", "__proto__"]) {
    const params = { ticker: "ODD", index_col: name, data: [{ date: "2024-01-02", close: 1 }] };
    const { status, body } = await command(server.url, "save_stock_data", params);
    expect([name, status, body.error]).toEqual([name, 400, `Index column '${name}' not found`]);
  }
});

test("every text has a length", async () => {
  const save = {
    ticker: "ODD",
    data_type: "trade",
    index_col: "timestamp",
    data: [{ timestamp: STAMP, price: 1, size: 1 }],
  };
  const bad: [string, Record<string, unknown>][] = [
    ["save_realtime_data", { ...save, data_type: LONG }],
    ["save_realtime_data", { ...save, data_type: "t".repeat(257) }],
    ["save_realtime_data", { ...save, ticker: LONG }],
    ["save_realtime_data", { ...save, index_col: LONG }],
    ["save_realtime_data", { ...save, on_duplicate: LONG }],
    [
      "save_realtime_data",
      { ...save, data: [{ timestamp: `2024-01-02T15:00:00.${"0".repeat(1_000)}Z`, price: 1, size: 1 }] },
    ],
    ["save_realtime_data", { ...save, data: [{ timestamp: " ".repeat(100_000), price: 1, size: 1 }] }],
    [
      "save_stock_data",
      { ticker: "A", interval: LONG, index_col: "date", data: [{ date: "2024-01-02", close: 1 }] },
    ],
    ["save_stock_data", { ticker: "A", index_col: "date", data: [{ date: LONG, close: 1 }] }],
    ["get_realtime_data", { ticker: "A", data_type: LONG }],
    ["get_historical_data", { ticker: "A", data_type: LONG }],
    ["get_latest_data", { ticker: "A", data_type: LONG }],
    ["get_stock_data", { ticker: "A", interval: LONG }],
    ["get_stock_data", { ticker: "A", start_date: LONG }],
    ["get_updates", { ticker: "A", since: LONG }],
    ["get_updates", { ticker: "A", since: 0, epoch: LONG }],
    ["get_tickers", { kind: LONG }],
    ["get_tickers", { kind: "ticks", after: LONG }],
    ["get_latest_prices", { tickers: [LONG] }],
    ["get_positions", { tickers: [LONG] }],
    ["execute_sql", { sql_query: LONG, query_type: "select" }],
    ["execute_sql", { sql_query: "SELECT 1", query_type: LONG }],
    ["execute_sql", { sql_query: "SELECT 1", query_type: "select", query_params: LONG }],
    [LONG, {}],
  ];
  for (const [name, params] of bad) {
    const { status, body } = await command(server.url, name, params);
    const shown = `${name.slice(0, 30)} ${JSON.stringify(params).slice(0, 120)}`;
    expect([shown, status, JSON.stringify(body).length < 2_500]).toEqual([shown, 400, true]);
  }
  expect(
    (await command(server.url, "save_realtime_data", { ...save, data_type: "t".repeat(256) })).status,
  ).toBe(200);
});

test("both WebSockets bound the texts of a query", async () => {
  const long = "t".repeat(2_000);
  for (const query of [
    `/ws?symbol=${long}`,
    `/ws?symbol=A&types=${long}`,
    `/ws?symbol=A&since=1&epoch=${long}`,
    `/ws/replay?symbol=A&types=${long}&start=2024-01-01`,
    `/ws/replay?symbol=${long}&start=2024-01-01`,
  ]) {
    const answer = await get(server.url + query, {
      upgrade: "websocket",
      connection: "Upgrade",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    });
    expect([query.slice(0, 40), answer.status]).toEqual([query.slice(0, 40), 400]);
  }
});

test("a byte order mark before the JSON is no part of it", async () => {
  const body = Buffer.concat([
    Buffer.from([0xef, 0xbb, 0xbf]),
    Buffer.from('{"command":"get_positions","params":{"tickers":["A"]}}'),
  ]);
  expect((await post(body)).status).toBe(200);
});

test("characters that turn a line around or hide in it reach no log line", async () => {
  const marks = "\u202e\u2066\u200f\u061c\u200b\ufeff\u2060\u{e0041}\u2028\u00ad";
  await command(server.url, `cmd${marks}end`, {});
  await command(server.url, "get_stock_data", { ticker: "A", interval: marks });
  await get(`${server.url}/nope-${encodeURIComponent(marks)}`, { "user-agent": "agent" });
  await command(server.url, "execute_sql", {
    sql_query: `SELECT '${marks}' FROM nope`,
    query_type: "select",
  });
  await server.logged("/nope-");
  for (const mark of marks) expect(server.log()).not.toContain(mark);
});

test("two columns of a record that differ in case only are refused, as one of them would be lost", async () => {
  const bar = { Date: "2024-01-01", Close: 10, close: 11, CLOSE: 12, " Open": 5 };
  const bars = await server.command("save_stock_data", { ticker: "FOLD", index_col: "Date", data: [bar] });
  expect(bars).toMatchObject({ status: 400 });
  expect(String(bars.body.error)).toContain('data[0]: got the columns ["Close","close","CLOSE"]');
  const tick = (price: object) => ({ timestamp: "2024-01-02T10:00:00Z", size: 1, ...price });
  const data = [tick({ price: 1 }), tick({ Price: 1, price: 2 })];
  const ticks = await server.command("save_realtime_data", { ticker: "FOLD", index_col: "timestamp", data });
  expect(String(ticks.body.error)).toContain('data[1]: got the columns ["Price","price"]');
  const none = await server.command("get_realtime_data", { ticker: "FOLD" });
  expect(none.body.data).toEqual([]);
});
