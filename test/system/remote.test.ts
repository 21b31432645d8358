/** A server in front of another: its clients see no difference, also when that one goes away and comes back. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { failingStart } from "../support/failing-start.ts";
import { freePort } from "../support/free-port.ts";
import { command, fillTicks, get, runSql, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { peakMemoryMb } from "../support/server-processes.ts";
import { Subscriber } from "../support/subscriber.ts";
import { proxyTo as cutProxyTo } from "../support/tcp-proxy.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

async function startTiers(options: { workers?: number; flags?: string[]; frontFlags?: string[] } = {}) {
  const { workers = 2, flags = [], frontFlags = [] } = options;
  const stack = new AsyncDisposableStack();
  const upstream = stack.use(await startServer({ workers, flags }));
  const front = stack.use(
    await startServer({ workers, flags: frontFlags, dbFile: `127.0.0.1:${upstream.port}` }),
  );
  return { upstream, front, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Status and body as they came, to the byte. */
async function post(url: string, body: unknown): Promise<{ status: number; text: string }> {
  const answer = await fetch(`${url}/db_command`, {
    method: "POST",
    headers: { "content-type": "application/json", connection: "close" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: answer.status, text: await answer.text() };
}

const pricesOf = (subscriber: Subscriber): number[] =>
  subscriber.updates.map((frame) => frame.data.payload[0].price);

const seqsOf = (subscriber: Subscriber): number[] => subscriber.updates.map(({ seq }) => seq);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

const today = new Date().toISOString().slice(0, 10);
const day = (offset: number): string => new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10);

test("every command through the front stores and answers what it does without it", async () => {
  await using tiers = await startTiers();
  const { upstream, front } = tiers;
  const saves = [
    {
      command: "save_stock_data",
      params: {
        ticker: "AAPL",
        index_col: "Date",
        data: Array.from({ length: 30 }, (_, i) => ({
          Date: day(i - 29),
          open: i,
          close: i + 0.5,
          volume: 10,
        })),
      },
    },
    {
      command: "save_stock_data",
      params: {
        ticker: "AAPL",
        interval: "hourly",
        index_col: "datetime",
        data: [{ datetime: "2024-01-02 10:00", close: 1.25, volume: 7 }],
      },
    },
    {
      command: "save_realtime_data",
      params: {
        ticker: "Ä'\"B C",
        index_col: "timestamp",
        data: [
          { timestamp: "2024-01-02T10:00:00+02:00", price: 1, size: 2, ask_price: 3, ask_size: 4 },
          { timestamp: "2024-01-02T10:00:00+02:00", price: 1, size: 2, seq: 7 },
        ],
      },
    },
    '{"command":"save_realtime_data","params":{"ticker":"AAPL","data_type":"trade","index_col":"t","data":[{"t":"2024-01-02 10:00:00.000001","price":NaN,"size":9007199254740993}]}}',
    {
      command: "save_stock_data",
      params: { ticker: "AAPL", index_col: "date", on_duplicate: "error", data: [{ date: today, close: 1 }] },
    },
    { command: "save_stock_data", params: { ticker: "AAPL", index_col: "date", data: [] } },
  ];
  const statuses = [];
  for (const save of saves) statuses.push((await post(front.url, save)).status);
  expect(statuses).toEqual([200, 200, 200, 200, 409, 400]);

  const ask = (name: string, params: Record<string, unknown>) => ({ command: name, params });
  const sql = (sql_query: string, query_type = "select", query_params: unknown[] = []) =>
    ask("execute_sql", { sql_query, query_type, query_params });
  const tickers = ["AAPL", "nobody", "Ä'\"B C", "", 5, "__proto__"];
  const reads: unknown[] = [
    ask("get_stock_data", { ticker: "AAPL" }),
    ask("get_stock_data", { ticker: "AAPL", start_date: day(-3), end_date: day(-1) }),
    ask("get_stock_data", { ticker: "AAPL", interval: "hourly", start_date: "2024-01-02 09:30:00.5" }),
    ask("get_stock_data", { ticker: "AAPL", interval: "hourly", end_date: "2024-01-02" }),
    ask("get_stock_data", { ticker: "nobody" }),
    ask("get_stock_data", { ticker: "AAPL", start_date: "yesterday?" }),
    ask("get_realtime_data", { ticker: "Ä'\"B C" }),
    ask("get_realtime_data", { ticker: "Ä'\"B C", end_datetime: "2024-01-02T08:00:00Z" }),
    ask("get_realtime_data", { ticker: "AAPL", data_type: "trade", start_datetime: 1704189600 }),
    ask("get_realtime_data", { ticker: "AAPL", data_type: "" }),
    ask("get_latest_data", { ticker: "Ä'\"B C" }),
    ask("get_latest_data", { ticker: "AAPL", data_type: "trade", limit: 1 }),
    ask("get_historical_data", { ticker: "AAPL" }),
    ask("get_historical_data", { ticker: "AAPL", limit: 0 }),
    ask("get_latest_price", { ticker: "AAPL" }),
    ask("get_latest_price", { ticker: 5 }),
    ask("get_latest_prices", { tickers }),
    ask("get_latest_prices", { tickers: [] }),
    ask("get_previous_close_prices", { tickers }),
    ask("get_today_opening_prices", { tickers }),
    ask("get_today_daily_data", { ticker: "AAPL" }),
    ask("get_today_volume", { tickers }),
    sql("SELECT ticker, count(*) AS n FROM daily_prices GROUP BY ticker"),
    sql("SELECT ? AS a, ? AS b, ? AS c", "select", [1.5, "ä", null]),
    '{"command":"execute_sql","params":{"sql_query":"SELECT ? AS exact, size FROM realtime_data WHERE size > 5","query_type":"raw","query_params":[-9223372036854775808]}}',
    sql("SELECT * FROM daily_prices WHERE ticker = 'nobody'"),
    sql("SELECT * FROM daily_prices WHERE ticker = 'nobody'", "raw"),
    sql(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT i, 'x' AS t FROM n",
    ),
    sql("DELETE FROM daily_prices WHERE ticker = 'nobody'", "raw"),
    sql("DELETE FROM daily_prices"),
    sql("SELEC"),
    sql("ATTACH 'x.db' AS x", "raw"),
    sql("SELECT ?", "select", [[]]),
    ask("save_options_data", { ticker: "AAPL", data: [1] }),
    ask("dance", {}),
    "not JSON",
  ];
  for (const read of reads) expect(await post(front.url, read)).toEqual(await post(upstream.url, read));

  for (const path of [
    "/api/execute_sql?sql=SELECT+1+AS+one",
    "/api/execute_sql?sql=SELECT+?+AS+a&query_params=[9007199254740993]&query_type=raw",
    "/api/execute_sql?sql=DELETE+FROM+daily_prices&query_type=raw",
    "/api/execute_sql?sql=SELEC",
    "/stats/nothing",
  ]) {
    const [direct, through] = await Promise.all([get(upstream.url + path), get(front.url + path)]);
    expect({ status: through.status, body: through.body }).toEqual({
      status: direct.status,
      body: direct.body,
    });
  }
  const { body: tables } = await get(`${front.url}/stats/tables`);
  expect(tables.tables).toMatchObject({ daily_prices: { row_count: 30 }, realtime_data: { row_count: 3 } });
  const { body: database } = await get(`${front.url}/stats/database`);
  expect(database.database.size_bytes).toBeGreaterThan(0);
});

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
    await waitUntil("the last update is here", () => pricesOf(subscriber).at(-1) === 9_999);
  }
  const order = pricesOf(behind[0]!);
  expect(order.length).toBe(count + 1);
  expect(new Set(order).size).toBe(count + 1);
  for (const subscriber of all) {
    expect(pricesOf(subscriber)).toEqual(order);
    // The first save came before they did.
    expect(seqsOf(subscriber)).toEqual(upTo(count + 2).slice(1));
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
  for (const data_type of ["heartbeat", "initial_price", "quote"]) {
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

  const answered = new Set<number>();
  const statuses = new Set<number>();
  let next = 1;
  let stopping = false;
  const client = async (): Promise<void> => {
    while (!stopping) {
      const price = next++;
      for (;;) {
        const { status, headers } = await saveTrade(front.url, "KILL", price);
        statuses.add(status);
        if (status === 503) expect(headers.get("retry-after")).toBe("1");
        if (status === 200) answered.add(price);
        if (status === 200 || stopping) break;
      }
    }
  };
  const reader = async (): Promise<void> => {
    while (!stopping) statuses.add((await command(front.url, "get_latest_price", { ticker: "KILL" })).status);
  };
  const clients = [...Array.from({ length: 6 }, client), reader()];
  try {
    for (const round of [1, 2, 3]) {
      const before = answered.size;
      await waitUntil(`saves are answered in round ${round}`, () => answered.size > before + 50);
      await upstream.stop("SIGKILL");
      upstream = await startUpstream();
      const after = answered.size;
      await waitUntil("saves are answered again", () => answered.size > after + 20);
    }
    stopping = true;
    await Promise.all(clients);

    expect([...statuses].filter((status) => status !== 200 && status !== 503)).toEqual([]);
    const stored = await runSql(
      upstream.url,
      "SELECT price, count(*) AS times FROM realtime_data WHERE ticker = 'KILL' GROUP BY price",
    );
    const rows = stored.body.data as { price: number; times: number }[];
    expect(rows.filter(({ times }) => times > 1)).toEqual([]);
    const storedPrices = new Set(rows.map(({ price }) => price));
    expect([...answered].filter((price) => !storedPrices.has(price))).toEqual([]);

    // What was saved while the upstream's sockets were gone came from its log.
    await saveTrade(front.url, "KILL", 1_000_000);
    for (const subscriber of [watcher, watcherOfAll]) {
      await waitUntil("the last update is here", () => pricesOf(subscriber).includes(1_000_000));
      expect(subscriber.closed).toBeNull();
      expect(seqsOf(subscriber)).toEqual(upTo(subscriber.updates.length));
      expect(new Set(pricesOf(subscriber))).toEqual(new Set([...storedPrices, 1_000_000]));
      expect(pricesOf(subscriber).length).toBe(storedPrices.size + 1);
    }
    await using later = Subscriber.ask(front.wsUrl, { symbol: "KILL", since: "10" });
    await waitUntil("it caught up", () => pricesOf(later).includes(1_000_000));
    expect(seqsOf(later)).toEqual(seqsOf(watcher).slice(10));
    expect(pricesOf(later)).toEqual(pricesOf(watcher).slice(10));
  } finally {
    stopping = true;
    await upstream[Symbol.asyncDispose]();
  }
});

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
  await waitUntil("updates come again", () => pricesOf(watcher).includes(3));
  expect([seqsOf(watcher), watcher.closed]).toEqual([[1], null]);
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
    expect([pricesOf(subscriber), seqsOf(subscriber)]).toEqual([expected, expected]);
  }
  // Fewer again: by name.
  for (const subscriber of many.slice(1)) await subscriber[Symbol.asyncDispose]();
  for (const price of [3, 4, 5]) {
    await saveTrade(upstream.url, tickers[0]!, price);
    await using back = await open(tickers[price]!);
    await saveTrade(upstream.url, tickers[price]!, 3);
    await waitUntil("its update is here", () => pricesOf(back).includes(3));
  }
  await waitUntil("all are here", () => many[0]!.updates.length === 5);
  expect(seqsOf(many[0]!)).toEqual(upTo(5));
  await waitUntil("there is one WebSocket", async () => (await socketsAtUpstream()) === 1);
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

