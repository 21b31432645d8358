/** Feeds: their figures, what is told when one becomes mute, and what a restart does to them. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { AlpacaStream } from "../support/alpaca-stream.ts";
import { failingStart } from "../support/failing-start.ts";
import { NormalizedSubscriber } from "../support/normalized-subscriber.ts";
import { usePostgres } from "../support/postgres.ts";
import { get, type Json, saveTrade } from "../support/requests.ts";
import { runCli } from "../support/run-cli.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";
import { Subscriber } from "../support/subscriber.ts";
import { tempDir } from "../support/temp-dir.ts";
import { startTiers } from "../support/tiers.ts";

setDefaultTimeout(120_000);

const postgres = usePostgres();
const STALE_AFTER = ["--stale-after", "2"];
/** Reached by many connections, each worker is asked all but surely. */
const ASKED = 8;

/** One trade of now. */
async function trade(server: RunningServer, ticker: string): Promise<void> {
  expect((await saveTrade(server.url, ticker, 1, new Date().toISOString())).status).toBe(200);
}

/** Rows of many tickers, of now. */
async function trades(server: RunningServer, tickers: readonly string[], table = "trades"): Promise<void> {
  const timestamp = new Date().toISOString();
  const rows = tickers.map((ticker) => ({ ticker, timestamp, price: 1, size: 1, ask_price: 2, ask_size: 1 }));
  const answer = await fetch(`${server.url}/v1/${table}`, {
    method: "POST",
    headers: { "content-type": "application/json", connection: "close" },
    body: JSON.stringify(
      rows.map(({ ask_price, ask_size, ...row }) =>
        table === "quotes" ? { ...row, ask_price, ask_size } : row,
      ),
    ),
  });
  expect([answer.status, await answer.text()]).toEqual([200, expect.any(String)]);
}

async function feedsOf({ url }: RunningServer, query = ""): Promise<Json> {
  const { status, body } = await get(`${url}/v1/feeds${query}`);
  expect([status, body]).toEqual([200, expect.any(Object)]);
  return body;
}

async function feed(server: RunningServer, symbol: string, type = "trade"): Promise<Json> {
  return (await feedsOf(server, `?symbols=${symbol}&type=${type}`)).feeds[0];
}

/** All workers say so. */
async function untilAll(what: string, server: RunningServer, holds: (feeds: Json) => boolean): Promise<void> {
  await waitUntil(what, async () => {
    for (let i = 0; i < ASKED; i++) if (!holds(await feedsOf(server))) return false;
    return true;
  });
}

async function metric(server: RunningServer, sample: string): Promise<number | null> {
  const text = await (await fetch(`${server.url}/metrics`, { headers: { connection: "close" } })).text();
  const line = text.split("\n").find((each) => each.startsWith(`${sample} `));
  return line === undefined ? null : Number(line.split(" ").at(-1));
}

/** Sockets until each worker has some, all but surely. */
async function subscribers(server: RunningServer, symbol: string): Promise<Subscriber[]> {
  return Promise.all(Array.from({ length: ASKED }, () => Subscriber.open(server.wsUrl, symbol)));
}

const noticesOf = ({ frames }: Subscriber): string[] =>
  frames.filter(({ data }) => /^feed_/.test(data?.type)).map(({ data }) => `${data.type} ${data.data_type}`);

