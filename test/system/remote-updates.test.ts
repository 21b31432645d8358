/**
 * Subscribers of a server in front of another: each update once and in order, whichever of the two
 * took the save.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { command, get, saveTrade } from "../support/requests.ts";
import { upTo } from "../support/saves.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";
import { startTiers } from "../support/tiers.ts";

setDefaultTimeout(180_000);

test("a save through either server reaches every subscriber of both once, in one order", async () => {
  await using tiers = await startTiers({
    flags: ["--heartbeat-interval", "0.2"],
    frontFlags: ["--heartbeat-interval", "0.2"],
  });
  const { upstream, front } = tiers;
  await saveTrade(upstream.url, "AAPL", 0.5);
  await using stack = new AsyncDisposableStack();
  const open = async (server: RunningServer, symbol: string) =>
    stack.use(await Subscriber.open(server.wsUrl, symbol));
  const behind = await Promise.all([open(upstream, "AAPL"), open(upstream, "AAPL")]);
  const inFront = await Promise.all(Array.from({ length: 8 }, () => open(front, "AAPL")));
  const other = await open(front, "MSFT");
  const all = [...behind, ...inFront];

  const count = 150;
  const saves = Array.from({ length: count }, (_, i) =>
    saveTrade([front, upstream][i % 2]!.url, "AAPL", i + 1),
  );
  expect((await Promise.all(saves)).filter(({ status }) => status !== 200)).toEqual([]);
  for (const subscriber of all) {
    await waitUntil("all updates are here", () => subscriber.updates.length >= count);
  }
  // Whatever came twice would come with or before what is saved now.
  await saveTrade(front.url, "AAPL", 9_999);
  for (const subscriber of all) {
    await waitUntil("the last update is here", () => subscriber.prices.at(-1) === 9_999);
  }
  const order = behind[0]!.prices;
  expect(order.length).toBe(count + 1);
  expect(new Set(order).size).toBe(count + 1);
  for (const subscriber of all) {
    expect(subscriber.prices).toEqual(order);
    // The first save came before they did.
    expect(subscriber.seqs).toEqual(upTo(count + 2).slice(1));
  }
  expect(new Set(all.map(({ heartbeats }) => heartbeats[0]!.epoch)).size).toBe(1);
  expect(other.updates).toEqual([]);

  for (const subscriber of inFront) {
    const initial = subscriber.frames.filter(({ data }) => data.type === "initial_price");
    expect(initial.map(({ data }) => data.payload[0].price)).toEqual([0.5]);
    expect(subscriber.frames[0]).toBe(initial[0]!);
    // The upstream's heartbeats are not passed on: no more than its own come.
    const beats = subscriber.heartbeats;
    const lastedMs = Date.parse(beats.at(-1)!.data.timestamp) - Date.parse(beats[0]!.data.timestamp);
    expect(beats.length).toBeLessThanOrEqual(lastedMs / 200 + 3);
  }
});

test("frames go on as they are, whatever their data looks like", async () => {
  await using tiers = await startTiers({ workers: 1 });
  const { upstream, front } = tiers;
  await using behind = await Subscriber.open(upstream.wsUrl, "Ä 1&");
  await using inFront = await Subscriber.open(front.wsUrl, "Ä 1&");
  const stamp = "2024-01-02T00:00:00.000Z";
  for (const data_type of ["subscription", 'a"\\', "quote"]) {
    const data = [{ timestamp: stamp, price: 1, size: 2, note: "ä\n" }];
    await command(front.url, "save_realtime_data", {
      ticker: "Ä 1&",
      index_col: "timestamp",
      data_type,
      data,
    });
  }
  const note = "x".repeat(3_000_000);
  await command(front.url, "save_stock_data", {
    ticker: "Ä 1&",
    index_col: "date",
    data: [{ date: "2024-01-02", close: 1, note }],
  });
  const told = ({ frames }: Subscriber) =>
    frames.filter(({ data }) => Array.isArray(data) || data?.timestamp === stamp);
  await waitUntil("all are here", () => told(inFront).length === 4 && told(behind).length === 4);
  const texts = (subscriber: Subscriber) =>
    told(subscriber).map(({ symbol, data, seq }) => JSON.stringify({ symbol, data, seq }));
  expect(texts(inFront)).toEqual(texts(behind));
});

test("one WebSocket to the upstream carries what comes and goes, and all tickers where they are too many to name", async () => {
  await using tiers = await startTiers({ workers: 1, flags: ["--ws-symbols-max", "3"] });
  const { upstream, front } = tiers;
  const socketsAtUpstream = async (): Promise<number> =>
    (await get(`${upstream.url}/stats/performance`)).body.worker.subscribers;
  const tickers = Array.from({ length: 8 }, (_, i) => `T,${i}`);
  await using stack = new AsyncDisposableStack();
  const open = async (ticker: string) => stack.use(await Subscriber.open(front.wsUrl, ticker));
  const few = await Promise.all(tickers.slice(0, 2).map(open));
  for (const ticker of tickers) await saveTrade(upstream.url, ticker, 1);
  const many = [...few, ...(await Promise.all(tickers.slice(2).map(open)))];
  for (const ticker of tickers) await saveTrade(front.url, ticker, 2);
  for (const [i, subscriber] of many.entries()) {
    const expected = i < 2 ? [1, 2] : [2];
    await waitUntil("its updates are here", () => subscriber.updates.length === expected.length);
    expect([subscriber.prices, subscriber.seqs]).toEqual([expected, expected]);
  }
  // Fewer again: by name.
  for (const subscriber of many.slice(1)) await subscriber[Symbol.asyncDispose]();
  for (const price of [3, 4, 5]) {
    await saveTrade(upstream.url, tickers[0]!, price);
    await using back = await open(tickers[price]!);
    await saveTrade(upstream.url, tickers[price]!, 3);
    await waitUntil("its update is here", () => back.prices.includes(3));
  }
  await waitUntil("all are here", () => many[0]!.updates.length === 5);
  expect(many[0]!.seqs).toEqual(upTo(5));
  await waitUntil("there is one WebSocket", async () => (await socketsAtUpstream()) === 1);
});

test("three in a row serve like one", async () => {
  await using tiers = await startTiers();
  await using third = await startServer({ dbFile: `127.0.0.1:${tiers.front.port}`, workers: 2 });
  await using watcher = await Subscriber.open(tiers.upstream.wsUrl, "ROW");
  await using far = await Subscriber.open(third.wsUrl, "ROW");
  for (let price = 1; price <= 20; price++) await saveTrade(third.url, "ROW", price);
  await waitUntil("all updates are here", () => far.updates.length === 20 && watcher.updates.length === 20);
  expect(far.prices).toEqual(watcher.prices);
  expect((await command(third.url, "get_latest_price", { ticker: "ROW" })).body.latest_price).toBe(20);
  await waitUntil("it is ready", async () => (await get(`${third.url}/ready`)).status === 200);
});
