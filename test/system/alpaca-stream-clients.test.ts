/** Alpaca's own clients on this server's streams. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { alpacaJs, alpacaPy, type InstalledClient, RunningClient } from "../support/alpaca-clients.ts";
import { command, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";
import { until } from "../support/until.ts";

const TRADES = 1_000;
const TRADES_OF_SAVE = 20;
const TEST_MS = 240_000;
const DAY = "2024-01-02";
const MINUTE_MS = 60_000;
const BAR = { open: 1, high: 3, low: 0.5, close: 2, volume: 100 };

let server: RunningServer;

beforeAll(async () => {
  server = await startServer({ workers: 2 });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

interface StreamProgram {
  name: string;
  client: InstalledClient | null;
  program: string;
  /** What its listeners call the price and the stamp of a trade. */
  price: string;
  stamp: string;
  /** How its worker ends: this one gives up for good when a connection breaks without a close. */
  ends: "killed" | "replaced";
}

const PROGRAMS: StreamProgram[] = [
  {
    name: "alpaca-py",
    client: await alpacaPy(),
    program: "stream.py",
    ...{ price: "price", stamp: "timestamp", ends: "killed" },
  },
  {
    name: "alpaca-trade-api 4",
    client: await alpacaJs("4.0.2"),
    program: "stream-4.mjs",
    ...{ price: "price", stamp: "timestamp", ends: "killed" },
  },
  {
    name: "alpaca-trade-api 3",
    client: await alpacaJs("3.1.3"),
    program: "stream-3.mjs",
    ...{ price: "Price", stamp: "Timestamp", ends: "replaced" },
  },
];

for (const { name, client, program, price, stamp, ends } of PROGRAMS)
  describe.skipIf(client === null)(name, () => {
    test(
      `gets all trades in order, quotes and bars, and comes back when its worker is ${ends}`,
      async () => {
        const ticker = `T${name.replace(/\W/g, "")}`;
        // Somebody stores bars as their minutes end, so none are made of the trades.
        const minuteMs = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
        const before = new Date(minuteMs - MINUTE_MS).toISOString();
        await saveBar(ticker, "1min", "datetime", { datetime: before, ...BAR });
        await using running = new RunningClient(client!, program, `${server.wsUrl}/v2/sip`, ticker);
        const of = (kind: string) => running.lines.filter((line) => line.kind === kind);
        const subscribed = () => running.lines.filter((line) => "subscribed" in line).length;
        const untilSubscribed = (times: number) =>
          until(() => {
            if (running.hasEnded) throw new Error(`the client has ended: ${running.errors}`);
            return subscribed() >= times;
          });
        await untilSubscribed(1);
        await saveTrades(ticker, minuteMs);
        await saveOthers(ticker, minuteMs);
        await until(() => of("daily bar").length === 1 && of("updated bar").length === 1);
        expect(of("trade").map((trade) => trade[price])).toEqual(
          Array.from({ length: TRADES }, (_, i) => i + 0.25),
        );
        expect(Date.parse(of("trade")[1]![stamp])).toBe(minuteMs + 1);
        expect([of("quote").length, of("bar").length]).toEqual([1, 1]);
        const subscriptions = subscribed();
        if (ends === "replaced") process.kill(server.pid, "SIGHUP");
        else for (const worker of processesOf(server).workers) process.kill(worker, "SIGKILL");
        await untilSubscribed(subscriptions + 1);
        await until(async () => (await saveTrade(server.url, ticker, 7.5)).status === 200);
        await until(() => of("trade").some((trade) => trade[price] === 7.5));
      },
      TEST_MS,
    );
  });

async function saveTrades(ticker: string, fromMs: number): Promise<void> {
  for (let from = 0; from < TRADES; from += TRADES_OF_SAVE) {
    const data = Array.from({ length: TRADES_OF_SAVE }, (_, i) => ({
      timestamp: new Date(fromMs + from + i).toISOString(),
      ...{ price: from + i + 0.25, size: 1, id: from + i, x: "V", c: ["@"], z: "C" },
    }));
    const saved = await command(server.url, "save_realtime_data", {
      ...{ ticker, data_type: "trade", index_col: "timestamp", data },
    });
    expect(saved.status).toBe(200);
  }
}

async function saveOthers(ticker: string, minuteMs: number): Promise<void> {
  const timestamp = new Date(minuteMs + 500).toISOString();
  const quote = { timestamp, bid_price: 1, bid_size: 2, ask_price: 3, ask_size: 4 };
  await command(server.url, "save_realtime_data", {
    ...{ ticker, data_type: "quote", index_col: "timestamp", data: [quote] },
  });
  const minute = { datetime: new Date(minuteMs).toISOString(), ...BAR };
  await saveBar(ticker, "1min", "datetime", minute);
  await saveBar(ticker, "1min", "datetime", { ...minute, close: 2.5 });
  await saveBar(ticker, "daily", "date", { date: DAY, ...BAR });
}

async function saveBar(ticker: string, interval: string, index_col: string, bar: object): Promise<void> {
  const saved = await command(server.url, "save_stock_data", { ticker, interval, index_col, data: [bar] });
  expect(saved.status).toBe(200);
}