describe.each(["SQLite", "PostgreSQL"])("on %s, with two workers", (engine) => {
  const start = async (flags: string[]): Promise<RunningServer> =>
    startServer({
      workers: 2,
      flags,
      ...(engine === "SQLite" ? {} : { dbFile: await postgres.freshSchema() }),
    });

  test("a feed that goes mute is logged, counted and told once, and so is its next row", async () => {
    await using server = await start(STALE_AFTER);
    const sockets = await subscribers(server, "A");
    await trade(server, "A");
    await trades(server, ["A"], "quotes");
    await Promise.all(
      sockets.map((socket) => socket.until("both are stale", () => noticesOf(socket).length === 2)),
    );
    const late = await subscribers(server, "A");
    for (const socket of [...sockets, ...late]) {
      expect(noticesOf(socket).sort()).toEqual(["feed_stale quote", "feed_stale trade"]);
      const { data, epoch, seq } = socket.ofType("feed_stale")[0]!;
      expect(seq).toBeUndefined();
      expect(epoch).toBe(socket.heartbeats[0]!.epoch!);
      expect(data.age).toBeGreaterThan(2);
      expect(Date.parse(data.received)).toBeLessThan(Date.parse(data.timestamp));
    }
    await untilAll("each worker knows", server, ({ stale }) => stale === 2);
    expect(await feed(server, "A")).toMatchObject({ stale: true, stale_since: expect.any(String) });
    expect((await feedsOf(server, "?stale=true&type=quote")).feeds).toHaveLength(1);
    expect(await metric(server, 'stock_db_feeds_stale{type="trade"}')).toBe(1);
    await waitUntil(
      "it is counted",
      async () => (await metric(server, 'stock_db_feed_stale_total{type="trade"}')) === 1,
    );

    await trade(server, "A");
    await Promise.all(
      [...sockets, ...late].map((socket) =>
        socket.until("it is alive", () => noticesOf(socket).length === 3),
      ),
    );
    for (const socket of [...sockets, ...late]) {
      expect(socket.ofType("feed_alive").map(({ data }) => [data.data_type, data.reason])).toEqual([
        ["trade", "update"],
      ]);
      expect(socket.faults).toEqual([]);
      socket.leave();
    }
    const lines = (): string[] => server.log().match(/Feed A trade is (stale|alive)/g) ?? [];
    await waitUntil("both are logged", () => lines().length === 2);
    expect(lines()).toEqual(["Feed A trade is stale", "Feed A trade is alive"]);
  });

  test("what is known lives on when the hub and a worker are killed", async () => {
    await using server = await start(STALE_AFTER);
    await trade(server, "MUTE");
    await untilAll("it is stale", server, ({ stale }) => stale === 1);
    const watching = await subscribers(server, "MUTE");
    const others = await subscribers(server, "FED");
    const before = await feedsOf(server);
    let isFeeding = true;
    const feeding = (async () => {
      for (; isFeeding; await Bun.sleep(100))
        await saveTrade(server.url, "FED", 1, new Date().toISOString()).catch(() => null);
    })();
    await untilAll("both are known", server, ({ known }) => known === 2);
    const { hub, workers } = processesOf(server);
    process.kill(hub, "SIGKILL");
    await waitUntil("another hub serves", () => ![0, hub].includes(processesOf(server).hub));
    process.kill(workers[0]!, "SIGKILL");
    await waitUntil("another worker serves", () => {
      const now = processesOf(server).workers;
      return now.length === 2 && !now.includes(workers[0]!);
    });
    await untilAll(
      "all is known again",
      server,
      ({ known, stale, since }) => known === 2 && stale === 1 && since <= before.since,
    );
    await untilAll("figures go on", server, ({ feeds }) =>
      feeds.some((each: Json) => each.symbol === "FED" && each.age < 2),
    );
    const late = await Subscriber.open(server.wsUrl, "MUTE");
    expect(noticesOf(late)).toEqual(["feed_stale trade"]);
    // Longer than a feed may be silent.
    await Bun.sleep(4_000);
    for (const socket of others) expect(noticesOf(socket)).toEqual([]);
    for (const socket of watching) expect(noticesOf(socket)).toEqual(["feed_stale trade"]);
    expect(
      server
        .log()
        .split("\n")
        .filter((line) => line.includes("Feed MUTE trade is stale")),
    ).toHaveLength(1);
    isFeeding = false;
    await feeding;
    const open = others.filter(({ closed }) => closed === null);
    expect(open.length).toBeGreaterThan(0);
    await Promise.all(
      open.map((socket) => socket.until("it is stale too", () => noticesOf(socket).length === 1)),
    );
    await waitUntil(
      "two are counted",
      async () => (await metric(server, 'stock_db_feed_stale_total{type="trade"}')) === 2,
    );
    for (const socket of [...watching, ...others, late]) socket.leave();
  });
});

