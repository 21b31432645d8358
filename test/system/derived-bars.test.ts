/** Bars that are made when they are asked for, matrices and joins, over HTTP. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { tableFromIPC } from "apache-arrow";
import { command, type Json } from "../support/requests.ts";
import { type RunningServer, startServer } from "../support/server.ts";

const STEP_MS = 7_000;
const TRADES = 3_000;
const FIRST = Date.parse("2024-01-02T14:30:00Z");

let server: RunningServer;
beforeAll(async () => {
  server = await startServer({ workers: 1 });
  for (const ticker of ["AAA", "BBB"]) {
    const trades = Array.from({ length: TRADES }, (_, n) => ({
      timestamp: new Date(FIRST + n * STEP_MS).toISOString(),
      price: 100 + (n % 50),
      size: 10,
      seq: n,
    }));
    const quotes = trades.map(({ timestamp, price, seq }) => ({
      timestamp: new Date(Date.parse(timestamp) - 1_000).toISOString(),
      ...{ bid_price: price - 1, ask_price: price + 1, bid_size: 1, ask_size: 2, seq },
    }));
    await save("save_realtime_data", { ticker, data_type: "trade", index_col: "timestamp", data: trades });
    await save("save_realtime_data", { ticker, data_type: "quote", index_col: "timestamp", data: quotes });
  }
  const days = (ticker: string, close: number) =>
    save("save_stock_data", {
      ...{ ticker, interval: "daily", index_col: "date" },
      data: ["2024-01-02", "2024-01-03", "2024-01-08"].map((date, n) => {
        const price = close + n;
        return { date, open: price, high: price, low: price, close: price, volume: 100 };
      }),
    });
  await days("AAA", 10);
  await days("CCC", 20);
  const actions = [{ ex_date: "2024-01-03", type: "split", ratio: 2 }];
  await save("save_corporate_actions", { ticker: "AAA", data: actions });
});
afterAll(() => server[Symbol.asyncDispose]());

async function save(name: string, params: Record<string, unknown>): Promise<void> {
  const { status, body } = await command(server.url, name, params);
  expect([status, body]).toMatchObject([200, {}]);
}

async function ask(path: string, query: Record<string, string>) {
  const answer = await fetch(`${server.url}${path}?${new URLSearchParams(query)}`);
  const type = answer.headers.get("content-type")!;
  const body = type.startsWith("application/json") ? await answer.json() : await answer.arrayBuffer();
  return { status: answer.status, headers: answer.headers, body: body as Json };
}

describe("bars that are made", () => {
  test("of trades, where no bars of that length are stored", async () => {
    const { status, body } = await ask("/v1/bars", { symbols: "AAA", timeframe: "1Min" });
    expect(status).toBe(200);
    expect(body.bars.AAA.length).toBe(Math.ceil((TRADES * STEP_MS) / 60_000));
    expect(body.bars.AAA[0]).toEqual({
      ...{ t: "2024-01-02T14:30:00Z", o: 100, h: 108, l: 100, c: 108, v: 90, n: 9, vw: 104 },
    });
    expect(body.warnings).toEqual(["bars of 1min are made of trades"]);
  });

  test("page by page they are the same, also as a command", async () => {
    const query = { symbols: "AAA,BBB", timeframe: "5Min" };
    const { body: whole } = await ask("/v1/bars", query);
    const pages: Record<string, unknown[]> = {};
    for (let token = ""; ; ) {
      const { body } = await ask("/v1/bars", {
        ...query,
        limit: "37",
        ...(token === "" ? {} : { page_token: token }),
      });
      for (const [ticker, bars] of Object.entries<unknown[]>(body.bars))
        pages[ticker] = [...(pages[ticker] ?? []), ...bars];
      token = body.next_page_token;
      if (token === null) break;
    }
    expect(pages).toEqual(whole.bars);
    const { body } = await command(server.url, "get_bars", query);
    expect(body.bars).toEqual(whole.bars);
  });

  test("of sessions, with figures, filled", async () => {
    const { body } = await ask("/v1/bars", {
      ...{ symbols: "AAA", timeframe: "30Min", calendar: "NASDAQ", indicators: "sma_2,vwap_session" },
      ...{ fill: "previous", start: "2024-01-02", end: "2024-01-02", sale_conditions: "us" },
    });
    const bars = body.bars.AAA;
    expect(bars.length).toBe(13);
    expect(bars[0].t).toBe("2024-01-02T09:30:00-05:00");
    expect(bars[0].sma_2).toBeUndefined();
    expect(bars[1].sma_2).toBe((bars[0].c + bars[1].c) / 2);
    expect(bars.at(-1)).toMatchObject({ t: "2024-01-02T15:30:00-05:00", n: 0, v: 0 });
  });

  test("weeks are made of days; days that are adjusted, of adjusted ones", async () => {
    const { body } = await ask("/v1/bars", { symbols: "AAA,CCC", timeframe: "1Week", adjustment: "split" });
    expect(body.bars.AAA).toMatchObject([
      { t: "2024-01-01T00:00:00Z", o: 5, h: 11, l: 5, c: 11, v: 300 },
      { t: "2024-01-08T00:00:00Z", c: 12 },
    ]);
    const adjusted = await ask("/v1/bars", {
      symbols: "AAA",
      timeframe: "1Day",
      source: "trades",
      adjustment: "split",
    });
    expect(adjusted.body.bars.AAA[0]).toMatchObject({ o: 50, l: 50, v: TRADES * 20 });
  });

  test("of quotes, by the price that is asked for", async () => {
    const query = { symbols: "AAA", timeframe: "1Min", source: "quotes", limit: "1" };
    const { body } = await ask("/v1/bars", { ...query, price: "ask" });
    expect(body.bars.AAA[0]).toMatchObject({ t: "2024-01-02T14:29:00Z", o: 101, c: 101, n: 1 });
  });

  test("stored bars come as they are stored, some beside those that are made", async () => {
    const { body } = await ask("/v1/bars", { symbols: "AAA,BBB,CCC", timeframe: "1Day" });
    expect(body.bars.CCC.map(({ c }: { c: number }) => c)).toEqual([20, 21, 22]);
    expect(body.bars.BBB.length).toBe(1);
    expect(body.warnings).toEqual(["bars of daily are made of trades, for 1 tickers"]);
    const stored = await ask("/v1/bars", { symbols: "CCC", timeframe: "1Day" });
    expect(stored.body.warnings).toBeUndefined();
    const only = await ask("/v1/bars", { symbols: "BBB", timeframe: "1Day", source: "stored" });
    expect(only.body.bars).toEqual({});
  });
});

describe("a matrix", () => {
  const query = { symbols: "CCC,AAA,NONE", timeframe: "1Day", layout: "wide" };

  test("as Arrow", async () => {
    const { body } = await ask("/v1/bars", { ...query, format: "arrow" });
    const table = tableFromIPC(new Uint8Array(body));
    expect(table.schema.fields.map(({ name }) => name)).toEqual(["timestamp", "AAA", "CCC", "NONE"]);
    expect([...table.getChild("CCC")!]).toEqual([20, 21, 22]);
    expect([...table.getChild("NONE")!]).toEqual([null, null, null]);
  });

  test("as JSON", async () => {
    const { body } = await ask("/v1/bars", { ...query, columns: "c" });
    expect(body.bars[1]).toEqual({ timestamp: "2024-01-03T00:00:00Z", AAA: 11, CCC: 21, NONE: null });
  });
});

describe("joins by time", () => {
  test("trades with the quotes before them", async () => {
    const { status, body } = await ask("/v1/asof", {
      ...{ symbols: "AAA,BBB", left: "trades", right: "quotes", tolerance: "2s", columns: "price" },
      right_columns: "timestamp,bid_price,ask_size",
    });
    expect(status).toBe(200);
    expect(body.trades.BBB.length).toBe(TRADES);
    expect(body.trades.BBB[1]).toEqual({
      ...{ t: "2024-01-02T14:30:07.000000Z", p: 101, quote_timestamp: "2024-01-02T14:30:06.000000Z" },
      ...{ quote_bid_price: 100, quote_ask_size: 2 },
    });
    const near = await command(server.url, "get_asof", {
      symbol: "AAA",
      left: "trades",
      right: "quotes",
      tolerance: "10ms",
    });
    expect(near.body.trades.AAA[0].quote_bid_price).toBeUndefined();
  });
});

test.each([
  [{ source: "ticks" }, 'source: got "ticks", expected "stored"'],
  [{ source: "1Week" }, 'source: got "1Week", expected bars that are not longer than hourly'],
  [{ price: "bid" }, 'price: got "bid" without source=quotes'],
  [{ calendar: "NOWHERE" }, 'calendar: got "NOWHERE", expected one of XNYS'],
  [{ session: "9 to 5" }, "session: got"],
  [{ fill: "forward" }, 'fill: got "forward", expected "none"'],
  [{ indicators: "sma_0" }, 'indicators: got "sma_0", expected sma_N'],
  [{ layout: "wide", limit: "5" }, "limit: got it beside layout=wide"],
  [{ layout: "wide", columns: "open,close" }, 'columns: got "open,close" with layout=wide'],
  [{ columns: "conditions" }, 'columns: got "conditions", expected'],
  [{ start: "2024-01-03", end: "2024-01-02" }, 'end: got "2024-01-02", expected no earlier than start'],
] as [Record<string, string>, string][])("wrong bars are refused: %p", async (wrong, message) => {
  const { status, body } = await ask("/v1/bars", { symbols: "AAA", timeframe: "1Hour", ...wrong });
  expect([status, body.error ?? body.message]).toEqual([400, expect.stringContaining(message)]);
});

test.each([
  [{ left: "news" }, 'left: got "news", expected "trades"'],
  [{ tolerance: "soon" }, 'tolerance: got "soon", expected a time'],
  [{ right_columns: "conditions" }, 'right_columns: got "conditions", expected some of timestamp'],
  [{ direction: "nearest", allow_exact: "false" }, "allow_exact: got false with direction=nearest"],
] as [Record<string, string>, string][])("wrong joins are refused: %p", async (wrong, message) => {
  const { status, body } = await ask("/v1/asof", {
    symbols: "AAA",
    left: "trades",
    right: "quotes",
    ...wrong,
  });
  expect([status, body.error ?? body.message]).toEqual([400, expect.stringContaining(message)]);
});
