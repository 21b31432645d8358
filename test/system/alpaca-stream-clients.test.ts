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
        // So no bars are made of the trades for those who know that there are stored ones.
        await saveBar(ticker, "1min", "datetime", { datetime: `${DAY}T14:59:00Z`, ...BAR });
        await using running = new RunningClient(client!, program, `${server.wsUrl}/v2/sip`, ticker);
        const of = (kind: string) => running.lines.filter((line) => line.kind === kind);
        const subscribed = () => running.lines.filter((line) => "subscribed" in line).length;
        const untilSubscribed = (times: number) =>
          until(() => {
            if (running.hasEnded) throw new Error(`the client has ended: ${running.errors}`);
            return subscribed() >= times;
          });
        await untilSubscribed(1);
        await saveTrades(ticker);
        await saveOthers(ticker);
        await until(() => of("daily bar").length === 1 && of("updated bar").length === 1);
        expect(of("trade").map((trade) => trade[price])).toEqual(
          Array.from({ length: TRADES }, (_, i) => i + 0.25),
        );
        expect(Date.parse(of("trade")[1]![stamp])).toBe(Date.parse(`${DAY}T15:00:00.001Z`));
        expect([of("quote").length, of("bar").length]).toEqual([1, 1]);
        const before = subscribed();
        if (ends === "replaced") process.kill(server.pid, "SIGHUP");
        else for (const worker of processesOf(server).workers) process.kill(worker, "SIGKILL");
        await untilSubscribed(before + 1);
        await until(async () => (await saveTrade(server.url, ticker, 7.5)).status === 200);
        await until(() => of("trade").some((trade) => trade[price] === 7.5));
      },
      TEST_MS,
    );
  });

async function saveTrades(ticker: string): Promise<void> {
  for (let from = 0; from < TRADES; from += TRADES_OF_SAVE) {
    const data = Array.from({ length: TRADES_OF_SAVE }, (_, i) => ({
      timestamp: new Date(Date.parse(`${DAY}T15:00:00Z`) + from + i).toISOString(),
      ...{ price: from + i + 0.25, size: 1, id: from + i, x: "V", c: ["@"], z: "C" },
    }));
    const saved = await command(server.url, "save_realtime_data", {
      ...{ ticker, data_type: "trade", index_col: "timestamp", data },
    });
    expect(saved.status).toBe(200);
  }
}

async function saveOthers(ticker: string): Promise<void> {
  const timestamp = `${DAY}T15:00:00.5Z`;
  const quote = { timestamp, bid_price: 1, bid_size: 2, ask_price: 3, ask_size: 4 };
  await command(server.url, "save_realtime_data", {
    ...{ ticker, data_type: "quote", index_col: "timestamp", data: [quote] },
  });
  const minute = { datetime: `${DAY}T15:00:00Z`, ...BAR };
  await saveBar(ticker, "1min", "datetime", minute);
  await saveBar(ticker, "1min", "datetime", { ...minute, close: 2.5 });
  await saveBar(ticker, "daily", "date", { date: DAY, ...BAR });
}

async function saveBar(ticker: string, interval: string, index_col: string, bar: object): Promise<void> {
  const saved = await command(server.url, "save_stock_data", { ticker, interval, index_col, data: [bar] });
  expect(saved.status).toBe(200);
}