test("figures of feeds and writers are those of the whole server, whichever worker answers", async () => {
  await using server = await startServer({ workers: 2, flags: ["--feed-calendar", "B=XNYS:extended"] });
  for (let i = 0; i < 20; i++) await trade(server, "A");
  const bar = { datetime: "2024-01-02T15:00:00Z", open: 1, high: 1, low: 1, close: 1, volume: 1 };
  const bars = { ticker: "B", interval: "5min", index_col: "datetime", data: [bar] };
  expect((await server.command("save_stock_data", bars)).status).toBe(200);
  await untilAll("all is known", server, ({ feeds }) => feeds.length === 2 && feeds[0].rows === 20);
  const { feeds, writers, ...head } = await feedsOf(server);
  expect(head).toMatchObject({ stale_after: null, known: 2, stale: 0, left_out: 0, more: 0 });
  expect(feeds).toMatchObject([
    {
      symbol: "A",
      type: "trade",
      interval: null,
      rows: 20,
      saves: 20,
      calendar: null,
      session: null,
      in_session: true,
      stale: null,
    },
    {
      symbol: "B",
      type: "bar",
      interval: "5min",
      rows: 1,
      newest: "2024-01-02T15:00:00.000000Z",
      calendar: "XNYS",
      session: "extended",
    },
  ]);
  expect(feeds[0].rate).toBeGreaterThan(0);
  expect(feeds[0].age).toBeLessThan(60);
  expect(Date.parse(feeds[0].newest)).toBeGreaterThan(Date.now() - 60_000);
  expect(writers).toMatchObject([
    { key: "-", address: "127.0.0.1", rows: 21, saves: 21, symbol: "B", type: "bar" },
  ]);
  expect((await feedsOf(server, "?symbols=A*&limit=1")).feeds).toHaveLength(1);
  expect(await feedsOf(server, "?limit=1")).toMatchObject({ more: 1 });
  expect(await metric(server, 'stock_db_feed_age_seconds{type="bar",interval="5min"}')).toBeGreaterThan(0);
  expect(await metric(server, "stock_db_feeds")).toBe(2);
  expect((await get(`${server.url}/v1/feeds?stales=true`)).status).toBe(400);
});

test("a renamed ticker has no feed any more", async () => {
  await using server = await startServer();
  await trade(server, "OLD");
  await waitUntil("it is known", async () => (await feedsOf(server)).known === 1);
  expect((await server.command("rename_ticker", { ticker: "OLD", new_ticker: "NEW" })).status).toBe(200);
  await waitUntil("it is gone", async () => (await feedsOf(server)).known === 0);
});

test("normalized frames and streams of events tell of the types that are asked for", async () => {
  await using server = await startServer({ flags: STALE_AFTER });
  await trade(server, "A");
  await trades(server, ["A"], "quotes");
  const of = { url: server.url, symbols: ["A"] };
  await using socket = new NormalizedSubscriber({ ...of, query: { types: "quote" } });
  await using stream = new NormalizedSubscriber({ ...of, isStream: true, query: { types: "trade" } });
  await using bars = new NormalizedSubscriber({ ...of, query: { bars: "1Min" } });
  await using alpaca = await (async () => {
    const client = await AlpacaStream.subscribed(
      `${server.wsUrl}/v2/sip`,
      { trades: ["A"], quotes: ["A"] },
      { codec: "json" },
    );
    return Object.assign(client, { [Symbol.asyncDispose]: async () => client[Symbol.dispose]() });
  })();
  for (const [told, type] of [
    [socket, "quote"],
    [stream, "trade"],
  ] as const) {
    await told.until("stale", () => told.ofType("feed_stale").length > 0);
    expect(told.ofType("feed_stale")).toEqual([
      {
        ...{ type: "feed_stale", ticker: "A", timestamp: expect.any(String), data_type: type },
        ...{ received: expect.any(String), age: expect.any(Number), newest: expect.any(String) },
      } as Json,
    ]);
  }
  await trade(server, "A");
  await trades(server, ["A"], "quotes");
  for (const told of [socket, stream]) {
    await told.until("alive", () => told.ofType("feed_alive").length > 0);
    expect(told.faults).toEqual([]);
  }
  await alpaca.until(({ T }) => T === "q");
  expect(alpaca.messages.filter(({ T }) => !["success", "subscription", "t", "q"].includes(T))).toEqual([]);
  expect(bars.frames.filter(({ type }) => type.startsWith("feed_"))).toEqual([]);
});

test("types that are added later bring what is stale of them", async () => {
  await using server = await startServer({ flags: STALE_AFTER });
  await trade(server, "A");
  await trades(server, ["A"], "quotes");
  await waitUntil("both are stale", async () => (await feedsOf(server)).stale === 2);
  const frames: Json[] = [];
  const socket = new WebSocket(`${server.wsUrl}/ws?symbols=A&types=quote`);
  socket.onmessage = ({ data }) => void frames.push(JSON.parse(String(data)));
  const notices = (): string[] =>
    frames.filter(({ data }) => data?.type === "feed_stale").map(({ data }) => data.data_type);
  await waitUntil("the first", () => notices().length === 1);
  socket.send(JSON.stringify({ action: "subscribe", symbols: ["A"], types: ["trade"] }));
  await waitUntil("the second", () => notices().length === 2);
  expect(notices()).toEqual(["quote", "trade"]);
  socket.close();
});

