/**
 * An upstream that dies, hangs, or comes back as another: what clients of the server in front of it
 * see.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { freePort } from "../support/free-port.ts";
import { command, get, runSql, saveTrade } from "../support/requests.ts";
import { upTo } from "../support/saves.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";
import { proxyTo } from "../support/tcp-proxy.ts";
import { tempDir } from "../support/temp-dir.ts";
import { startTiers } from "../support/tiers.ts";

setDefaultTimeout(180_000);

test("an upstream that is killed under load: subscribers miss nothing, see nothing twice, and all goes on by itself", async () => {
  using dir = tempDir();
  const dbFile = join(dir.path, "up.db");
  const port = await freePort();
  const startUpstream = () => startServer({ dbFile, workers: 2, flags: ["--port", String(port)] });
  let upstream = await startUpstream();
  await using front = await startServer({ dbFile: `http://127.0.0.1:${port}`, workers: 2 });
  await using watcher = await Subscriber.open(front.wsUrl, "KILL");
  await using watcherOfAll = Subscriber.ask(front.wsUrl, { symbols: "*" });
  await waitUntil("all tickers are subscribed to", () => watcherOfAll.heartbeats.length > 0);

  const clients = new InsistentClients(front.url, "KILL");
  try {
    for (const round of [1, 2, 3]) {
      const before = clients.answered.size;
      await waitUntil(`saves are answered in round ${round}`, () => clients.answered.size > before + 50);
      await upstream.stop("SIGKILL");
      upstream = await startUpstream();
      const after = clients.answered.size;
      await waitUntil("saves are answered again", () => clients.answered.size > after + 20);
    }
    await clients.stop();

    expect([...clients.statuses].filter((status) => status !== 200 && status !== 503)).toEqual([]);
    const storedPrices = await storedOnce(upstream, "KILL");
    expect([...clients.answered].filter((price) => !storedPrices.has(price))).toEqual([]);

    // What was saved while the upstream's sockets were gone came from its log.
    await saveTrade(front.url, "KILL", 1_000_000);
    for (const subscriber of [watcher, watcherOfAll]) {
      await waitUntil("the last update is here", () => subscriber.prices.includes(1_000_000));
      expect(subscriber.closed).toBeNull();
      expect(subscriber.seqs).toEqual(upTo(subscriber.updates.length));
      expect(new Set(subscriber.prices)).toEqual(new Set([...storedPrices, 1_000_000]));
      expect(subscriber.prices.length).toBe(storedPrices.size + 1);
    }
    await using later = Subscriber.ask(front.wsUrl, { symbol: "KILL", since: "10" });
    await waitUntil("it caught up", () => later.prices.includes(1_000_000));
    expect(later.seqs).toEqual(watcher.seqs.slice(10));
    expect(later.prices).toEqual(watcher.prices.slice(10));
  } finally {
    await clients.stop().finally(() => upstream[Symbol.asyncDispose]());
  }
});

/** Six that save trades, each again until it is answered with 200, and one that reads. */
class InsistentClients {
  /** Prices of the saves that were answered with 200. */
  readonly answered = new Set<number>();
  readonly statuses = new Set<number>();
  readonly #running: Promise<void>[];
  #next = 1;
  #stopping = false;

  constructor(url: string, ticker: string) {
    this.#running = [...Array.from({ length: 6 }, () => this.#save(url, ticker)), this.#read(url, ticker)];
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running);
  }

  async #save(url: string, ticker: string): Promise<void> {
    while (!this.#stopping) {
      const price = this.#next++;
      for (;;) {
        const { status, headers } = await saveTrade(url, ticker, price);
        this.statuses.add(status);
        if (status === 503) expect(headers.get("retry-after")).toBe("1");
        if (status === 200) this.answered.add(price);
        if (status === 200 || this.#stopping) break;
      }
    }
  }

  async #read(url: string, ticker: string): Promise<void> {
    while (!this.#stopping) this.statuses.add((await command(url, "get_latest_price", { ticker })).status);
  }
}

/** @returns the prices of a ticker, none of which is stored twice. */
async function storedOnce(server: RunningServer, ticker: string): Promise<Set<number>> {
  const { body } = await runSql(
    server.url,
    `SELECT price, count(*) AS times FROM realtime_data WHERE ticker = '${ticker}' GROUP BY price`,
  );
  const rows = body.data as { price: number; times: number }[];
  expect(rows.filter(({ times }) => times > 1)).toEqual([]);
  return new Set(rows.map(({ price }) => price));
}

