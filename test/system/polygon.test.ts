/** Polygon's market data API over HTTP: answer by answer, and through Massive's own clients. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type InstalledClient, RunningClient } from "../support/alpaca-clients.ts";
import { type Collector, startCollector } from "../support/collector.ts";
import { addKey, bearer } from "../support/keys.ts";
import { massiveJs, massivePy } from "../support/massive-clients.ts";
import { get } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

const TEST_MS = 240_000;
const TICKER = "BRK/B";
const PATH = "BRK%2FB";
const TRADES = 10;
/** Of the first trade; each next one is a millisecond later. */
const FIRST_NS = 1_704_207_600_000_456_000n;
const DAY = "2024-01-02";

const dir = tempDir();
const [auditLog, refusedLog] = [join(dir.path, "audit.log"), join(dir.path, "audit_refused.log")];
const collector = startCollector();
let server: RunningServer;
let key: string;

beforeAll(async () => {
  const keys = join(dir.path, "keys.json");
  key = await addKey(keys, "desk", "read");
  const writer = await addKey(keys, "feed", "write");
  server = await startServer({
    workers: 2,
    flags: [
      ...["--keys", keys, "--audit-log", auditLog, "--otlp-endpoint", collector.url],
      ...["--access-log", "on", "--slow-request", "0.001", "--log-level", "DEBUG"],
    ],
  });
  const save = async (command: string, params: object) => {
    const answer = await fetch(`${server.url}/db_command`, {
      method: "POST",
      headers: { "content-type": "application/json", ...bearer(writer) },
      body: JSON.stringify({ command, params: { ticker: TICKER, ...params } }),
    });
    if (!answer.ok) throw new Error(await answer.text());
  };
  const ticks = (data_type: string, data: object[]) =>
    save("save_realtime_data", { data_type, index_col: "timestamp", data });
  await ticks(
    "trade",
    Array.from({ length: TRADES }, (_, i) => ({
      ...{ timestamp: `2024-01-02T15:00:00.00${i}456Z`, price: i + 0.5, size: 1, id: `t${i}` },
      ...{ x: 4, c: [12, "I"], z: "C" },
    })),
  );
  await ticks("quote", [
    { timestamp: "2024-01-02T15:00:00Z", bid_price: 1, bid_size: 2, ask_price: 3, ask_size: null, bx: "Q" },
  ]);
  const bar = { open: 1, high: 3, low: 0.5, close: 2, volume: 100 };
  const minutes = ["00", "01", "02"].map((minute) => ({ datetime: `2024-01-02T15:${minute}:00Z`, ...bar }));
  await save("save_stock_data", { interval: "1min", index_col: "datetime", data: minutes });
  const days = ["02", "03", "04"].map((day) => ({ date: `2024-01-${day}`, ...bar }));
  await save("save_stock_data", { interval: "daily", index_col: "date", data: days });
  await save("save_corporate_actions", { data: [{ ex_date: "2024-01-04", type: "split", ratio: 2 }] });
}, TEST_MS);

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  collector[Symbol.dispose]();
  dir[Symbol.dispose]();
});

const ask = (path: string) => get(`${server.url}${path}`, bearer(key));
const bars = (range: string) => `/v2/aggs/ticker/${PATH}/range/${range}`;

test("bars have their moment in milliseconds, and splits made good unless they are not wanted", async () => {
  const { body } = await ask(bars(`1/day/${DAY}/2024-01-04`));
  const t = Date.parse("2024-01-02T05:00:00Z");
  expect(body).toMatchObject({ status: "OK", ticker: TICKER, adjusted: true, resultsCount: 3 });
  expect(body.results[0]).toEqual({ t, o: 0.5, h: 1.5, l: 0.25, c: 1, v: 200 });
  expect(body.next_url).toBeUndefined();
  const raw = await ask(bars(`1/day/${t}/${t + 3_600_000}?adjusted=false`));
  expect(raw.body).toMatchObject({ adjusted: false, results: [{ t, o: 1, h: 3, l: 0.5, c: 2, v: 100 }] });
});

test("each unit of bars is there, stored or made", async () => {
  const counts: Record<string, number> = {};
  for (const unit of ["second", "minute", "hour", "day", "week", "month", "quarter", "year"]) {
    const { status, body } = await ask(bars(`1/${unit}/2024-01-01/2024-01-31?adjusted=false`));
    expect([unit, status]).toEqual([unit, 200]);
    counts[unit] = body.resultsCount;
  }
  expect(counts).toEqual({
    ...{ second: 1, minute: 3, hour: 1, day: 3, week: 1, month: 1, quarter: 1, year: 1 },
  });
});