test("subscribers to all tickers are told of a bounded number at once", async () => {
  await using server = await startServer({ flags: STALE_AFTER });
  const tickers = Array.from({ length: 1_200 }, (_, i) => `T${i}`);
  const all = Subscriber.ask(server.wsUrl, { symbols: "*" });
  await all.until("it is subscribed", () => all.heartbeats.length > 0);
  await trades(server, tickers);
  const told = await all.until("some are left out", () => all.ofType("feeds_left_out")[0]);
  expect([told.symbol, told.data.stale + all.ofType("feed_stale").length]).toEqual(["*", 1_200]);
  const late = Subscriber.ask(server.wsUrl, { symbols: "*" });
  const left = await late.until("some are left out", () => late.ofType("feeds_left_out")[0]);
  expect([left.data, late.ofType("feed_stale").length]).toEqual([
    { type: "feeds_left_out", stale: 200, alive: 0 },
    1_000,
  ]);
  const named = await Subscriber.open(server.wsUrl, "T1199");
  expect(noticesOf(named)).toEqual(["feed_stale trade"]);
  expect(server.log()).toContain("more feeds are stale");
  for (const socket of [all, late, named]) socket.leave();
});

test("outside of its session a feed isn't stale", async () => {
  const hour = (new Date().getUTCHours() + 3) % 24;
  const closed = `${String(hour).padStart(2, "0")}:00-${String(hour).padStart(2, "0")}:30`;
  await using server = await startServer({
    flags: [...STALE_AFTER, "--feed-calendar", `CLOSED*=24/7:${closed},*=24/7`],
  });
  await trades(server, ["CLOSED", "OPEN"]);
  await waitUntil("the open one is stale", async () => (await feedsOf(server)).stale === 1);
  await Bun.sleep(2_000);
  const { feeds } = await feedsOf(server);
  expect(feeds).toMatchObject([
    { symbol: "CLOSED", calendar: "24/7", session: closed, in_session: false, stale: false },
    { symbol: "OPEN", calendar: "24/7", session: "regular", in_session: true, stale: true },
  ]);
});

test("a calendar that isn't known is refused at the start", async () => {
  const { output } = await failingStart(["--feed-calendar", "NOWHERE"]);
  expect(output).toContain('--feed-calendar NOWHERE: calendar: got "NOWHERE", expected one of XNYS');
});

test("without --stale-after nobody is told, and no type of ticks may be called as such a frame", async () => {
  await using server = await startServer();
  const socket = await Subscriber.open(server.wsUrl, "A");
  await trade(server, "A");
  await Bun.sleep(3_000);
  expect(noticesOf(socket)).toEqual([]);
  expect(await feed(server, "A")).toMatchObject({ stale: null });
  const data = [{ timestamp: new Date().toISOString(), price: 1, size: 1 }];
  for (const data_type of ["feed_stale", "feed_alive", "feeds_left_out"]) {
    const params = { ticker: "A", data_type, index_col: "timestamp", data };
    expect((await server.command("save_realtime_data", params)).status).toBe(400);
  }
  socket.leave();
});

test("a feed that another server of the database takes over isn't stale before it is mute there", async () => {
  const dbFile = await postgres.freshSchema();
  await using first = await startServer({ dbFile, flags: STALE_AFTER });
  await using second = await startServer({ dbFile, flags: STALE_AFTER });
  const socket = await Subscriber.open(first.wsUrl, "A");
  await trade(first, "A");
  await waitUntil("it is known", async () => (await feedsOf(first)).known === 1);
  for (let i = 0; i < 15; i++) {
    await trade(second, "A");
    await Bun.sleep(400);
  }
  expect(noticesOf(socket)).toEqual([]);
  expect((await feed(first, "A")).age).toBeLessThan(6);
  await socket.until("it is stale", () => noticesOf(socket).length === 1);
  await trade(second, "A");
  await socket.until("it is alive", () => noticesOf(socket).length === 2);
  socket.leave();
});

