/** Alpaca's own clients ask this server for history, over more rows than a page has. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { alpacaJs, alpacaPy, type InstalledClient, RunningClient } from "../support/alpaca-clients.ts";
import { command } from "../support/requests.ts";
import { type RunningServer, startServer } from "../support/server.ts";

const TEST_MS = 240_000;
const ONE = "AAPL";
const OTHER = "BRK.B";
const FIRST_MS = Date.parse("2024-01-02T15:00:00Z");
/** More than two pages of 10,000 with those of the other. */
const TRADES: Record<string, number> = { [ONE]: 15_000, [OTHER]: 7_500 };
const QUOTES = 1_200;
const MINUTES = 11_000 / 2;

let server: RunningServer;

beforeAll(async () => {
  server = await startServer({ workers: 2 });
  for (const ticker of [ONE, OTHER]) {
    const rows = (count: number, row: (i: number) => object, stepMs: number, index = "timestamp") =>
      Array.from({ length: count }, (_, i) => ({
        [index]: new Date(FIRST_MS + i * stepMs).toISOString(),
        ...row(i),
      }));
    const ticks = (data_type: string, data: object[]) =>
      save("save_realtime_data", { ticker, data_type, index_col: "timestamp", data });
    await ticks(
      "trade",
      rows(TRADES[ticker]!, (i) => ({ price: i + 0.5, size: 1, id: i, x: "V", c: ["@"], z: "C" }), 1),
    );
    await ticks(
      "quote",
      rows(
        QUOTES,
        (i) => ({ bid_price: i, bid_size: 1, ask_price: i + 1, ask_size: 2, bx: "Q", ax: "U" }),
        10,
      ),
    );
    const bar = (i: number) => ({
      open: i,
      high: i + 2,
      low: i,
      close: i + 1,
      volume: 10,
      trade_count: 3,
      vwap: i + 0.5,
    });
    const bars = (interval: string, index_col: string, data: object[]) =>
      save("save_stock_data", { ticker, interval, index_col, data });
    await bars(
      "1min",
      "datetime",
      rows(MINUTES, bar, 10_000, "datetime").filter((_, i) => i % 6 === 0),
    );
    await bars(
      "daily",
      "date",
      ["2024-01-02", "2024-01-03", "2024-01-04"].map((date, i) => ({ date, ...bar(i) })),
    );
  }
}, TEST_MS);

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function save(name: string, params: Record<string, unknown>): Promise<void> {
  const { status, body } = await command(server.url, name, params);
  if (status !== 200) throw new Error(JSON.stringify(body));
}

/** What the program has printed, by what it has asked for. */
async function run(client: InstalledClient, program: string) {
  await using running = new RunningClient(client, program, server.url, ONE, OTHER);
  await running.end();
  return Object.fromEntries(running.lines.map((line) => [line.asked, line]));
}

function counts(items: Record<string, unknown[]>): Record<string, number> {
  return Object.fromEntries(Object.entries(items).map(([symbol, of]) => [symbol, of.length]));
}

const both = <T>(value: T) => ({ [ONE]: value, [OTHER]: value });
/** 5,500 tenths of a minute. */
const STORED_MINUTES = Math.ceil(MINUTES / 6);

