/**
 * Subscribers on several workers: every save reaches each of them once, in the order of commits.
 */

import { expect, setDefaultTimeout, test } from "bun:test";
import { unpackable } from "../support/random.ts";
import { RawWebSocket } from "../support/raw-web-socket.ts";
import { command, get, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";

setDefaultTimeout(180_000);

/**
 * Before the server gives a subscriber up that takes nothing: writers don't wait for that, on
 * however busy a machine.
 */
const SAVE_MS_MAX = 12_000;

async function openMany(server: RunningServer, symbol: string, count: number) {
  const subscribers = await Promise.all(
    Array.from({ length: count }, () => Subscriber.open(server.wsUrl, symbol)),
  );
  return {
    subscribers,
    [Symbol.asyncDispose]: async () => {
      for (const subscriber of subscribers) await subscriber[Symbol.asyncDispose]();
    },
  };
}

/** Each answer comes from any worker, so that many in a row are asked. */
async function untilNobodySubscribes(server: RunningServer): Promise<void> {
  await waitUntil("no worker has a subscriber", async () => {
    for (let i = 0; i < 20; i++) {
      const { body } = await get(`${server.url}/stats/performance`);
      if (body.worker.subscribers !== 0) return false;
    }
    return true;
  });
}

test("a save through any worker reaches every subscriber once, in the order in which it was committed", async () => {
  await using server = await startServer({ workers: 3 });
  await using opened = await openMany(server, "AAPL", 12);
  await using other = await Subscriber.open(server.wsUrl, "MSFT");
  const { subscribers } = opened;

  // One after the other: then the order of commits is known.
  const inTurn = 60;
  for (let price = 1; price <= inTurn; price++) {
    expect((await saveTrade(server.url, "AAPL", price)).status).toBe(200);
  }
  const expected = Array.from({ length: inTurn }, (_, i) => i + 1);
  for (const subscriber of subscribers) {
    await waitUntil("all updates are here", () => subscriber.updates.length >= inTurn);
    expect(subscriber.prices).toEqual(expected);
  }

  // All at once: any order, but the same for all, each once.
  const atOnce = 200;
  const saves = Array.from({ length: atOnce }, (_, i) => saveTrade(server.url, "AAPL", 1000 + i));
  expect((await Promise.all(saves)).filter((answer) => answer.status !== 200)).toEqual([]);
  for (const subscriber of subscribers) {
    await waitUntil("all updates are here", () => subscriber.updates.length >= inTurn + atOnce);
  }
  const order = subscribers[0]!.prices;
  expect(new Set(order).size).toBe(inTurn + atOnce);
  for (const subscriber of subscribers) expect(subscriber.prices).toEqual(order);
  expect(other.updates).toEqual([]);
});

test("the order of updates is that in which the database has them", async () => {
  await using server = await startServer({ workers: 3 });
  await using opened = await openMany(server, "RACE", 6);
  // All save the same bar: whoever is told last must be who is stored.
  const saves = Array.from({ length: 100 }, (_, i) =>
    command(server.url, "save_stock_data", {
      ticker: "RACE",
      index_col: "date",
      data: [{ date: "2024-01-02", close: i + 1 }],
    }),
  );
  await Promise.all(saves);
  const stored = await command(server.url, "get_latest_price", { ticker: "RACE" });
  for (const subscriber of opened.subscribers) {
    await waitUntil("all updates are here", () => subscriber.updates.length >= saves.length);
    expect(subscriber.updates.at(-1)?.data[0].close).toBe(stored.body.latest_price);
  }
});

test("first the initial price, then heartbeats in UTC on schedule", async () => {
  await using server = await startServer({ workers: 2, flags: ["--heartbeat-interval", "0.1"] });
  await saveTrade(server.url, "AAPL", 42);
  await using subscriber = await Subscriber.open(server.wsUrl, "AAPL");
  await using unknown = await Subscriber.open(server.wsUrl, "NOBODY");
  await waitUntil("eleven heartbeats", () => subscriber.heartbeats.length >= 11);

  expect(subscriber.frames[0]).toMatchObject({
    symbol: "AAPL",
    data: { type: "initial_price", event_type: "initial_price_update", payload: [{ price: 42 }] },
  });
  expect(subscriber.frames.filter((frame) => frame.data.type === "initial_price").length).toBe(1);
  expect(unknown.frames.every((frame) => frame.data.type === "heartbeat")).toBe(true);

  const beats = subscriber.heartbeats;
  for (const beat of beats) expect(beat.data.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  const times = beats.map((beat) => Date.parse(beat.data.timestamp));
  expect(Math.abs(times[0]! - Date.now())).toBeLessThan(30_000);
  // Never more often than said, whatever held it up; a late beat may be followed by one in time.
  expect(times.at(-1)! - times[0]!).toBeGreaterThanOrEqual((beats.length - 2) * 100 - 20);
});

test("unsubscribe closes with 1000, a missing symbol too, and messages that can't be understood are answered and change nothing", async () => {
  await using server = await startServer({ workers: 2 });
  await using subscriber = await Subscriber.open(server.wsUrl, "AAPL");
  for (const wrong of ["not JSON", "[]", "1", "null", '{"action":"dance"}']) subscriber.send(wrong);
  await saveTrade(server.url, "AAPL", 1);
  await waitUntil("the update is here", () => subscriber.updates.length === 1);
  expect(subscriber.errors).toEqual([
    "bad_json",
    "bad_message",
    "bad_message",
    "bad_message",
    "unknown_action",
  ]);
  subscriber.send('{"action":"unsubscribe"}');
  await waitUntil("it is closed", () => subscriber.closed !== null);
  expect(subscriber.closed).toEqual({ code: 1000, reason: "" });

  await using nameless = Subscriber.connect(server.wsUrl, "");
  await waitUntil("it is closed", () => nameless.closed !== null);
  expect(nameless.closed).toEqual({ code: 1000, reason: "Symbol parameter is required" });
});

test("who joins while saves run misses nothing after its initial price", async () => {
  await using server = await startServer({ workers: 2 });
  let price = 0;
  let stopping = false;
  const saver = (async () => {
    while (!stopping) expect((await saveTrade(server.url, "RUN", ++price)).status).toBe(200);
  })();
  await waitUntil("saves run", () => price > 20);
  const subscribers: Subscriber[] = [];
  for (let i = 0; i < 25; i++) {
    subscribers.push(Subscriber.connect(server.wsUrl, "RUN"));
    await Bun.sleep(Math.random() * 20);
  }
  for (const subscriber of subscribers) {
    await waitUntil("it has an update", () => subscriber.updates.length > 0);
  }
  stopping = true;
  await saver;
  for (const subscriber of subscribers) {
    await waitUntil("the last update is here", () => subscriber.prices.at(-1) === price);
    const [first] = subscriber.frames;
    expect(first!.data.type).toBe("initial_price");
    const initial = first!.data.payload[0].price as number;
    const prices = subscriber.prices;
    // Ascending without a gap, from the initial price on: nothing missed, nothing twice.
    expect(prices).toEqual(Array.from({ length: prices.length }, (_, i) => price - prices.length + 1 + i));
    expect(prices[0]!).toBeLessThanOrEqual(initial + 1);
    await subscriber[Symbol.asyncDispose]();
  }
});

test("a subscriber that reads nothing is cut off at the bound; the others and the writers don't feel it", async () => {
  await using server = await startServer({ flags: ["--max-body-mb", "2"] });
  using deaf = await RawWebSocket.openDeaf(server.port, "/ws?symbol=BIG");
  await using opened = await openMany(server, "BIG", 3);

  const note = unpackable(500_000);
  let slowestMs = 0;
  let saved = 0;
  // Far more than the kernel's buffers and the bound together.
  const SAVES = 40;
  for (; saved < SAVES; saved++) {
    const data = [{ datetime: `2024-01-02 00:00:${String(saved).padStart(2, "0")}`, close: saved, note }];
    const started = performance.now();
    const params = { ticker: "BIG", interval: "hourly", index_col: "datetime", data };
    expect((await command(server.url, "save_stock_data", params)).status).toBe(200);
    slowestMs = Math.max(slowestMs, performance.now() - started);
  }
  console.log(
    `live-updates.test.ts: slowest of ${SAVES} saves of 0.5 MB beside a deaf subscriber: ${slowestMs} ms`,
  );
  expect(slowestMs).toBeLessThan(SAVE_MS_MAX);
  for (const subscriber of opened.subscribers) {
    await waitUntil("every update is here", () => subscriber.updates.length === SAVES);
    expect(subscriber.updates.map((frame) => frame.data[0].close)).toEqual(
      Array.from({ length: SAVES }, (_, i) => i),
    );
  }
  // The three that read are all that is left.
  await waitUntil("the deaf one is gone", async () => {
    const { body } = await get(`${server.url}/stats/performance`);
    return body.worker.subscribers === 3;
  });
  deaf.readAgain();
  await waitUntil("its connection is over", () => deaf.ended);
});

test("closed sockets leave no subscriber behind, whenever they closed", async () => {
  await using server = await startServer({ workers: 2 });
  for (let round = 0; round < 3; round++) {
    const sockets = Array.from({ length: 40 }, (_, i) =>
      Subscriber.connect(server.wsUrl, `T${round}-${i % 7}`),
    );
    // Some close before they are subscribed, some after.
    if (round % 2 === 0)
      await Promise.all(sockets.map((s) => waitUntil("subscribed", () => s.frames.length > 0)));
    await Promise.all(sockets.map((socket) => socket[Symbol.asyncDispose]()));
  }
  await untilNobodySubscribes(server);
  await using again = await Subscriber.open(server.wsUrl, "T0-0");
  await saveTrade(server.url, "T0-0", 1);
  await waitUntil("the update is here", () => again.updates.length === 1);
  expect(again.updates.length).toBe(1);
});
