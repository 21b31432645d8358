/** Alpaca's market data API over HTTP, answer by answer. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { numericId } from "../../src/alpaca/tick-ids.ts";
import { usePostgres } from "../support/postgres.ts";
import { command, get } from "../support/requests.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

const STAMP = "2024-01-02T15:00:00.123456Z";
const BAR = { open: 1, high: 3, low: 0.5, close: 2, volume: 100 };
const TOLD_BAR = { o: 1, h: 3, l: 0.5, c: 2, v: 100, n: null, vw: null };

const postgres = usePostgres();

async function fileOf(engine: string): Promise<string> {
  if (engine === "PostgreSQL") return postgres.freshSchema();
  const name = engine === "DuckDB" ? "test.duckdb" : "test.db";
  return join(dir.path, name);
}

const dir = tempDir();
afterAll(() => dir[Symbol.dispose]());

describe.each(["SQLite", "DuckDB", "PostgreSQL"])("on %s", (engine) => {
  let server: RunningServer;

  beforeAll(async () => {
    server = await startServer({ dbFile: await fileOf(engine) });
    const ticks = (ticker: string, data_type: string, data: object[]) =>
      save("save_realtime_data", { ticker, data_type, index_col: "timestamp", data });
    const bars = (ticker: string, interval: string, index_col: string, data: object[]) =>
      save("save_stock_data", { ticker, interval, index_col, data: data.map((bar) => ({ ...BAR, ...bar })) });
    await ticks("A/B", "trade", [
      { timestamp: STAMP, price: 1.5, size: 10, id: "9007199254740993", x: "D", c: ["@", "I"], z: "C" },
      { timestamp: STAMP, price: 2, size: 20, id: "text", conditions: "@" },
      { timestamp: "2024-01-02T14:00:00Z", price: null, size: 5 },
    ]);
    await ticks("A/B", "quote", [
      { timestamp: STAMP, bid_price: 87.66, bid_size: 1, ask_price: null, ask_size: null, bx: "Q", c: ["R"] },
    ]);
    await bars("A/B", "1min", "datetime", [
      { datetime: "2024-01-02T15:00:00Z" },
      { datetime: "2024-01-02T15:01:00Z" },
    ]);
    await bars("DAYS", "daily", "date", [
      { date: "2024-01-02" },
      { date: "2024-01-03" },
      { date: "2024-01-04", close: 1.5 },
    ]);
    await bars("DAYS", "1min", "datetime", [{ datetime: "2024-01-02T15:00:00Z", open: null }]);
  });

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  async function save(name: string, params: Record<string, unknown>): Promise<void> {
    const { status, body } = await command(server.url, name, params);
    if (status !== 200) throw new Error(JSON.stringify(body));
  }

  const ask = (path: string) => get(`${server.url}${path}`);

  /** Dates and minutes of the answer's bars. */
  async function timesOf(path: string): Promise<string[]> {
    return (await ask(path)).body.bars.map(({ t }: { t: string }) => t);
  }

  test("trades and quotes have what their feed has sent, all digits of an id, and times with a zone", async () => {
    const answer = await fetch(`${server.url}/v2/stocks/A%2FB/trades?start=2024-01-02`);
    expect(await answer.text()).toBe(
      '{"symbol":"A/B","trades":[' +
        `{"i":9007199254740993,"x":"D","p":1.5,"s":10,"t":"${STAMP}","c":["@","I"],"z":"C"},` +
        `{"i":${numericId("text")},"x":"","p":2,"s":20,"t":"${STAMP}","c":["@"],"z":""}],"next_page_token":null}`,
    );
    const { body } = await ask("/v2/stocks/quotes?symbols=A%2FB&start=2024-01-02T00:00:00%2B00:00&feed=iex");
    const quote = { t: STAMP, bx: "Q", bp: 87.66, bs: 1, ax: "", ap: 0, as: 0, c: ["R"], z: "" };
    expect(body).toEqual({ quotes: { "A/B": [quote] }, next_page_token: null });
  });

  test("a bar that lacks a price is left out", async () => {
    const { body } = await ask("/v2/stocks/bars?symbols=A/B,DAYS&timeframe=1Min&start=2024-01-02");
    expect(body.bars).toEqual({
      "A/B": [
        { ...TOLD_BAR, t: "2024-01-02T15:00:00Z" },
        { ...TOLD_BAR, t: "2024-01-02T15:01:00Z" },
      ],
    });
  });

  test("a bar of a day counts by the moment at which the day begins at the exchange", async () => {
    const days = (range: string) => timesOf(`/v2/stocks/DAYS/bars?timeframe=1Day&${range}`);
    const [second, third, fourth] = ["02", "03", "04"].map((day) => `2024-01-${day}T05:00:00Z`);
    expect(await days("start=2024-01-02&end=2024-01-04")).toEqual([second!, third!, fourth!]);
    expect(await days("start=2024-01-02T05:00:00Z&end=2024-01-04T04:59:59Z")).toEqual([second!, third!]);
    expect(await days("start=2024-01-02T05:00:00.000001Z&end=2024-01-04T05:00:00Z")).toEqual([
      third!,
      fourth!,
    ]);
    expect(await days("start=2024-01-03T00:00:00-05:00&sort=desc")).toEqual([fourth!, third!]);
    // Without a start it is today's.
    expect(await days("")).toEqual([]);
  });

  test("pages go over all symbols, in both orders, and a token is good for its question alone", async () => {
    const path = "/v2/stocks/bars?symbols=DAYS,A/B,X&timeframe=1Day&start=2024-01-01";
    const read = async (sort: string) => {
      const times: string[] = [];
      for (let token: string | null = "", pages = 0; token !== null && pages < 9; pages++) {
        const page = token === "" ? "" : `&page_token=${token}`;
        const { body } = await ask(`${path}&limit=2&sort=${sort}${page}`);
        for (const bars of Object.values<{ t: string }[]>(body.bars))
          times.push(...bars.map(({ t }) => t.slice(8, 10)));
        token = body.next_page_token;
      }
      return times;
    };
    // The first is made of the minutes of A/B.
    expect(await read("asc")).toEqual(["02", "02", "03", "04"]);
    expect(await read("desc")).toEqual(["02", "04", "03", "02"]);
    const { body } = await ask(`${path}&limit=2`);
    expect((await ask(`${path}&limit=1&sort=desc&page_token=${body.next_page_token}`)).status).toBe(400);
  });

  test("bars are adjusted as it is asked for", async () => {
    const split = { ex_date: "2024-01-04", type: "split", ratio: 2 };
    await save("save_corporate_actions", { ticker: "DAYS", data: [split] });
    const { body } = await ask("/v2/stocks/DAYS/bars?timeframe=1Day&start=2024-01-02&adjustment=split");
    expect(body.bars.map(({ c }: { c: number }) => c)).toEqual([1, 1, 1.5]);
  });

  test("bars that nobody has stored are made of trades or of shorter ones", async () => {
    const { body, headers } = await ask("/v2/stocks/A%2FB/bars?timeframe=5Min&start=2024-01-02");
    expect(body.bars).toEqual([{ ...TOLD_BAR, v: 200, t: "2024-01-02T15:00:00Z" }]);
    expect(JSON.parse(headers.get("warnings")!)).toEqual(["bars of 5min are made of stored 1min bars"]);
    await save("save_realtime_data", {
      ...{ ticker: "TRADES", data_type: "trade", index_col: "timestamp" },
      data: Array.from({ length: 12 }, (_, i) => ({
        ...{ timestamp: `2024-01-02T15:${String(i).padStart(2, "0")}:30Z`, price: i + 1, size: 10 },
      })),
    });
    const path = "/v2/stocks/TRADES/bars?timeframe=5Min&start=2024-01-02T15:05:00Z&limit=1";
    const first = (await ask(path)).body;
    const second = (await ask(`${path}&page_token=${first.next_page_token}`)).body;
    expect([...first.bars, ...second.bars]).toEqual([
      { o: 6, h: 10, l: 6, c: 10, v: 50, n: 5, vw: 8, t: "2024-01-02T15:05:00Z" },
      { o: 11, h: 12, l: 11, c: 12, v: 20, n: 2, vw: 11.5, t: "2024-01-02T15:10:00Z" },
    ]);
    expect(second.next_page_token).toBeNull();
    expect(await timesOf("/v2/stocks/DAYS/bars?timeframe=1Month&start=2024-01-01")).toEqual([
      "2024-01-01T05:00:00Z",
    ]);
  });

  test("the latest of many are those that there are, of one it is 404 without any", async () => {
    const { body: trades } = await ask("/v2/stocks/trades/latest?symbols=A/B,X");
    expect(trades).toEqual({ trades: { "A/B": expect.objectContaining({ p: 2, t: STAMP }) } });
    const { body: bar } = await ask("/v2/stocks/A%2FB/bars/latest");
    expect(bar).toEqual({ symbol: "A/B", bar: { ...TOLD_BAR, t: "2024-01-02T15:01:00Z" } });
    const { status, body } = await ask("/v2/stocks/X/quotes/latest");
    expect([status, body]).toEqual([404, { code: 40_410_000, message: "no quote found for X" }]);
  });

  test("a snapshot has what there is", async () => {
    const { body } = await ask("/v1beta1/stocks/snapshots?symbols=A/B,DAYS,X");
    expect(Object.keys(body["A/B"])).toEqual(["latestTrade", "latestQuote", "minuteBar"]);
    expect(body.DAYS).toEqual({
      dailyBar: { ...TOLD_BAR, c: 1.5, t: "2024-01-04T05:00:00Z" },
      prevDailyBar: { ...TOLD_BAR, t: "2024-01-03T05:00:00Z" },
    });
    expect(body.X).toEqual({});
    expect((await ask("/v2/stocks/DAYS/snapshot")).body).toEqual({ symbol: "DAYS", ...body.DAYS });
    expect((await ask("/v2/stocks/X/snapshot")).status).toBe(404);
  });

  test("a symbol that there is nothing of is told in a header, as Alpaca's JSON has no place for it", async () => {
    const { body, headers } = await ask("/v2/stocks/trades?symbols=A/B,X&start=2024-01-02");
    expect(Object.keys(body.trades)).toEqual(["A/B"]);
    expect(JSON.parse(headers.get("warnings")!)).toEqual(["X: no trades are stored"]);
  });

  test.each([
    ["/v2/stocks/bars?symbols=A", "timeframe: it is missing"],
    ["/v2/stocks/bars?symbols=A&timeframe=7foo", 'timeframe: got "7foo"'],
    ["/v2/stocks/bars?timeframe=1Min", "symbols: got 0"],
    ["/v2/stocks/A/bars?timeframe=1Min&symbols=B", '"symbols" is no parameter here'],
    ["/v2/stocks/A/trades?start=yesterday-ish", 'start: cannot read "yesterday-ish"'],
    ["/v2/stocks/A/trades?start=2024-01-03&end=2024-01-02", 'end: got "2024-01-02"'],
    ["/v2/stocks/A/trades?limit=10001", 'limit: got "10001"'],
    ["/v2/stocks/A/trades?limit=0", 'limit: got "0"'],
    ["/v2/stocks/A/trades?sort=up", 'sort: got "up"'],
    ["/v2/stocks/A/bars?timeframe=1Day&adjustment=none", 'adjustment: got "none"'],
    ["/v2/stocks/A/trades?feed=cta", 'feed: got "cta"'],
    ["/v2/stocks/A/trades?currency=EUR", 'currency: got "EUR"'],
    ["/v2/stocks/A/trades?page_token=x", "page_token:"],
    ["/v2/stocks/A/trades?limt=5", '"limt" is no parameter here'],
  ])("%s is 400", async (path, message) => {
    const { status, body } = await ask(path);
    expect([status, body.code]).toEqual([400, 40_010_000]);
    expect(body.message).toStartWith(message);
  });

  test("another path is 404, another method 405, two slashes are one", async () => {
    expect((await ask("/v2/stocks/A/auctions")).body.code).toBe(40_410_000);
    expect((await fetch(`${server.url}/v2/stocks/A/trades`, { method: "POST" })).status).toBe(405);
    expect((await ask("//v2/stocks/A/trades")).status).toBe(200);
  });
});