/** Asks for all ticks of BIG on a bare socket that is read only when told to. */
async function askSlowly(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1" });
  socket.on("error", () => {});
  const body = JSON.stringify({
    command: "get_realtime_data",
    params: { ticker: "BIG", data_type: "trade" },
  });
  socket.write(
    `POST /db_command HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
  await new Promise<void>((readable) => socket.once("readable", readable));
  return socket;
}

test("large answers pass at the client's pace in bounded memory, and one that is given up frees its connection", async () => {
  await using tiers = await startTiers({ workers: 1 });
  const { upstream, front } = tiers;
  await fillTicks(upstream.url, "BIG", 400_000);
  const request = { command: "get_realtime_data", params: { ticker: "BIG", data_type: "trade" } };
  const whole = await post(front.url, request);
  expect(Bun.hash(whole.text)).toBe(Bun.hash((await post(upstream.url, request)).text));
  const answerMb = whole.text.length / 2 ** 20;

  const before = peakMemoryMb(front.pid);
  const slow = await Promise.all(Array.from({ length: 6 }, () => askSlowly(front.port)));
  const active = async () => (await get(`${front.url}/stats/pool`)).body.active_connections as number;
  await waitUntil("all are under way", async () => (await active()) === 6);
  // Others are served meanwhile, by the connections that large answers leave.
  expect((await saveTrade(front.url, "BIG", 5)).status).toBe(200);
  await Bun.sleep(500);
  const grown = peakMemoryMb(front.pid) - before;
  console.log(
    `remote.test.ts: ${grown.toFixed(0)} MB more for 6 unread answers of ${answerMb.toFixed(0)} MB each`,
  );
  expect(grown).toBeLessThan(answerMb * 3);
  for (const socket of slow) socket.destroy();
  await waitUntil("every connection is free", async () => (await active()) === 0);

  // At any moment: before the answer, at its beginning, in it.
  for (let i = 0; i < 60; i++) {
    const leave = new AbortController();
    const answer = fetch(`${front.url}/db_command`, {
      method: "POST",
      headers: { "content-type": "application/json", connection: "close" },
      body: JSON.stringify(request),
      signal: leave.signal,
    });
    setTimeout(() => leave.abort(), i % 20);
    await answer.then((response) => response.body?.cancel()).catch(() => {});
  }
  await waitUntil("every connection is free", async () => (await active()) === 0);
  await waitUntil("also the upstream's", async () => {
    // One connection is for small answers, always.
    return (await get(`${upstream.url}/stats/pool`)).body.active_connections === 1;
  });
  const { body } = await get(`${front.url}/stats/pool`);
  expect(body).toMatchObject({ pool_max_size: 10, available_connections: 10, waiting_requests: 0 });
});

test("an answer that breaks off at the upstream breaks off here too", async () => {
  await using tiers = await startTiers({ workers: 1 });
  const { upstream, front } = tiers;
  await fillTicks(upstream.url, "BIG", 400_000);
  const answer = await fetch(`${front.url}/db_command`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ command: "get_realtime_data", params: { ticker: "BIG", data_type: "trade" } }),
  });
  const body = answer.body!.getReader();
  expect((await body.read()).done).toBe(false);
  await upstream.stop("SIGKILL");
  const readToEnd = async (): Promise<string> => {
    while (!(await body.read()).done);
    return "complete";
  };
  expect(await readToEnd().catch(() => "broken off")).toBe("broken off");
  expect((await get(`${front.url}/live`)).status).toBe(200);
});

const ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

test("SQL is stopped at either server's limit, and when its client leaves", async () => {
  await using tiers = await startTiers({ workers: 1, flags: ["--sql-timeout", "8", "--db-pool-size", "1"] });
  const { upstream, front } = tiers;
  const stopped = await runSql(front.url, ENDLESS);
  expect([stopped.status, stopped.body.error]).toEqual([504, "execute_sql: stopped at the limit of 8 s"]);

  await using impatient = await startServer({
    dbFile: `127.0.0.1:${upstream.port}`,
    flags: ["--sql-timeout", "0.5"],
  });
  const earlier = await runSql(impatient.url, ENDLESS);
  expect(earlier.status).toBe(504);
  expect(earlier.body.error).toContain("the upstream did not answer within");
  expect(earlier.body.error).toContain("whether it changed anything is unknown");
  const leave = new AbortController();
  const left = command(front.url, "execute_sql", { sql_query: ENDLESS, query_type: "select" }, leave.signal);
  await waitUntil(
    "it runs",
    async () => (await get(`${front.url}/stats/pool`)).body.active_connections === 1,
  );
  leave.abort();
  await left.catch(() => {});
  // The upstream has one runner only: it was freed.
  expect((await runSql(upstream.url, "SELECT 1 AS one")).body.data).toEqual([{ one: 1 }]);
  await waitUntil("its connection is free", async () => {
    return (await get(`${front.url}/stats/pool`)).body.active_connections === 0;
  });
});

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

test("a save whose answer was lost is one update, however often it is sent", async () => {
  await using upstream = await startServer();
  using way = cutProxyTo(upstream.port);
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
  await using subscriber = Subscriber.connect(front.wsUrl, "A");
  await waitUntil("the subscriber is refused", () => subscriber.closed !== null);
  expect(subscriber.closed?.code).toBe(1013);
  await front.logged("the upstream is an older server, it doesn't number updates: upgrade it first");
});

test("three in a row serve like one", async () => {
  await using tiers = await startTiers();
  await using third = await startServer({ dbFile: `127.0.0.1:${tiers.front.port}`, workers: 2 });
  await using watcher = await Subscriber.open(tiers.upstream.wsUrl, "ROW");
  await using far = await Subscriber.open(third.wsUrl, "ROW");
  for (let price = 1; price <= 20; price++) await saveTrade(third.url, "ROW", price);
  await waitUntil("all updates are here", () => far.updates.length === 20 && watcher.updates.length === 20);
  expect(pricesOf(far)).toEqual(pricesOf(watcher));
  expect((await command(third.url, "get_latest_price", { ticker: "ROW" })).body.latest_price).toBe(20);
  await waitUntil("it is ready", async () => (await get(`${third.url}/ready`)).status === 200);
});

test("an upstream behind a proxy: path, credentials, and neither of them in the log", async () => {
  await using upstream = await startServer();
  let refused = 0;
  using proxy = proxyTo(upstream, {
    prefix: "/stocks",
    authorization: `Basic ${btoa("desk:s3cret")}`,
    onRefused: () => refused++,
  });
  await using front = await startServer({ dbFile: `http://desk:s3cret@127.0.0.1:${proxy.port}/stocks/` });
  await using subscriber = await Subscriber.open(front.wsUrl, "AAPL");
  await saveTrade(front.url, "AAPL", 7);
  await waitUntil("the update is here", () => pricesOf(subscriber).includes(7));
  expect((await command(front.url, "get_latest_price", { ticker: "AAPL" })).body.latest_price).toBe(7);
  expect((await get(`${front.url}/health`)).body.database.db_file).toBe(
    `http://desk:***@127.0.0.1:${proxy.port}/stocks/`,
  );
  expect(refused).toBe(0);
  await front.stop();
  expect(front.log()).not.toContain("s3cret");

  await using stranger = await startServer({
    dbFile: `http://127.0.0.1:${proxy.port}/stocks`,
    withoutDatabase: true,
  });
  const answer = await command(stranger.url, "get_latest_price", { ticker: "AAPL" });
  expect([answer.status, answer.body.details]).toEqual([503, "the upstream answered 401 Unauthorized"]);
});

