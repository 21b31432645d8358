/**
 * Upstreams that are not simply another server of this version: a circle, an older one, one behind
 * a proxy.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { failingStart } from "../support/failing-start.ts";
import { freePort } from "../support/free-port.ts";
import { command, get, saveTrade } from "../support/requests.ts";
import { startServer, waitUntil } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";
import { tempDir } from "../support/temp-dir.ts";
import { updatesProxy } from "../support/updates-proxy.ts";

setDefaultTimeout(180_000);

test("a server that is its own upstream, or one of a circle, says so and asks nobody", async () => {
  using dir = tempDir();
  const own = await freePort();
  const { code, output } = await failingStart(
    ["--db-file", `localhost:${own}`, "--port", String(own)],
    dir.path,
  );
  expect(code).toBe(1);
  expect(output).toContain("is this server itself");

  const [a, b, c] = [await freePort(), await freePort(), await freePort()];
  const start = (port: number, upstream: number) =>
    startServer({
      dbFile: `127.0.0.1:${upstream}`,
      workers: 2,
      flags: ["--port", String(port)],
      withoutDatabase: true,
    });
  await using first = await start(a!, b!);
  await using second = await start(b!, c!);
  await using third = await start(c!, a!);
  for (const server of [first, second, third]) {
    await waitUntil("it knows", async () => (await get(`${server.url}/health`)).status === 508);
    const answer = await command(server.url, "get_latest_price", { ticker: "A" });
    expect([answer.status, answer.body.error]).toEqual([
      508,
      "this server is its own upstream: --db-file leads in a circle",
    ]);
    expect((await saveTrade(server.url, "A", 1)).status).toBe(508);
    await using subscriber = Subscriber.connect(server.wsUrl, "A");
    await waitUntil("the subscriber is refused", () => subscriber.closed !== null);
    expect(subscriber.closed?.code).toBe(1013);
  }
});

test("an older upstream serves what it can, and its updates are refused with the reason", async () => {
  const timestamp = new Date().toISOString();
  using older = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request, self) {
      if (request.headers.has("upgrade")) {
        self.upgrade(request);
        return undefined;
      }
      if (request.url.endsWith("/health"))
        return Response.json({ status: "healthy", database: { db_type: "Unknown" } });
      const { command: name } = (await request.json()) as { command: string };
      if (name === "get_latest_prices") return Response.json({ prices: { A: 5 } });
      return Response.json({ error: `Unknown command: ${name}` }, { status: 400 });
    },
    websocket: {
      open: (socket) =>
        void socket.send(`{"symbol":"A","data":{"type":"heartbeat","timestamp":"${timestamp}"}}`),
      message() {},
    },
  });
  await using front = await startServer({ dbFile: `127.0.0.1:${older.port}` });
  expect((await command(front.url, "get_latest_price", { ticker: "A" })).body.latest_price).toBe(5);
  const { status, body } = await command(front.url, "get_updates", { ticker: "A", since: 0 });
  expect([status, body.error]).toEqual([
    503,
    "the upstream is an older server, it has no command get_positions: upgrade it first",
  ]);
  for (const [name, params] of [
    ["delete_ticks", { ticker: "A", data_type: "trade", all: true }],
    ["delete_bars", { ticker: "A", interval: "daily", all: true }],
    ["rename_ticker", { ticker: "A", new_ticker: "B" }],
  ] as const) {
    const refused = await command(front.url, name, params);
    expect([refused.status, refused.body.error]).toEqual([
      503,
      `the upstream is an older server, it has no command ${name}: upgrade it first`,
    ]);
  }
  await using subscriber = Subscriber.connect(front.wsUrl, "A");
  await waitUntil("the subscriber is refused", () => subscriber.closed !== null);
  expect(subscriber.closed?.code).toBe(1013);
  await front.logged("the upstream is an older server, it doesn't number updates: upgrade it first");
});

test("an upstream behind a proxy: path, credentials, and neither of them in the log", async () => {
  await using upstream = await startServer();
  using proxy = updatesProxy(upstream, { path: "/stocks", user: "desk:s3cret" });
  await using front = await startServer({ dbFile: `http://desk:s3cret@127.0.0.1:${proxy.port}/stocks/` });
  await using subscriber = await Subscriber.open(front.wsUrl, "AAPL");
  await saveTrade(front.url, "AAPL", 7);
  await waitUntil("the update is here", () => subscriber.prices.includes(7));
  expect((await command(front.url, "get_latest_price", { ticker: "AAPL" })).body.latest_price).toBe(7);
  expect((await get(`${front.url}/health`)).body.database.db_file).toBe(
    `http://desk:***@127.0.0.1:${proxy.port}/stocks/`,
  );
  expect(proxy.refused).toBe(0);
  await front.stop();
  expect(front.log()).not.toContain("s3cret");

  await using stranger = await startServer({
    dbFile: `http://127.0.0.1:${proxy.port}/stocks`,
    withoutDatabase: true,
  });
  const answer = await command(stranger.url, "get_latest_price", { ticker: "AAPL" });
  expect([answer.status, answer.body.details]).toEqual([503, "the upstream answered 401 Unauthorized"]);
});
