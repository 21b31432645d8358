/**
 * The WebSocket to the upstream is mute, or tells nonsense: subscribers miss nothing, hear nothing
 * wrong, and the log says why.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { saveTrade } from "../support/requests.ts";
import { startServer, waitUntil } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";
import { updatesProxy } from "../support/updates-proxy.ts";

setDefaultTimeout(180_000);

async function startWorld() {
  const stack = new AsyncDisposableStack();
  const upstream = stack.use(await startServer());
  const proxy = stack.use(updatesProxy(upstream));
  const front = stack.use(await startServer({ dbFile: `127.0.0.1:${proxy.port}` }));
  const watcher = stack.use(await Subscriber.open(front.wsUrl, "A"));
  return { upstream, proxy, front, watcher, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test("frames that are none: the socket is opened again, and what they hid is read", async () => {
  await using world = await startWorld();
  const { upstream, proxy, front, watcher } = world;
  let saved = 0;
  for (const [send, reason] of [
    ["hello", "what it sent is no frame; it begins with hello"],
    ["", "what it sent is no frame; it is empty"],
    ['{"type":"error","code"', "what it sent is no frame; it begins with {"],
    ['{"symbol":"A","data":{"type', "what it sent is no frame; it begins with {"],
    ['{"symbol":"A","data":[],"seq":9999999999999999}', "what it sent is no frame; it begins with {"],
    [new Uint8Array([1, 2, 3]), "it sent a frame that is no text"],
  ] as const) {
    proxy.treat({ send });
    await front.logged(`the upstream's WebSocket is opened again: ${reason}`);
    await saveTrade(upstream.url, "A", ++saved);
    await waitUntil("the update is here", () => watcher.prices.includes(saved));
  }
  proxy.treat("pass");
  await using later = await Subscriber.open(front.wsUrl, "B");
  await saveTrade(upstream.url, "B", 1);
  await saveTrade(upstream.url, "A", ++saved);
  await waitUntil("both are here", () => later.prices.includes(1) && watcher.prices.includes(saved));
  expect(watcher.seqs).toEqual(Array.from({ length: saved }, (_, i) => i + 1));
});

test("a socket that answers pings and nothing else is given up, and what it didn't tell is read", async () => {
  await using world = await startWorld();
  const { upstream, proxy, front, watcher } = world;
  proxy.silence();
  await saveTrade(upstream.url, "A", 1);
  await waitUntil("the update is here", () => watcher.prices.includes(1));
  proxy.treat("mute");
  await saveTrade(upstream.url, "A", 2);
  await waitUntil("the update is here", () => watcher.prices.includes(2));
  await front.logged("the upstream's WebSocket is opened again: it has confirmed no subscription for 10 s");
  proxy.treat("pass");
  await using later = await Subscriber.open(front.wsUrl, "B");
  await saveTrade(upstream.url, "B", 1);
  await waitUntil("the update is here", () => later.prices.includes(1));
  expect(watcher.seqs).toEqual([1, 2]);
});

test("updates of another database than the one that is asked are not told", async () => {
  await using world = await startWorld();
  const { upstream, proxy, front, watcher } = world;
  await saveTrade(upstream.url, "A", 1);
  await waitUntil("the update is here", () => watcher.prices.includes(1));
  await using other = await startServer();
  for (let price = 101; price <= 103; price++) await saveTrade(other.url, "A", price);
  proxy.treat("pass", other);
  await front.logged("is opened again: its updates are of another database than its commands");
  await saveTrade(other.url, "A", 104);
  await saveTrade(upstream.url, "A", 2);
  await waitUntil("the update is here", () => watcher.prices.includes(2));
  proxy.treat("pass");
  await saveTrade(upstream.url, "A", 3);
  await waitUntil("the update is here", () => watcher.prices.includes(3));
  expect([watcher.prices, watcher.seqs, watcher.closed]).toEqual([[1, 2, 3], [1, 2, 3], null]);
});
