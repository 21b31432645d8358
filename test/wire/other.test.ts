/**
 * The transcript of the newest rows and of today's bars and volumes, and commands and habits of the
 * wire that aren't in any.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type RunningServer, startServer } from "../support/server.ts";
import { describeTranscript } from "./transcript-tests.ts";

setDefaultTimeout(120_000);

const DAILY_COLUMNS =
  "date ticker open high low close volume ma_10 ma_50 ma_100 ma_200 ema_8 ema_21 ema_34 ema_55 ema_89 write_timestamp";
const HOURLY_COLUMNS = "datetime ticker open high low close volume write_timestamp";
const TICK_COLUMNS = "timestamp ticker type price size ask_price ask_size write_timestamp";

await describeTranscript("other");

let server: RunningServer;

beforeAll(async () => {
  server = await startServer({ flags: ["--market-timezone", "UTC"] });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

type Row = Record<string, unknown>;
interface Rows {
  data: Row[];
  message?: string;
}

async function saveTicks(ticker: string, data_type: string, ...ticks: [second: number, price: number][]) {
  const data = ticks.map(([second, price]) => ({
    timestamp: `2024-01-02T10:00:${String(second).padStart(2, "0")}Z`,
    price,
    size: 1,
  }));
  const { status } = await server.command("save_realtime_data", {
    ticker,
    data_type,
    index_col: "timestamp",
    data,
  });
  expect(status).toBe(200);
}

async function saveDaily(ticker: string, ...bars: Row[]) {
  const { status } = await server.command("save_stock_data", { ticker, index_col: "date", data: bars });
  expect(status).toBe(200);
}

async function pricesOf(command: string, params: Row): Promise<unknown[]> {
  const { status, body } = await server.command<Rows>(command, params);
  expect(status).toBe(200);
  return body.data.map(({ price }) => price);
}

test("get_latest_data gives the newest quotes and trades, 10 unless asked otherwise", async () => {
  const quotes = Array.from({ length: 12 }, (_, i): [number, number] => [i, 100 + i]);
  await saveTicks("LATEST", "quote", ...quotes);
  await saveTicks("LATEST", "trade", [30, 1], [31, 2]);
  const both = await pricesOf("get_latest_data", { ticker: "LATEST" });
  expect(both).toEqual([2, 1, 111, 110, 109, 108, 107, 106, 105, 104]);
  expect(await pricesOf("get_latest_data", { ticker: "LATEST", data_type: "quote", limit: 2 })).toEqual([
    111, 110,
  ]);
  expect(await pricesOf("get_latest_data", { ticker: "LATEST", data_type: "trade" })).toEqual([2, 1]);
});

test("get_historical_data gives the last n of a type in order of time, trades unless asked otherwise", async () => {
  await saveTicks("HISTORY", "trade", [3, 3], [1, 1], [2, 2]);
  await saveTicks("HISTORY", "quote", [9, 9]);
  expect(await pricesOf("get_historical_data", { ticker: "HISTORY" })).toEqual([1, 2, 3]);
  expect(await pricesOf("get_historical_data", { ticker: "HISTORY", limit: 2 })).toEqual([2, 3]);
  expect(await pricesOf("get_historical_data", { ticker: "HISTORY", data_type: "quote" })).toEqual([9]);
});

test("the newest ticks keep the digits of their sizes, and the ask of a quote", async () => {
  const huge = "9007199254740993";
  const send = async (data_type: string, row: string): Promise<void> => {
    const params = `{"ticker":"DIGITS","data_type":"${data_type}","index_col":"timestamp","data":[${row}]}`;
    const answer = await fetch(`${server.url}/db_command`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: `{"command":"save_realtime_data","params":${params}}`,
    });
    expect(answer.status).toBe(200);
  };
  await send("trade", `{"timestamp":"2024-01-02T10:00:00Z","price":1.25,"size":${huge}}`);
  await send("quote", `{"timestamp":"2024-01-02T10:00:00Z","price":1,"size":2,"ask_price":3,"ask_size":4}`);
  const answer = await fetch(`${server.url}/db_command`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ command: "get_latest_data", params: { ticker: "DIGITS" } }),
  });
  const timestamp = '"timestamp":"2024-01-02T10:00:00.000000Z"';
  const quote = `{"type":"quote",${timestamp},"price":1,"size":2,"ask_price":3,"ask_size":4,"bid_price":null,"bid_size":null}`;
  const trade = `{"type":"trade",${timestamp},"price":1.25,"size":${huge},"volume":${huge}}`;
  expect(await answer.text()).toBe(`{"data":[${quote},${trade}]}`);
});

test("get_historical_data gives bars of both intervals, and ticks of any type, of a range", async () => {
  await saveDaily(
    "RANGE",
    { date: "2024-01-02", close: 1 },
    { date: "2024-01-03", close: 2 },
    { date: "2024-01-04", close: 3 },
  );
  const hourly = ["10", "11", "12"].map((hour, i) => ({ datetime: `2024-01-02T${hour}:00:00Z`, close: i }));
  await server.command("save_stock_data", {
    ticker: "RANGE",
    interval: "hourly",
    index_col: "datetime",
    data: hourly,
  });
  await saveTicks("RANGE", "depth", [1, 1], [2, 2], [3, 3]);
  const closes = async (params: Row): Promise<unknown[]> => {
    const { body } = await server.command<Rows>("get_historical_data", { ticker: "RANGE", ...params });
    return body.data.map(({ close, price }) => close ?? price);
  };
  expect(await closes({ data_type: "daily", limit: 2 })).toEqual([2, 3]);
  expect(await closes({ data_type: "daily", end_date: "2024-01-03", limit: 1 })).toEqual([2]);
  expect(await closes({ data_type: "hourly", start_date: "2024-01-02T11:00:00Z" })).toEqual([1, 2]);
  expect(await closes({ data_type: "depth", start_date: "2024-01-02T10:00:02Z" })).toEqual([2, 3]);
  expect(await closes({ data_type: "depth", limit: 0 })).toEqual([]);
  for (const params of [{ limit: 10_001 }, { limit: 1.5 }, { limit: "2" }, { start_date: "zzz" }]) {
    const { status, body } = await server.command("get_historical_data", { ticker: "RANGE", ...params });
    expect([status, String(body.error)]).toEqual([400, expect.stringContaining(Object.keys(params)[0]!)]);
  }
});

test("today's volume is that of the bar, else the trades of today together, and never those of another day", async () => {
  const today = new Date().toISOString().slice(0, 10);
  const trades = [
    { timestamp: `${today}T00:00:00Z`, price: 1, size: 10 },
    { timestamp: `${today}T23:59:59.999999Z`, price: 1, size: 2.5 },
    { timestamp: "2024-01-02T10:00:00Z", price: 1, size: 1_000 },
  ];
  const params = { data_type: "trade", index_col: "timestamp", data: trades };
  for (const ticker of ["TRADED", "BOTH", "HOLE"])
    expect((await server.command("save_realtime_data", { ...params, ticker })).status).toBe(200);
  await saveDaily("BOTH", { date: today, close: 1, volume: 7 });
  await saveDaily("HOLE", { date: today, close: 1, volume: null });
  const { body } = await server.command<{ volumes: Row }>("get_today_volume", {
    tickers: ["TRADED", "BOTH", "HOLE", "NOBODY"],
  });
  if (new Date().toISOString().slice(0, 10) !== today) return;
  expect(body.volumes).toEqual({ TRADED: 12.5, BOTH: 7, HOLE: 12.5, NOBODY: null });
});

test("ticks of a ticker that nobody has saved are an empty list", async () => {
  for (const command of ["get_latest_data", "get_historical_data"]) {
    expect(await pricesOf(command, { ticker: "NONE" })).toEqual([]);
  }
});

test("get_today_daily_data and get_today_volume are about the bar dated today", async () => {
  const today = new Date().toISOString().slice(0, 10);
  await saveDaily("TODAY", { date: "2024-01-02", close: 1, volume: 5 }, { date: today, close: 2, volume: 6 });
  await saveDaily("BEFORE", { date: "2024-01-02", close: 1, volume: 5 });
  const bar = await server.command<Rows>("get_today_daily_data", { ticker: "TODAY" });
  const none = await server.command<Rows>("get_today_daily_data", { ticker: "BEFORE" });
  const volumes = await server.command<{ volumes: Row }>("get_today_volume", {
    tickers: ["TODAY", "BEFORE"],
  });
  // Midnight may have passed meanwhile.
  if (new Date().toISOString().slice(0, 10) !== today) return;
  expect(bar.body.data).toMatchObject([{ date: `${today}T00:00:00.000000Z`, close: 2, volume: 6 }]);
  expect(none.body.data).toEqual([]);
  expect(volumes.body.volumes).toEqual({ TODAY: 6, BEFORE: null });
});

test("the members of a row come in the order that clients know", async () => {
  await saveDaily("ORDER", { date: "2024-01-02", close: 1 });
  await server.command("save_stock_data", {
    ticker: "ORDER",
    interval: "hourly",
    index_col: "datetime",
    data: [{ datetime: "2024-01-02T10:00:00Z", close: 1 }],
  });
  await saveTicks("ORDER", "quote", [0, 1]);
  const columns = async (command: string, params: Row) => {
    const { body } = await server.command<Rows>(command, { ticker: "ORDER", ...params });
    return Object.keys(body.data[0] ?? {}).join(" ");
  };
  expect(await columns("get_stock_data", { interval: "daily" })).toBe(DAILY_COLUMNS);
  expect(await columns("get_stock_data", { interval: "hourly" })).toBe(HOURLY_COLUMNS);
  expect(await columns("get_realtime_data", {})).toBe(TICK_COLUMNS);
});
