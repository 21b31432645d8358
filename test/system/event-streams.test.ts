/** Server-sent events: what a client misses while it is away comes by `Last-Event-ID`. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import { NormalizedSubscriber } from "../support/normalized-subscriber.ts";
import { command, get, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { processesOf, untilReady } from "../support/server-processes.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(240_000);

const CHROMIUM = ["chromium", "chromium-browser", "google-chrome"]
  .map((name) => Bun.which(name))
  .find(Boolean);

function open(server: RunningServer, symbols: string[], query: Record<string, string> = {}) {
  return new NormalizedSubscriber({ url: server.url, symbols, query, isStream: true });
}

test("a stream begins with snapshots, goes on with updates and heartbeats, and has only the types asked for", async () => {
  await using server = await startServer({ workers: 2, flags: ["--heartbeat-interval", "0.2"] });
  await saveTrade(server.url, "A", 1);
  await using all = open(server, ["A", "B"]);
  await using quotes = open(server, ["A"], { types: "quote", snapshot: "false" });
  for (const each of [all, quotes]) await each.until("it is subscribed", () => each.positions.has("A"));
  expect(all.frames.slice(0, 2)).toMatchObject([{ type: "snapshot" }, { type: "snapshot" }]);
  for (let price = 2; price <= 20; price++) await saveTrade(server.url, "A", price);
  await all.until("all came", () => all.updates.length === 19);
  expect(all.updates.map(({ position }) => position)).toEqual(Array.from({ length: 19 }, (_, i) => i + 2));
  await quotes.until("the heartbeat tells the position", () => quotes.positions.get("A") === 20);
  expect(quotes.updates).toEqual([]);
  expect(all.faults).toEqual([]);
  expect(all.retryMs).toBeGreaterThanOrEqual(1_000);
});

test("whoever is cut off, or whose worker or hub is killed, misses nothing and is told nothing twice", async () => {
  await using server = await startServer({ workers: 2 });
  const symbols = ["A", "B", "C d,é".replace(",", ".")];
  await using one = open(server, symbols);
  await using two = open(server, symbols);
  for (const each of [one, two]) await each.until("it is subscribed", () => each.positions.size === 3);
  let isOver = false;
  let price = 0;
  const saving = (async () => {
    while (!isOver) {
      price++;
      await Promise.all(symbols.map((symbol) => saveTrade(server.url, symbol, price).catch(() => null)));
    }
  })();
  for (const what of ["cut", "worker", "cut", "hub", "worker"] as const) {
    const goal = one.updates.length + 30;
    await waitUntil("updates come", () => one.updates.length >= goal && two.updates.length >= goal - 30);
    if (what === "cut") one.cut();
    else {
      const { workers, hub } = processesOf(server);
      process.kill(what === "hub" ? hub : workers[0]!, "SIGKILL");
      await untilReady(server);
    }
  }
  isOver = true;
  await saving;
  const { body } = await command(server.url, "get_positions", { tickers: symbols });
  for (const each of [one, two]) {
    for (const symbol of symbols) {
      const last = (body.positions ?? body.data)[symbol];
      await each.until("the last update", () => each.positions.get(symbol) === last);
    }
    expect(each.faults.filter((fault) => !fault.includes("came after"))).toEqual([]);
  }
  // A kill may cut a write in two, and what was whole of it comes again: never is anything missed.
  for (const each of [one, two])
    for (const symbol of symbols) {
      const told = each.updates.filter(({ ticker }) => ticker === symbol).map(({ position }) => position);
      const first = told[0]!;
      expect([...new Set(told)].sort((a, b) => a - b)).toEqual(
        Array.from({ length: each.positions.get(symbol)! - first + 1 }, (_, i) => first + i),
      );
    }
  expect(one.connections).toBeGreaterThanOrEqual(3);
});

test("a stopping worker ends its streams, and they go on at another one", async () => {
  await using server = await startServer({ workers: 2 });
  await using streams = new AsyncDisposableStack();
  const all = Array.from({ length: 6 }, () => streams.use(open(server, ["A"])));
  for (const each of all) await each.until("it is subscribed", () => each.positions.has("A"));
  process.kill(server.pid, "SIGHUP");
  for (let price = 1; price <= 100; price++) await saveTrade(server.url, "A", price);
  await waitUntil("each was sent to another worker", () => all.every(({ connections }) => connections > 1));
  for (const each of all) {
    await each.until("all came", () => each.positions.get("A") === 100);
    expect(each.updates.map(({ position }) => position)).toEqual(
      Array.from({ length: 100 }, (_, i) => i + 1),
    );
    expect(each.faults).toEqual([]);
  }
});

test("who begins to read slowly gets each update once, and in order", async () => {
  await using server = await startServer();
  const socket = connect(server.port, "127.0.0.1");
  let text = "";
  socket.on("data", (bytes) => {
    text += bytes.toString("latin1");
  });
  socket.write("GET /v1/stream?symbols=S&types=trade&slow=gap HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await waitUntil("it is subscribed", () => text.includes("heartbeat"));
  socket.pause();
  const note = "x".repeat(500);
  const SAVES = 90;
  for (let n = 1; n <= SAVES; n++) {
    const data = Array.from({ length: 200 }, (_, i) => ({
      ...{
        timestamp: new Date(1.7e12 + n * 1_000 + i).toISOString(),
        price: 1 + i,
        size: 1,
        id: `${n}-${i}`,
        note,
      },
    }));
    const asked = { ticker: "S", data_type: "trade", index_col: "timestamp", data };
    expect(await command(server.url, "save_realtime_data", asked)).toMatchObject({ status: 200 });
  }
  socket.resume();
  await waitUntil("all is told", () => text.includes(`"positions":{"S":${SAVES}}`), 15_000);
  const positions = [...text.matchAll(/data: \{"type":"trade","ticker":"S","position":(\d+)/g)].map(
    ([, position]) => Number(position),
  );
  expect(positions.length).toBeGreaterThan(10);
  expect(positions).toEqual([...new Set(positions)].sort((a, b) => a - b));
  socket.destroy();
});

test("an id of other tickers or of nothing is told as such, with the snapshot", async () => {
  await using server = await startServer();
  await saveTrade(server.url, "A", 1);
  await using right = open(server, ["A"]);
  await right.until("it has an id", () => right.lastEventId !== "" && right.positions.has("A"));
  await using same = open(server, ["A"], { last_event_id: right.lastEventId });
  await same.until("it goes on", () => same.ofType("recovery").length === 1);
  expect(same.ofType("recovery")[0]).toMatchObject({ recovered: true, position: 1 });
  for (const id of ["17", `${right.lastEventId}.1`, "1.e.x.1", "1..."]) {
    await using wrong = open(server, ["A"], { last_event_id: id });
    const refused = await wrong.until("it begins anew", () => wrong.ofType("recovery")[0]);
    expect(refused).toMatchObject({
      recovered: false,
      code: "epoch_changed",
      snapshot: { trade: { price: 1 } },
    });
  }
  await using other = open(server, ["A", "B"], { last_event_id: right.lastEventId });
  await other.until("both begin anew", () => other.ofType("recovery").length === 2);
});

test("what will never work is 400; what may work later is a stream that ends, with the time to wait", async () => {
  await using server = await startServer({ flags: ["--ws-connections-per-address", "2"] });
  const ask = async (query: string) => {
    const answer = await fetch(`${server.url}/v1/stream?${query}`, { headers: { connection: "close" } });
    return { status: answer.status, type: answer.headers.get("content-type"), text: await answer.text() };
  };
  for (const [query, error] of [
    ["", "symbols: got none, expected tickers separated by commas"],
    ["symbols=*", 'symbols: got \\"*\\"'],
    ["symbols=A&types=", "types: "],
    ["symbols=A&barz=1Min", '\\"barz\\" is no parameter of /v1/stream, did you mean bars?'],
    ["symbols=A&frames=sent", 'frames: got \\"sent\\", expected normalized'],
    [
      `symbols=${Array.from({ length: 251 }, (_, i) => i).join(",")}`,
      "symbols: got 251, expected at most 250",
    ],
  ] as const) {
    const { status, text } = await ask(query);
    expect({ query, status, has: text.includes(error) }).toEqual({ query, status: 400, has: true });
  }
  await using first = open(server, ["A"]);
  await using second = open(server, ["A"]);
  for (const each of [first, second]) await each.until("it is subscribed", () => each.positions.has("A"));
  const busy = await ask("symbols=A");
  expect(busy).toMatchObject({ status: 200, type: "text/event-stream; charset=utf-8" });
  expect(busy.text).toMatch(
    /^retry: 5000\n\ndata: \{"type":"error","code":"unavailable","error":".*2 WebSockets already.*\n\n$/,
  );
  // A client that is gone makes room.
  await first[Symbol.asyncDispose]();
  await waitUntil("there is room again", async () => {
    await using third = open(server, ["A"]);
    await Bun.sleep(200);
    return third.positions.has("A");
  });
});

test("a client that takes nothing is cut off, delays nobody, and comes back where it was", async () => {
  await using server = await startServer({ flags: ["--ws-queue-kb", "256"] });
  await using reader = open(server, ["BIG"]);
  await reader.until("it is subscribed", () => reader.positions.has("BIG"));
  const deaf = connect({ port: server.port, host: "127.0.0.1" });
  try {
    deaf.on("error", () => undefined);
    deaf.write("GET /v1/stream?symbols=BIG HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const { promise, resolve } = Promise.withResolvers<void>();
    deaf.once("data", () => {
      deaf.pause();
      resolve();
    });
    await promise;
    const padding = "x".repeat(1_000);
    let saves = 0;
    await waitUntil("the server gives it up", async () => {
      const data = Array.from({ length: 200 }, (_, i) => ({
        timestamp: "2024-01-02T10:00:00Z",
        price: saves,
        size: i,
        padding,
      }));
      const params = { ticker: "BIG", data_type: "trade", index_col: "timestamp", data };
      expect((await command(server.url, "save_realtime_data", params)).status).toBe(200);
      saves++;
      return (await get(`${server.url}/stats/performance`)).body.worker.subscribersCutOff === 1;
    });
    await reader.until("the other has all", () => reader.updates.length === saves);
    expect(reader.faults).toEqual([]);
    expect(reader.connections).toBe(1);
  } finally {
    deaf.destroy();
  }
});

test.skipIf(CHROMIUM === undefined)(
  "EventSource in Chromium goes on where it was, over a worker's death",
  async () => {
    await using server = await startServer({ workers: 2 });
    using profile = tempDir();
    const seen = Promise.withResolvers<number[]>();
    const page = `<script>
    const seen = [];
    new EventSource("/v1/stream?symbols=A").onmessage = ({ data }) => {
      const { type, position } = JSON.parse(data);
      if (type === "trade") seen.push(position);
      if (position === 40 && type === "trade") fetch("/seen", { method: "POST", body: JSON.stringify(seen) });
    };
  </script>`;
    // The page and the stream have one origin here.
    await using site = Bun.serve({
      port: 0,
      idleTimeout: 0,
      async fetch(request) {
        const { pathname, search } = new URL(request.url);
        if (pathname === "/") return new Response(page, { headers: { "content-type": "text/html" } });
        if (pathname === "/seen") {
          seen.resolve((await request.json()) as number[]);
          return new Response();
        }
        const id = request.headers.get("last-event-id");
        const headers: Record<string, string> = {
          connection: "close",
          ...(id === null ? {} : { "last-event-id": id }),
        };
        return fetch(`${server.url}${pathname}${search}`, { headers, signal: request.signal });
      },
    });
    const flags = ["--headless", "--no-sandbox", "--disable-gpu", `--user-data-dir=${profile.path}`];
    const browser = Bun.spawn([CHROMIUM!, ...flags, site.url.href], { stdout: "ignore", stderr: "ignore" });
    try {
      await waitUntil("it watches", async () => (await saveTrade(server.url, "A", 1)) && subscribers(server));
      for (let price = 2; price <= 40; price++) {
        await saveTrade(server.url, "A", price);
        if (price === 20) for (const worker of processesOf(server).workers) process.kill(worker, "SIGKILL");
        if (price === 20) await untilReady(server);
      }
      const positions = await seen.promise;
      expect(new Set(positions).size).toBe(40 - positions[0]! + 1);
    } finally {
      browser.kill("SIGKILL");
      await browser.exited;
    }
  },
);
if (CHROMIUM === undefined) console.warn("No Chromium in PATH: EventSource of a browser is not tested");

async function subscribers(server: RunningServer): Promise<boolean> {
  for (let i = 0; i < 20; i++)
    if ((await get(`${server.url}/stats/performance`)).body.worker.subscribers > 0) return true;
  return false;
}
