/** Prices that aren't in the transcripts: latest, previous close, today's opening. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type RunningServer, startServer } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";

setDefaultTimeout(120_000);

let server: RunningServer;

beforeAll(async () => {
  server = await startServer();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

interface Prices {
  prices: Record<string, number | null>;
}

async function save(command: string, params: Record<string, unknown>): Promise<void> {
  const { status, body } = await server.command(command, params);
  expect({ status, body }).toMatchObject({ status: 200 });
}

async function saveDaily(
  ticker: string,
  ...bars: [date: string, open: number | null, close: number | null][]
) {
  const data = bars.map(([date, open, close]) => ({ date, open, high: 2, low: 1, close, volume: 1 }));
  await save("save_stock_data", { ticker, interval: "daily", index_col: "date", data });
}

async function saveHourly(ticker: string, datetime: string, close: number | null) {
  const data = [{ datetime, open: 1, high: 2, low: 1, close, volume: 1 }];
  await save("save_stock_data", { ticker, interval: "hourly", index_col: "datetime", data });
}

async function saveTick(ticker: string, data_type: string, timestamp: string, price: number | null) {
  const data = [{ timestamp, price, size: 1 }];
  await save("save_realtime_data", { ticker, data_type, index_col: "timestamp", data });
}

async function latest(ticker: unknown): Promise<unknown> {
  const { status, body } = await server.command("get_latest_price", { ticker });
  expect({ status, ticker: body.ticker }).toEqual({ status: 200, ticker });
  return body.latest_price;
}

test("the latest price of a ticker that nobody has saved is null", async () => {
  const { status, body } = await server.command("get_latest_price", {
    ticker: "NONE",
    use_market_time: true,
  });
  expect(status).toBe(200);
  expect(body).toEqual({ ticker: "NONE", latest_price: null });
});

test("get_latest_price without a ticker is refused", async () => {
  for (const params of [{}, { ticker: null }, { ticker: "" }]) {
    const { status, body } = await server.command("get_latest_price", params);
    expect(status).toBe(400);
    expect(body.error).toBe("Missing 'ticker'");
  }
});

test("on one date the newest quote, trade or hourly bar counts, and they before the daily bar", async () => {
  await saveDaily("SAME", ["2024-03-01", 1, 10]);
  expect(await latest("SAME")).toBe(10);
  await saveHourly("SAME", "2024-03-01T14:00:00Z", 11);
  expect(await latest("SAME")).toBe(11);
  await saveTick("SAME", "quote", "2024-03-01T15:00:00Z", 12);
  expect(await latest("SAME")).toBe(12);
  await saveTick("SAME", "trade", "2024-03-01T20:59:59Z", 13);
  expect(await latest("SAME")).toBe(13);
  await saveTick("SAME", "quote", "2024-03-01T10:00:00Z", 14);
  await saveTick("SAME", "imbalance", "2024-03-01T21:00:00Z", 99);
  expect(await latest("SAME")).toBe(13);
});

test("a newer date comes before an older one, whatever it is of", async () => {
  await saveTick("DATES", "quote", "2024-03-01T10:00:00Z", 1);
  await saveTick("DATES", "trade", "2024-03-02T10:00:00Z", 2);
  expect(await latest("DATES")).toBe(2);
  await saveHourly("DATES", "2024-03-03T10:00:00Z", 3);
  expect(await latest("DATES")).toBe(3);
  await saveDaily("DATES", ["2024-03-04", 1, 4]);
  expect(await latest("DATES")).toBe(4);
});

test("the newest of a kind counts, not the last one saved", async () => {
  await saveTick("ORDER", "quote", "2024-03-01T10:00:02Z", 2);
  await saveTick("ORDER", "quote", "2024-03-01T10:00:01Z", 1);
  expect(await latest("ORDER")).toBe(2);
});

test("nulls don't count", async () => {
  await saveTick("HOLES", "quote", "2024-03-01T10:00:00Z", 1.5);
  await saveTick("HOLES", "quote", "2024-03-01T10:00:01Z", null);
  await saveDaily("HOLES", ["2024-03-05", 1, null]);
  expect(await latest("HOLES")).toBe(1.5);
});

test("a quote that offers nothing is no price, for many tickers and new sockets either", async () => {
  await saveTick("EMPTY", "trade", "2024-03-01T20:59:59Z", 185.6);
  for (const [second, price] of [0, -1].entries()) {
    const quote = {
      timestamp: `2024-03-01T21:30:0${second}Z`,
      price,
      size: 0,
      ask_price: price,
      ask_size: 0,
    };
    await save("save_realtime_data", {
      ticker: "EMPTY",
      data_type: "quote",
      index_col: "timestamp",
      data: [quote],
    });
    expect(await latest("EMPTY")).toBe(185.6);
    const many = await server.command<Prices>("get_latest_prices", { tickers: ["EMPTY"] });
    expect(many.body.prices).toEqual({ EMPTY: 185.6 });
  }
  await using subscriber = await Subscriber.open(server.wsUrl, "EMPTY");
  await subscriber.until("its first price", () => subscriber.frames.length > 0);
  expect(subscriber.frames[0]).toMatchObject({
    data: { type: "initial_price", payload: [{ price: 185.6 }] },
  });
});

test("get_latest_prices answers in the order asked, each ticker once", async () => {
  await saveTick("P1", "quote", "2024-03-01T10:00:00Z", 1);
  await saveTick("P2", "trade", "2024-03-01T10:00:00Z", 2);
  const { status, body } = await server.command<Prices>("get_latest_prices", {
    tickers: ["P2", "NONE", "P1", "P2"],
  });
  expect(status).toBe(200);
  expect(Object.entries(body.prices)).toEqual([
    ["P2", 2],
    ["NONE", null],
    ["P1", 1],
  ]);
});

test("lists of tickers are checked", async () => {
  for (const command of ["get_latest_prices", "get_previous_close_prices", "get_today_opening_prices"]) {
    for (const params of [{}, { tickers: null }, { tickers: [] }, { tickers: "A" }, { tickers: { A: 1 } }]) {
      const { status, body } = await server.command(command, params);
      expect(status).toBe(400);
      expect(body.error).toBe("Missing or invalid 'tickers' parameter (must be a list)");
    }
  }
});

test("the previous close is that of the second newest daily bar, of the only one if there is one", async () => {
  await saveDaily("CLOSES", ["2024-03-01", 1, 10], ["2024-03-04", 1, 11], ["2024-03-05", 1, 12]);
  await saveDaily("ONE", ["2024-03-01", 1, 20]);
  await saveHourly("HOURS", "2024-03-01T10:00:00Z", 30);
  const { body } = await server.command<Prices>("get_previous_close_prices", {
    tickers: ["CLOSES", "ONE", "HOURS"],
  });
  expect(body).toEqual({ prices: { CLOSES: 11, ONE: 20, HOURS: null } });
});

test("the opening price is that of the daily bar dated today in New York", async () => {
  const today = new Intl.DateTimeFormat("sv-SE", { timeZone: "America/New_York" });
  const before = today.format(Date.now());
  await saveDaily("OPEN", ["2024-03-01", 5, 6], [before, 7, 8]);
  await saveDaily("OLD", ["2024-03-01", 5, 6]);
  const { body } = await server.command<Prices>("get_today_opening_prices", { tickers: ["OPEN", "OLD"] });
  // Midnight in New York may have passed between the two.
  if (today.format(Date.now()) === before) expect(body).toEqual({ prices: { OPEN: 7, OLD: null } });
});