test("trades have all digits of their nanoseconds, in both orders and between all bounds", async () => {
  const answer = await fetch(`${server.url}/v3/trades/${PATH}?limit=1&order=asc`, { headers: bearer(key) });
  const text = await answer.text();
  expect(text).toContain(`"sip_timestamp":${FIRST_NS},`);
  expect(JSON.parse(text).results[0]).toMatchObject({
    ...{ price: 0.5, size: 1, id: "t0", exchange: 4, conditions: [12], tape: 3 },
  });
  const idsOf = async (query: string) =>
    (await ask(`/v3/trades/${PATH}?${query}`)).body.results.map(({ id }: { id: string }) => id).join("");
  const at = (i: number, more = 0n) => String(FIRST_NS + BigInt(i) * 1_000_000n + more);
  expect(await idsOf("limit=2")).toBe("t9t8");
  expect(await idsOf(`timestamp=${at(3)}`)).toBe("t3");
  expect(await idsOf(`timestamp=${at(3, 1n)}`)).toBe("");
  expect(await idsOf(`order=asc&timestamp.gte=${at(3)}&timestamp.lte=${at(5)}`)).toBe("t3t4t5");
  expect(await idsOf(`order=asc&timestamp.gt=${at(3)}&timestamp.lt=${at(5)}`)).toBe("t4");
  expect(await idsOf(`order=asc&timestamp.gte=${at(3, 1n)}&timestamp.lt=${at(5, 1n)}`)).toBe("t4t5");
  expect(await idsOf(`timestamp.gt=${at(5)}&timestamp.lt=${at(3)}`)).toBe("");
  expect(await idsOf(`timestamp.gt=${DAY}`)).toBe("");
  expect(await idsOf(`timestamp.lt=${DAY}`)).toBe("");
});

test("the newest trade and quote, the bar of the day before, and the bars of all", async () => {
  const trade = await (await fetch(`${server.url}/v2/last/trade/${PATH}`, { headers: bearer(key) })).text();
  expect(trade).toContain(`"t":${FIRST_NS + 9_000_000n},`);
  expect(JSON.parse(trade).results).toMatchObject({ T: TICKER, p: 9.5, s: 1, x: 4, i: "t9" });
  const quote = await ask(`/v2/last/nbbo/${PATH}`);
  expect(quote.body.results).toMatchObject({ T: TICKER, p: 1, s: 2, P: 3, S: 0 });
  const previous = await ask(`/v2/aggs/ticker/${PATH}/prev`);
  expect(previous.body.results).toMatchObject([{ T: TICKER, t: Date.parse("2024-01-04T05:00:00Z") }]);
  const grouped = await ask(`/v2/aggs/grouped/locale/us/market/stocks/${DAY}?adjusted=false`);
  expect(grouped.body.results).toMatchObject([{ T: TICKER, c: 2 }]);
});

test.each([
  [bars(`1/fortnight/${DAY}/${DAY}`), 400, "timespan"],
  [bars(`0/day/${DAY}/${DAY}`), 400, "multiplier"],
  [bars(`999999/month/${DAY}/${DAY}`), 400, ""],
  [bars(`1/day/2024-02-30/${DAY}`), 400, "from"],
  [bars(`1/day/${DAY}/99999999999999999`), 400, "to"],
  [bars("1/day/2024-01-04/2024-01-02"), 400, "end"],
  [bars(`1/day/${DAY}/${DAY}?limit=50001`), 400, "limit"],
  [bars(`1/day/${DAY}/${DAY}?sort=up`), 400, "sort"],
  [bars(`1/day/${DAY}/${DAY}?adjusted=1`), 400, "adjusted"],
  [bars(`1/day/${DAY}/${DAY}?cursor=abc`), 400, "page_token"],
  [bars(`1/day/${DAY}/${DAY}?explode=1`), 400, "explode"],
  [`/v3/trades/${PATH}?timestamp=yesterday`, 400, "timestamp"],
  [`/v3/trades/${PATH}?timestamp.gte=2024-13-01`, 400, "timestamp.gte"],
  [`/v3/trades/${PATH}?timestamp.gte=99999999999999999999`, 400, "timestamp.gte"],
  [`/v3/trades/${PATH}?timestamp=0001-01-01`, 200, null],
  [`/v3/trades/${PATH}?timestamp=9999-12-31`, 200, null],
  [`/v3/quotes/${PATH}?limit=0`, 400, "limit"],
  [`/v3/trades/${"A".repeat(2_000)}`, 400, "ticker"],
  ["/v3/trades/%00", 400, "ticker"],
  ["/v2/last/trade/NOBODY", 404, "no trade"],
  ["/v2/aggs/grouped/locale/us/market/stocks/today", 400, "date"],
  ["/v2/aggs/other", 404, "no such endpoint"],
])("%s is %i", async (path, status, message) => {
  const { status: got, body } = await ask(path);
  expect([got, body.error]).toEqual([
    status,
    message === null ? undefined : expect.stringContaining(message),
  ]);
  expect(body.request_id).toBeString();
  if (message !== null) expect(body.status).toBe("ERROR");
});