interface ProxyOptions {
  prefix: string;
  authorization: string;
  onRefused(): void;
}

function proxyTo(server: RunningServer, { prefix, authorization, onRefused }: ProxyOptions) {
  const proxy = Bun.serve<{ target: string; upstream: WebSocket | null }>({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request, self) {
      if (request.headers.get("authorization") !== authorization) {
        onRefused();
        return new Response("<h1>who are you?</h1>", { status: 401, statusText: "Unauthorized" });
      }
      const { pathname, search } = new URL(request.url);
      if (!pathname.startsWith(`${prefix}/`)) return new Response("", { status: 404 });
      const path = pathname.slice(prefix.length) + search;
      if (request.headers.has("upgrade")) {
        self.upgrade(request, { data: { target: server.wsUrl + path, upstream: null } });
        return undefined;
      }
      return fetch(server.url + path, {
        method: request.method,
        headers: { "content-type": request.headers.get("content-type") ?? "" },
        ...(request.method === "POST" ? { body: await request.bytes() } : {}),
      });
    },
    websocket: {
      open(socket) {
        const upstream = new WebSocket(socket.data.target);
        upstream.onmessage = ({ data }) => void socket.send(data as string);
        socket.data.upstream = upstream;
      },
      message: (socket, text) => socket.data.upstream?.send(text),
      close: (socket) => socket.data.upstream?.close(),
    },
  });
  return { port: proxy.port!, [Symbol.dispose]: () => void proxy.stop(true) };
}