test("an upstream that is away: 503 within a bound, and the front says so until it is there", async () => {
  const port = await freePort();
  await using front = await startServer({ dbFile: `127.0.0.1:${port}`, withoutDatabase: true });
  for (const path of ["/health", "/ready"]) {
    const { status, headers, body } = await get(front.url + path);
    expect([status, headers.get("retry-after")]).toEqual([503, "1"]);
    expect(body.message).toContain("connection refused");
  }
  expect((await get(`${front.url}/stats/pool`)).body).toMatchObject({
    available_connections: 0,
    connected: false,
  });
  const started = performance.now();
  const answers = await Promise.all([
    saveTrade(front.url, "AWAY", 1),
    command(front.url, "get_latest_price", { ticker: "AWAY" }),
    runSql(front.url, "DELETE FROM daily_prices"),
  ]);
  for (const { status, headers, body } of answers) {
    expect([status, headers.get("retry-after")]).toEqual([503, "1"]);
    expect(body.error).toEndWith("the upstream doesn't answer; nothing was sent");
  }
  expect(performance.now() - started).toBeLessThan(30_000);

  const waiting = Subscriber.connect(front.wsUrl, "AWAY");
  await using upstream = await startServer({ flags: ["--port", String(port)] });
  await waitUntil("the front is ready", async () => (await get(`${front.url}/ready`)).status === 200);
  expect((await saveTrade(upstream.url, "AWAY", 1)).status).toBe(200);
  expect((await command(front.url, "get_latest_price", { ticker: "AWAY" })).body.latest_price).toBe(1);
  // It was in time, or was told to try again; never left without an answer.
  await waitUntil("the subscriber knows", () => waiting.heartbeats.length > 0 || waiting.closed !== null);
  await waiting[Symbol.asyncDispose]();
});

test("an upstream that hangs without closing anything is noticed, and its subscribers go on", async () => {
  await using tiers = await startTiers({ workers: 1 });
  const { upstream, front } = tiers;
  await using watcher = await Subscriber.open(front.wsUrl, "HANG");
  process.kill(upstream.pid, "SIGSTOP");
  try {
    await waitUntil("/ready says so", async () => (await get(`${front.url}/ready`)).status === 503);
    const started = performance.now();
    const { status } = await command(front.url, "get_latest_price", { ticker: "HANG" });
    expect(status).toBe(503);
    expect(performance.now() - started).toBeLessThan(30_000);
    await front.logged("has been silent for 10 s");
  } finally {
    process.kill(upstream.pid, "SIGCONT");
  }
  await saveTrade(upstream.url, "HANG", 3);
  await waitUntil("updates come again", () => watcher.prices.includes(3));
  expect([watcher.seqs, watcher.closed]).toEqual([[1], null]);
});

test("an upstream with another database: whoever watches is told to connect again", async () => {
  using dir = tempDir();
  const port = await freePort();
  const start = (name: string) =>
    startServer({ dbFile: join(dir.path, name), flags: ["--port", String(port)] });
  let upstream = await start("first.db");
  try {
    await using front = await startServer({ dbFile: `127.0.0.1:${port}` });
    await using watcher = await Subscriber.open(front.wsUrl, "A");
    await saveTrade(front.url, "A", 1);
    await waitUntil("the update is here", () => watcher.updates.length === 1);
    await upstream.stop("SIGKILL");
    upstream = await start("second.db");
    await waitUntil("the subscriber is told", () => watcher.closed !== null);
    expect(watcher.closed?.code).toBe(1012);
    await using again = await Subscriber.open(front.wsUrl, "A");
    expect(again.heartbeats[0]!.seq).toBe(0);
    expect(again.heartbeats[0]!.epoch).not.toBe(watcher.heartbeats[0]!.epoch!);
  } finally {
    await upstream[Symbol.asyncDispose]();
  }
});

test("a save whose answer was lost is one update, however often it is sent", async () => {
  await using upstream = await startServer();
  using way = proxyTo(upstream.port);
  await using middle = await startServer({ dbFile: `127.0.0.1:${way.port}`, workers: 2 });
  await using front = await startServer({ dbFile: `127.0.0.1:${middle.port}` });
  await using watcher = await Subscriber.open(upstream.wsUrl, "LOST");
  for (const [close, when] of [
    [1, "after"],
    [2, "before"],
    [3, "after"],
  ] as const) {
    way.cutAt("save_stock_data", when);
    const save = { ticker: "LOST", index_col: "date", data: [{ date: "2024-01-02", close }] };
    expect((await command(front.url, "save_stock_data", save)).status).toBe(200);
    expect(way.cuts).toBe(close);
  }
  await waitUntil("the last is here", () => watcher.updates.at(-1)?.data[0].close === 3);
  expect(watcher.updates.map(({ data, seq }) => [data[0].close, seq])).toEqual([
    [1, 1],
    [2, 2],
    [3, 3],
  ]);
});
