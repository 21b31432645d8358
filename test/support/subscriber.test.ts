/** That the subscriber of tests, bench and soak sees what is wrong, and comes back where it was. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { saveTrade } from "./requests.ts";
import { startServer, waitUntil } from "./server.ts";
import { processesOf } from "./server-processes.ts";
import { Subscriber } from "./subscriber.ts";
import { updatesProxy } from "./updates-proxy.ts";

setDefaultTimeout(60_000);

test("comes back with its positions: by itself, or when it is told to", async () => {
  await using server = await startServer({ workers: 2 });
  const query = { symbols: "A,B" };
  await using one = Subscriber.ask(server.wsUrl, query, { returnsAfterMs: 50 });
  await one.until("both are subscribed", () => one.heartbeats.length === 2);
  await saveTrade(server.url, "A", 1);
  await one.until("the first update", () => one.prices.includes(1));

  one.leave();
  await saveTrade(server.url, "A", 2);
  await saveTrade(server.url, "B", 3);
  one.reconnect();
  await one.until("what it missed", () => one.prices.length === 3);

  const before = one.connections;
  for (const pid of processesOf(server).workers) process.kill(pid, "SIGKILL");
  await waitUntil("it is back", () => one.connections > before && one.closed === null);
  await waitUntil("a save", async () => (await saveTrade(server.url, "B", 4)).status === 200);
  await waitUntil("the last update", () => one.prices.includes(4));
  expect(one.prices.toSorted()).toEqual([1, 2, 3, 4]);
  expect([...one.positions].sort()).toEqual([
    ["A", 2],
    ["B", 2],
  ]);
  expect(one.faults).toEqual([]);
});

test("sees updates that are left out, or come twice, and heartbeats ahead of them", async () => {
  await using server = await startServer();
  using proxy = updatesProxy(server);
  const update = (seq: number) => `{"symbol":"A","data":{"type":"trade","payload":[]},"seq":${seq}}`;
  const beat = (seq: number) => `{"symbol":"A","data":{"type":"heartbeat"},"seq":${seq},"epoch":"e"}`;
  proxy.treat({ send: beat(1) });
  await using one = Subscriber.connect(`ws://127.0.0.1:${proxy.port}`, "A");
  await using trades = Subscriber.ask(`ws://127.0.0.1:${proxy.port}`, { symbols: "A", types: "trade" });
  for (const frame of [beat(1), update(2), update(4), update(4), beat(6), update(7)]) {
    proxy.treat({ send: frame });
    for (const each of [one, trades]) {
      each.reconnect();
      const before = each.frames.length;
      await each.until("the frame", () => each.frames.length > before);
    }
  }
  expect(trades.faults).toEqual(["A: update 4 came after 4"]);
  expect(one.faults).toEqual([
    "A: update 4 came after 2",
    "A: update 4 came after 4",
    "A: a heartbeat of position 6 came after 4",
  ]);
});