function told(file: string): string {
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

function spansOf({ spans }: Collector): string {
  return JSON.stringify(spans.map(({ name, attributes }) => [name, attributes]));
}

test("the key may be in the query of these paths alone, and is in no log and no next_url", async () => {
  const wrong = `sdb_${"wrong".repeat(6)}`;
  const asked = async (path: string) => get(`${server.url}${path}`);
  const page = await asked(`/v3/trades/${PATH}?limit=2&apiKey=${key}`);
  expect(page.status).toBe(200);
  expect(page.body.next_url).toStartWith(`${server.url}/v3/trades/${TICKER}?limit=2&cursor=`);
  expect(page.body.next_url).not.toContain(key);
  expect((await asked(`/v3/trades/${PATH}?%61piKey=${key}&limit=1`)).status).toBe(200);
  const refused = await asked(`/v2/last/trade/${PATH}?apiKey=${wrong}`);
  expect([refused.status, refused.body.status]).toEqual([401, "ERROR"]);
  for (const path of ["/v1/trades?symbols=A", `/v2/stocks/trades?symbols=A`, "/metrics?"])
    expect((await asked(`${path}&apiKey=${key}`)).status).toBe(401);
  expect((await asked(`/v3/reference/tickers?apikey=${key}&last=1`)).status).toBe(404);
  await waitUntil("the last is logged", () => server.log().includes("/v3/reference/tickers?last=1"));
  await waitUntil("it is slow too", () => server.log().includes("Slow: GET /v3/trades/"));
  await waitUntil("the refusal is told", () => told(refusedLog).includes("/v2/last/trade"));
  await waitUntil("it is traced", () => spansOf(collector).includes("/v2/last/trade"));
  for (const text of [server.log(), told(auditLog), told(refusedLog), spansOf(collector)])
    for (const secret of [key, wrong]) expect(text).not.toContain(secret);
});

/** What the program has printed, by what it has asked for. */
async function run(client: InstalledClient, program: string) {
  await using running = new RunningClient(client, program, server.url, key, TICKER);
  await running.end();
  return Object.fromEntries(running.lines.map((line) => [line.asked, line]));
}

const PRICES = Array.from({ length: TRADES }, (_, i) => i + 0.5);
const price = (row: { price: number }) => row.price;

const py = await massivePy();
describe.skipIf(py === null)("massive for Python", () => {
  test(
    "has all rows, page by page, and the newest",
    async () => {
      const asked = await run(py!, "history.py");
      expect(asked.minutes.items.map(({ timestamp }: { timestamp: number }) => timestamp)).toEqual(
        ["00", "01", "02"].map((minute) => Date.parse(`2024-01-02T15:${minute}:00Z`)),
      );
      expect(asked.days.items).toMatchObject([{ close: 2, volume: 100 }, { close: 2 }]);
      expect(asked.previous.items).toMatchObject([{ ticker: TICKER, close: 2 }]);
      expect(asked.grouped.items).toMatchObject([{ ticker: TICKER, close: 1 }]);
      expect(asked.trades.items.map(price)).toEqual(PRICES);
      expect(asked.since.items.map(price)).toEqual(PRICES.slice(4).reverse());
      expect(asked.quotes.items).toMatchObject([{ bid_price: 1, ask_price: 3 }]);
      expect(asked["last trade"].items).toMatchObject([{ ticker: TICKER, price: 9.5 }]);
      expect(asked["last quote"].items).toMatchObject([{ bid_price: 1, ask_price: 3 }]);
      expect(asked.error.error).toMatchObject({
        status: "ERROR",
        error: expect.stringContaining("fortnight"),
      });
    },
    TEST_MS,
  );
});

const js = await massiveJs();
describe.skipIf(js === null)("massive for JavaScript", () => {
  test(
    "has all rows, with its key in the query",
    async () => {
      const asked = await run(js!, "history.mjs");
      expect(asked.minutes.answer.results).toHaveLength(3);
      // It puts each next page before those it has.
      const prices = asked.trades.answer.results.map(price);
      expect(prices.sort((a: number, b: number) => a - b)).toEqual(PRICES);
      expect(asked.last.answer.results).toMatchObject({ T: TICKER, p: 9.5 });
      expect(asked.error.answer).toMatchObject({ status: "ERROR" });
      expect(server.log()).not.toContain(key);
    },
    TEST_MS,
  );
});