test("servers on a bus tell each other of their feeds", async () => {
  const dbFile = await postgres.freshSchema();
  const flags = [...STALE_AFTER, "--bus", "postgres"];
  await using first = await startServer({ dbFile, flags });
  await using second = await startServer({ dbFile, flags, workers: 2 });
  const sockets = await subscribers(second, "A");
  await waitUntil("the other server hears of it", async () => {
    await trade(first, "A");
    return (await feedsOf(second)).known === 1;
  });
  expect((await feedsOf(second)).writers).toEqual([]);
  await Promise.all(sockets.map((socket) => socket.until("stale", () => noticesOf(socket).length === 1)));
  const before = (await feed(second, "A")).rows;
  await trade(first, "A");
  await Promise.all(sockets.map((socket) => socket.until("alive", () => noticesOf(socket).length === 2)));
  await untilAll("rows are counted once", second, ({ feeds }) => feeds[0].rows === before + 1);
  for (const socket of sockets) socket.leave();
});

test("a key of some tickers is told of their feeds alone", async () => {
  using folder = tempDir();
  const path = join(folder.path, "some.keys");
  const addKey = async (name: string, ...more: string[]): Promise<Record<string, string>> => {
    const { stdout } = await runCli(["keys", "add", name, "--keys", path, "--json", ...more]);
    return { authorization: `Bearer ${JSON.parse(stdout).key}` };
  };
  const desk = await addKey("desk", "--may", "read,write,metrics");
  const some = await addKey("some", "--may", "read,stream,metrics", "--tickers", "A*");
  await using server = await startServer({ flags: [...STALE_AFTER, "--keys", path] });
  const timestamp = new Date().toISOString();
  const saved = await fetch(`${server.url}/v1/trades`, {
    method: "POST",
    headers: { "content-type": "application/json", ...desk },
    body: JSON.stringify(["A1", "B1"].map((ticker) => ({ ticker, timestamp, price: 1, size: 1 }))),
  });
  expect([saved.status, await saved.text()]).toEqual([200, expect.any(String)]);
  const asked = async (query: string, key: Record<string, string>): Promise<Json> =>
    get(`${server.url}${query}`, key);
  await waitUntil("both are stale", async () => (await asked("/v1/feeds", desk)).body.stale === 2);
  expect((await asked("/v1/feeds", desk)).body.writers).toMatchObject([{ key: "desk", rows: 2 }]);
  const { body } = await asked("/v1/feeds", some);
  expect(body).toMatchObject({ known: 1, stale: 1, feeds: [{ symbol: "A1", stale: true }] });
  expect(body.writers).toBeUndefined();
  for (const path of ["/v1/feeds?symbols=A1,B1", "/v1/stream?symbols=B1"])
    expect([path, (await asked(path, some)).status]).toEqual([path, 403]);

  const abort = new AbortController();
  const stream = await fetch(`${server.url}/v1/stream?symbols=A1`, { headers: some, signal: abort.signal });
  let told = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream.body!) {
    told += decoder.decode(chunk);
    if (told.includes("feed_stale")) break;
  }
  abort.abort();
  expect(told).toContain('"type":"feed_stale","ticker":"A1"');
  expect(told).not.toContain("B1");
});

test("a server in front looks at its upstream before a feed of it is stale", async () => {
  await using tiers = await startTiers({ workers: 1, frontFlags: STALE_AFTER });
  const { upstream, front } = tiers;
  const socket = await Subscriber.open(front.wsUrl, "A");
  await trade(front, "A");
  await waitUntil("it is known", async () => (await feedsOf(front)).known === 1);
  for (let i = 0; i < 15; i++) {
    await trade(upstream, "A");
    await Bun.sleep(400);
  }
  expect(noticesOf(socket)).toEqual([]);
  await socket.until("it is stale", () => noticesOf(socket).length === 1);
  socket.leave();
});

test("a server in front keeps its own figures, and isn't disturbed by what its upstream tells", async () => {
  await using tiers = await startTiers({ workers: 1, flags: STALE_AFTER });
  const { upstream, front } = tiers;
  const atFront = await Subscriber.open(front.wsUrl, "A");
  const atUpstream = await Subscriber.open(upstream.wsUrl, "A");
  await trade(front, "A");
  await atUpstream.until("it is stale", () => noticesOf(atUpstream).length === 1);
  await trade(front, "A");
  await atFront.until("updates go on", () => atFront.updates.length === 2);
  await atUpstream.until("it is alive", () => noticesOf(atUpstream).length === 2);
  expect(noticesOf(atFront)).toEqual([]);
  expect((await feed(upstream, "A")).rows).toBe(2);
  await waitUntil("the front has its figures", async () => (await feedsOf(front)).feeds[0]?.rows === 2);
  expect(front.log()).not.toContain("is opened again");
  atFront.leave();
  atUpstream.leave();
});