const py = await alpacaPy();
describe.skipIf(py === null)("alpaca-py", () => {
  test(
    "has all rows, page by page, and the newest",
    async () => {
      const asked = await run(py!, "history.py");
      expect(counts(asked.trades.items)).toEqual(TRADES);
      expect(asked.trades.items[ONE].map(({ price }: { price: number }) => price)).toEqual(
        Array.from({ length: TRADES[ONE]! }, (_, i) => i + 0.5),
      );
      expect(asked.trades.items[OTHER][1]).toMatchObject({
        ...{ symbol: OTHER, timestamp: "2024-01-02T15:00:00.001000Z", exchange: "V" },
        ...{ price: 1.5, size: 1, id: 1, conditions: ["@"], tape: "C" },
      });
      expect(asked["newest trades"].items).toMatchObject({
        [ONE]: [14_999.5, 14_998.5, 14_997.5].map((price) => ({ price })),
      });
      expect(counts(asked.quotes.items)).toEqual(both(QUOTES));
      expect(counts(asked.minutes.items)).toEqual(both(STORED_MINUTES));
      expect(asked.minutes.items[ONE][1]).toMatchObject({
        ...{ timestamp: "2024-01-02T15:01:00Z", open: 6, high: 8, low: 6, close: 7 },
        ...{ volume: 10, trade_count: 3, vwap: 6.5 },
      });
      expect(asked.days.items[OTHER].map(({ timestamp }: { timestamp: string }) => timestamp)).toEqual([
        "2024-01-02T05:00:00Z",
        "2024-01-03T05:00:00Z",
        "2024-01-04T05:00:00Z",
      ]);
      expect(asked.frame.rows).toBe(2 * STORED_MINUTES);
      expect(asked["latest trade"].items[ONE][0].price).toBe(14_999.5);
      expect(asked["latest quote"].items[ONE][0]).toMatchObject({ bid_price: 1_199, ask_exchange: "U" });
      expect(asked["latest bar"].items[ONE][0].close).toBe(5_497);
      expect(asked.snapshot.items[ONE][0]).toMatchObject({
        ...{ latest_trade: { price: 14_999.5 }, latest_quote: { ask_price: 1_200 } },
        ...{ minute_bar: { close: 5_497 }, daily_bar: { close: 3 }, previous_daily_bar: { close: 2 } },
      });
      expect(asked.nothing.items).toEqual({});
      expect(asked.error).toMatchObject({ status: 400, code: 40_010_000 });
      expect(asked.error.message).toStartWith('currency: got "EUR", expected USD');
    },
    TEST_MS,
  );
});

const js4 = await alpacaJs("4.0.2");
describe.skipIf(js4 === null)("alpaca-trade-api 4", () => {
  test(
    "has all rows, page by page, and the newest",
    async () => {
      const asked = await run(js4!, "history-4.mjs");
      expect([counts(asked.trades.items), asked.trades.pages]).toEqual([TRADES, 3]);
      expect(asked.trades.items[ONE][1]).toMatchObject({ p: 1.5, s: 1, i: 1, x: "V", c: ["@"], z: "C" });
      expect([counts(asked.quotes.items), asked.quotes.pages]).toEqual([both(QUOTES), 3]);
      expect(counts(asked.minutes.items)).toEqual(both(STORED_MINUTES));
      expect(asked.one.answer.symbol).toBe(ONE);
      expect(asked.one.answer.bars).toHaveLength(3);
      expect(asked["latest trade"].answer.trades[OTHER].p).toBe(7_499.5);
      expect(asked["latest quote of one"].answer.quote).toMatchObject({ bp: 1_199, bx: "Q" });
      expect(asked["latest bar"].answer.bars[ONE].c).toBe(5_497);
      expect(asked.snapshot.answer[ONE].dailyBar.c).toBe(3);
      expect(asked["snapshot of one"].answer.latestTrade.p).toBe(14_999.5);
      expect(asked.error.status).toBe(400);
    },
    TEST_MS,
  );
});

const js3 = await alpacaJs("3.1.3");
describe.skipIf(js3 === null)("alpaca-trade-api 3", () => {
  test(
    "has all rows, page by page, and the newest",
    async () => {
      const asked = await run(js3!, "history-3.mjs");
      expect(asked["trades of one"].items).toHaveLength(TRADES[ONE]!);
      expect(asked["trades of one"].items.at(-1)).toMatchObject({ Price: 14_999.5, ID: 14_999 });
      expect(counts(asked.minutes.items)).toEqual(both(STORED_MINUTES));
      expect(asked["quotes of one"].items).toHaveLength(5);
      expect(asked["minutes of one"].items).toHaveLength(STORED_MINUTES);
      expect(asked["latest trade"].answer.Price).toBe(14_999.5);
      expect(asked["latest quotes"].answer[OTHER]).toMatchObject({ BidPrice: 1_199 });
      expect(asked["latest bar"].answer.ClosePrice).toBe(5_497);
      expect(asked.snapshot.answer.DailyBar.ClosePrice).toBe(3);
      expect(asked.snapshots.answer).toHaveLength(2);
    },
    TEST_MS,
  );
});
