/** Keys: every door with no key, a wrong one and one of each scope; and what becomes of a key. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { SCOPES, type Scope, wholeScopes } from "../../src/access/scopes.ts";
import { COMMANDS } from "../../src/commands/index.ts";
import { CLOSE_KEY } from "../../src/protocol/codes.ts";
import { failingStart } from "../support/failing-start.ts";
import { addKey, bearer, untilRateLasts } from "../support/keys.ts";
import { type Answer, get, type Json } from "../support/requests.ts";
import { runCli } from "../support/run-cli.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

/** Of the form of a key, and unknown. */
const WRONG = `sdb_${"x".repeat(43)}`;

async function post(url: string, body: object, key: string | null): Promise<Answer> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", connection: "close", ...bearer(key) },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json(), headers: response.headers };
}

/** @returns 101 where it was opened, else the status of the refusal. */
async function socketStatus(url: string, key: string | null): Promise<number> {
  const response = await fetch(url, {
    headers: {
      ...{ connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" },
      ...bearer(key),
    },
  });
  await response.body?.cancel();
  // With no Sec-WebSocket-Key the handshake is refused after all else was in order.
  return response.status === 400 ? 101 : response.status;
}

interface Door {
  name: string;
  needs: Scope | "nothing";
  ask(url: string, key: string | null): Promise<number>;
}

const getDoor = (path: string, needs: Door["needs"]): Door => ({
  name: `GET ${path}`,
  needs,
  ask: async (url, key) => {
    const abort = new AbortController();
    const { status } = await fetch(url + path, {
      headers: { connection: "close", ...bearer(key) },
      signal: abort.signal,
    });
    abort.abort();
    return status;
  },
});
const postDoor = (path: string, needs: Scope, body: object, what = ""): Door => ({
  name: `POST ${path}${what}`,
  needs,
  ask: async (url, key) => (await post(url + path, body, key)).status,
});
const deleteDoor = (path: string, needs: Scope): Door => ({
  name: `DELETE ${path}`,
  needs,
  async ask(url, key) {
    const { status } = await fetch(url + path, {
      method: "DELETE",
      headers: { connection: "close", ...bearer(key) },
    });
    return status;
  },
});
const socketDoor = (path: string): Door => ({
  name: `WebSocket ${path}`,
  needs: "stream",
  ask: async (url, key) => socketStatus(url + path, key),
});

const BARS = { bars: [{ S: "A", t: "2024-01-02", o: 1, h: 2, l: 1, c: 2, v: 3 }] };
const SQL = { sql_query: "SELECT 1 AS one", query_type: "select" };
const DOORS: Door[] = [
  ...["/", "/health", "/healthz", "/live", "/ready", "/docs", "/openapi.json"].map((path) =>
    getDoor(path, "nothing"),
  ),
  ...[
    "/stats/database",
    "/stats/tables",
    "/stats/performance",
    "/stats/pool",
    "/stats/redis",
    "/metrics",
  ].map((path) => getDoor(path, "metrics")),
  ...[
    "/v1/bars?symbols=A",
    "/v1/trades?symbols=A",
    "/v1/quotes?symbols=A",
    "/v1/latest?symbols=A",
    "/v1/snapshots?symbols=A",
    "/v1/options?underlying=A",
    "/v1/corporate-actions?symbols=A",
    "/v1/tickers",
    "/v1/feeds",
    "/v1/asof?symbols=A&left=trades&right=quotes",
    "/v2/stocks/bars?symbols=A&timeframe=1Day",
    "/v2/stocks/trades/latest?symbols=A",
    "/v2/stocks/snapshots?symbols=A",
    "/v2/aggs/ticker/A/range/1/day/2024-01-02/2024-01-03",
    "/v2/last/trade/A",
    "/v3/trades/A",
    "/v3/quotes/A",
    "/udf/config",
    "/udf/search?query=A",
    "/udf/XNYS/history?symbol=A&resolution=1D&from=0&to=1",
  ].map((path) => getDoor(path, "read")),
  ...["/v1/sql?sql=SELECT+1", "/api/execute_sql?sql=SELECT+1", "/api/sql_query?sql=SELECT+1"].map((path) =>
    getDoor(path, "sql"),
  ),
  postDoor("/v1/bars", "read", { symbols: "A" }, ", a question"),
  postDoor("/v1/bars?timeframe=1Day", "write", BARS, ", rows"),
  postDoor("/v1/sql", "sql", { sql: "SELECT 1" }),
  postDoor("/db_command", "sql", { command: "execute_sql", params: SQL }, ", select"),
  postDoor(
    "/db_command",
    "sql:write",
    { command: "execute_sql", params: { ...SQL, query_type: "raw" } },
    ", raw",
  ),
  getDoor("/v1/connections", "admin"),
  deleteDoor("/v1/connections/none", "admin"),
  getDoor("/v1/stream?symbols=A", "stream"),
  socketDoor("/ws?symbol=A"),
  socketDoor("/ws/replay?symbols=A&start=2024-01-01&end=2024-01-02"),
];

const WRITES = /^(save|delete|rename|remove|set)_/;

let folder: ReturnType<typeof tempDir>;
let server: RunningServer;
let path: string;
const keys = new Map<Scope, string>();

beforeAll(async () => {
  folder = tempDir();
  path = join(folder.path, "some.keys");
  for (const scope of SCOPES) keys.set(scope, await addKey(path, `of-${scope.replace(":", "-")}`, scope));
  server = await startServer({ flags: ["--keys", path], workers: 2 });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

describe("every door by the scopes of a key", () => {
  test.each(DOORS)("$name needs $needs", async ({ name, needs, ask }) => {
    for (const key of [null, WRONG]) {
      const status = await ask(server.url, key);
      // Without one, a WebSocket may still say who it is by its first message.
      if (key === null && name.startsWith("WebSocket")) {
        expect(status).toBe(101);
        continue;
      }
      if (needs === "nothing") expect(status).toBe(200);
      else expect(status).toBe(401);
    }
    for (const scope of SCOPES) {
      const status = await ask(server.url, keys.get(scope)!);
      if (needs === "nothing" || wholeScopes([scope]).has(needs))
        expect([scope, status]).not.toEqual([scope, 403]);
      else expect([scope, status]).toEqual([scope, 403]);
      expect(status).not.toBe(401);
    }
  });

  test.each([...COMMANDS.keys()])("the command %s", async (name) => {
    const needs = name === "execute_sql" ? "sql" : WRITES.test(name) ? "write" : "read";
    const ask = async (key: string | null): Promise<number> =>
      (await post(`${server.url}/db_command`, { command: name, params: {} }, key)).status;
    expect(await ask(null)).toBe(401);
    for (const scope of SCOPES) {
      const isRefused = (await ask(keys.get(scope)!)) === 403;
      expect([scope, isRefused]).toEqual([scope, !wholeScopes([scope]).has(needs)]);
    }
  });

  test("Alpaca's stream: by its own message", async () => {
    const told = async (secret: string): Promise<Json> => {
      const socket = new WebSocket(`${server.wsUrl}/v2/sip`);
      const heard: Json[] = [];
      socket.onmessage = ({ data }) => heard.push(...JSON.parse(String(data)));
      socket.onopen = () => socket.send(JSON.stringify({ action: "auth", key: "any", secret }));
      await waitUntil("an answer", () => heard.length >= 2);
      socket.close();
      return heard[1];
    };
    expect(await told(keys.get("stream")!)).toEqual({ T: "success", msg: "authenticated" });
    for (const key of [WRONG, keys.get("read")!, ""]) expect(await told(key)).toMatchObject({ T: "error" });
  });
});

describe("a key of some tickers", () => {
  let key: string;
  const admin = (): string => keys.get("admin")!;
  const run = (command: string, params: object, by = key): Promise<Answer> =>
    post(`${server.url}/db_command`, { command, params }, by);
  const seen = async (path: string): Promise<Answer> => get(server.url + path, bearer(key));

  beforeAll(async () => {
    key = await addKey(path, "some", "read,write,stream,metrics", ["--tickers", "A*,EXACT"]);
    await waitUntil("it is known", async () => {
      for (let i = 0; i < 10; i++) if ((await seen("/v1/tickers")).status !== 200) return false;
      return true;
    });
    for (const ticker of ["A1", "A2", "B1", "EXACT", "EXACTLY"]) {
      const stamp = "2024-01-02T15:00:00Z";
      const data = [{ timestamp: stamp, price: 5, size: 1 }];
      const trade = { ticker, data_type: "trade", index_col: "timestamp", data };
      expect((await run("save_realtime_data", trade, admin())).status).toBe(200);
      const bars = [{ date: "2024-01-02", open: 1, high: 1, low: 1, close: 1, volume: 1 }];
      const daily = { ticker, index_col: "date", data: bars };
      expect((await run("save_stock_data", daily, admin())).status).toBe(200);
    }
  });

  test("`*` means what it may see, in every format and layout", async () => {
    const own = ["A1", "A2", "EXACT"];
    expect(Object.keys((await seen("/v1/trades?symbols=*")).body.trades)).toEqual(own);
    expect(Object.keys((await seen("/v1/bars?symbols=*&timeframe=1Day")).body.bars)).toEqual(
      expect.arrayContaining(own),
    );
    expect(JSON.stringify((await seen("/v1/bars?symbols=*&timeframe=1Day")).body)).not.toContain("EXACTLY");
    expect(Object.keys((await seen("/v1/latest?symbols=*")).body.trades)).toEqual(own);
    const wide = await seen("/v1/bars?symbols=*&timeframe=1Day&layout=wide&format=columns");
    expect(JSON.stringify(wide.body)).not.toMatch(/B1|EXACTLY/);
    const tickers = await seen("/v1/tickers");
    expect(JSON.stringify(tickers.body)).not.toMatch(/B1|EXACTLY/);
    const feeds = await waitUntil("its feeds are known", async () => {
      const { body } = await seen("/v1/feeds");
      return body.known >= 6 && body;
    });
    expect(feeds.feeds.map(({ symbol }: Json) => symbol)).toEqual(expect.arrayContaining(own));
    expect([feeds.known, feeds.writers]).toEqual([feeds.feeds.length, undefined]);
    expect(JSON.stringify(feeds)).not.toMatch(/B1|EXACTLY/);
    expect((await get(`${server.url}/v1/feeds`, bearer(admin()))).body.writers).toContainEqual(
      expect.objectContaining({ key: "of-admin", address: "127.0.0.1" }),
    );
    const metrics = await fetch(`${server.url}/metrics`, { headers: bearer(key) });
    const named = await metrics.text();
    expect(named).toContain('stock_db_feed_ticker_age_seconds{ticker="A1",type="trade"}');
    expect(named).not.toMatch(/B1|EXACTLY/);
    const listed = await run("get_tickers", { kind: "ticks" });
    expect([listed.status, JSON.stringify(listed.body)]).toEqual([
      200,
      expect.not.stringMatching(/B1|EXACTLY/),
    ]);
    const positions = await run("get_positions", {});
    expect(JSON.stringify(positions.body)).not.toMatch(/B1|EXACTLY/);
  });

  test.each([
    "/v1/bars?symbols=A1,B1&timeframe=1Day",
    "/v1/trades?symbols=EXACTLY",
    "/v1/trades?symbols=B1&limit=1",
    "/v1/quotes?symbols=B1",
    "/v1/latest?symbols=B1",
    "/v1/snapshots?symbols=A1,B1",
    "/v1/options?underlying=B1",
    "/v1/corporate-actions?symbols=B1",
    "/v1/asof?symbols=B1&left=trades&right=quotes",
    "/v1/bars?symbols=B1&timeframe=5Min&source=trades",
    "/v2/stocks/bars?symbols=B1&timeframe=1Day",
    "/v2/stocks/B1/trades",
    "/v2/stocks/B1/snapshot",
    "/v2/aggs/ticker/B1/range/1/day/2024-01-02/2024-01-03",
    "/v2/aggs/ticker/B1/prev",
    "/v2/last/trade/B1",
    "/v3/trades/B1",
    "/udf/history?symbol=B1&resolution=1D&from=0&to=1",
    "/udf/symbols?symbol=B1",
    "/udf/quotes?symbols=B1",
    "/v1/stream?symbols=A1,B1",
    "/v1/feeds?symbols=A1,B1",
  ])("it is refused %s", async (door) => {
    const { status, body } = await seen(door);
    expect([status, JSON.stringify(body)]).toEqual([403, expect.stringMatching(/B1|EXACTLY/)]);
  });

  test("every command that names another ticker is refused, and changes nothing", async () => {
    const stamp = "2024-01-02T15:00:01Z";
    const trade = {
      data_type: "trade",
      index_col: "timestamp",
      data: [{ timestamp: stamp, price: 6, size: 1 }],
    };
    const bars = { index_col: "date", data: [{ date: "2024-01-03", close: 1 }] };
    const commands: [string, object][] = [
      ["get_stock_data", { ticker: "B1", interval: "daily" }],
      ["get_realtime_data", { ticker: "B1", data_type: "trade" }],
      ["get_latest_price", { ticker: "B1" }],
      ["get_latest_prices", { tickers: ["A1", "B1"] }],
      ["get_previous_close_prices", { tickers: ["B1"] }],
      ["get_today_opening_prices", { tickers: ["B1"] }],
      ["get_latest_data", { ticker: "B1", data_type: "trade" }],
      ["get_historical_data", { ticker: "B1", data_type: "trade" }],
      ["get_today_daily_data", { ticker: "B1" }],
      ["get_today_volume", { tickers: ["B1"] }],
      ["get_updates", { ticker: "B1", since: 0 }],
      ["get_snapshot", { ticker: "B1" }],
      ["get_positions", { tickers: ["B1"] }],
      ["get_tick_types", { ticker: "B1" }],
      ["get_series", { ticker: "B1", kind: "ticks" }],
      ["get_newest_rows", { ticker: "B1", kind: "ticks" }],
      ["get_trades", { symbols: "B1" }],
      ["get_bars", { symbols: "B1", timeframe: "1Day" }],
      ["get_options_data", { ticker: "B1" }],
      ["get_financial_info", { ticker: "B1" }],
      ["get_corporate_actions", { ticker: "B1" }],
      ["save_realtime_data", { ticker: "B1", ...trade }],
      ["save_stock_data", { ticker: "B1", ...bars }],
      [
        "save_options_data",
        { ticker: "B1", data: [{ option_ticker: "O:B1", price: 1, expiration_date: "2040-01-20" }] },
      ],
      ["delete_ticks", { ticker: "B1", data_type: "trade", all: true }],
      ["delete_bars", { ticker: "B1", interval: "daily", all: true }],
      ["rename_ticker", { ticker: "A1", new_ticker: "B2" }],
      ["rename_ticker", { ticker: "B1", new_ticker: "A9" }],
      ["set_rollup", { tickers: "A*", intervals: ["1min"] }],
      ["remove_rollup", { tickers: "A*" }],
      ["get_rollups", { tickers: ["A1"] }],
      ["execute_sql", SQL],
    ];
    const counted = async (): Promise<Json> =>
      (await get(`${server.url}/stats/tables`, bearer(admin()))).body.tables;
    const before = await counted();
    const wrong: unknown[] = [];
    for (const [command, params] of commands) {
      const { status, body } = await run(command, params);
      if (status !== 403) wrong.push([command, status, body]);
    }
    const rows = await post(
      `${server.url}/v1/trades`,
      {
        trades: [
          { S: "A1", t: stamp, p: 1 },
          { S: "B1", t: stamp, p: 1 },
        ],
      },
      key,
    );
    if (rows.status !== 403) wrong.push(["POST /v1/trades", rows.status, rows.body]);
    expect(wrong).toEqual([]);
    expect(await counted()).toEqual(before);
    const own = await run("save_realtime_data", { ticker: "A1", ...trade });
    expect(own.status).toBe(200);
    expect((await run("get_latest_price", { ticker: "EXACT" })).status).toBe(200);
  });

  test("WebSockets watch its tickers alone, by handshake and by message", async () => {
    const headers = bearer(key);
    for (const door of ["/ws?symbol=B1", "/ws?symbols=A1,B1", "/ws?symbols=*"])
      expect(await refusal(server.wsUrl + door, headers)).toBe(true);
    expect(
      await refusal(`${server.wsUrl}/ws/replay?symbols=B1&start=2024-01-01&end=2024-01-03`, headers),
    ).toBe(true);
    const told: Json[] = [];
    const socket = new WebSocket(`${server.wsUrl}/ws?symbols=A1`, { headers });
    socket.onmessage = ({ data }) => told.push(JSON.parse(String(data)));
    await waitUntil("it is open", () => socket.readyState === WebSocket.OPEN);
    for (const symbols of [["B1"], ["*"]]) {
      socket.send(JSON.stringify({ action: "subscribe", symbols }));
      await waitUntil("it is refused", () => told.some(({ code }) => code !== undefined));
      expect(told.find(({ code }) => code !== undefined)).toMatchObject({ type: "error" });
      told.length = 0;
    }
    const trade = (ticker: string): object => ({
      ...{ ticker, data_type: "trade", index_col: "timestamp" },
      data: [{ timestamp: "2024-01-02T15:00:02Z", price: 7, size: 1 }],
    });
    await run("save_realtime_data", trade("B1"), admin());
    await run("save_realtime_data", trade("A1"), admin());
    await waitUntil("its own is told", () => JSON.stringify(told).includes("trade_update"));
    expect(JSON.stringify(told)).not.toContain("B1");
    socket.close();
    const alpaca = new WebSocket(`${server.wsUrl}/v2/sip`, { headers });
    const heard: Json[] = [];
    alpaca.onmessage = ({ data }) => heard.push(...JSON.parse(String(data)));
    await waitUntil("it is let in", () => heard.length >= 2);
    for (const trades of [["B1"], ["*"]]) {
      heard.length = 0;
      alpaca.send(JSON.stringify({ action: "subscribe", trades }));
      await waitUntil("it is answered", () => heard.length > 0);
      expect(heard[0]).toMatchObject({ T: "error", code: 409 });
    }
    alpaca.close();
  });

  test("sql and admin don't go with tickers", async () => {
    for (const may of ["sql", "read,sql:write", "admin"]) {
      const { code, stderr } = await runCli([
        "keys",
        "add",
        "x",
        "--may",
        may,
        "--tickers",
        "A",
        "--keys",
        path,
      ]);
      expect([code, stderr]).toEqual([2, expect.stringContaining("of all tickers")]);
    }
  });

  /** Whether no WebSocket becomes of it. */
  async function refusal(url: string, headers: Record<string, string>): Promise<boolean> {
    const socket = new WebSocket(url, { headers });
    await waitUntil("an end of the handshake", () => socket.readyState !== WebSocket.CONNECTING);
    const isOpen = socket.readyState === WebSocket.OPEN;
    socket.close();
    return !isOpen;
  }
});

test("a refusal names what is missing, and no answer or log line has a key", async () => {
  const none = await get(`${server.url}/v1/tickers`);
  expect(none.headers.get("www-authenticate")).toStartWith("Bearer");
  expect(none.body.error).toContain("Authorization: Bearer");
  const lacking = await get(`${server.url}/v1/tickers`, bearer(keys.get("stream")!));
  expect(lacking.body.error).toContain("of-stream lacks the scope read");
  const kept = readFileSync(path, "utf8");
  for (const key of [...keys.values(), WRONG])
    for (const text of [kept, server.log(), lacking.body.error]) expect(text).not.toContain(key);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("a browser's key is a subprotocol, which is not told back", async () => {
  const open = async (protocols: string[]): Promise<WebSocket> => {
    const socket = new WebSocket(`${server.wsUrl}/ws?symbol=A`, protocols);
    await waitUntil("an end of the handshake", () => socket.readyState !== WebSocket.CONNECTING);
    return socket;
  };
  const socket = await open(["stock-db", `bearer.${keys.get("stream")!}`]);
  expect([socket.readyState, socket.protocol]).toEqual([WebSocket.OPEN, "stock-db"]);
  socket.close();
  expect((await open(["stock-db", `bearer.${WRONG}`])).readyState).not.toBe(WebSocket.OPEN);
});

describe("what becomes of a key", () => {
  const status = async (key: string): Promise<number> =>
    (await get(`${server.url}/v1/tickers`, bearer(key))).status;
  /** Both workers have to know. */
  const always = (key: string, expected: number) => async (): Promise<boolean> => {
    for (let i = 0; i < 10; i++) if ((await status(key)) !== expected) return false;
    return true;
  };

  test("added and revoked while the server runs; its WebSockets and streams end", async () => {
    const key = await addKey(path, "passing", "read,stream");
    await waitUntil("the key is known", always(key, 200));
    const headers = bearer(key);
    const closed: number[] = [];
    for (const door of ["/ws?symbol=A", "/ws?frames=normalized&symbols=A,B"]) {
      const socket = new WebSocket(server.wsUrl + door, { headers });
      socket.onclose = ({ code }) => closed.push(code);
      await waitUntil("it is open", () => socket.readyState === WebSocket.OPEN);
    }
    const alpaca = new WebSocket(`${server.wsUrl}/v2/iex`, { headers });
    alpaca.onclose = ({ code }) => closed.push(code);
    await waitUntil("it is open", () => alpaca.readyState === WebSocket.OPEN);
    const events = await fetch(`${server.url}/v1/stream?symbols=A`, { headers });
    const ended = events.text();
    expect((await runCli(["keys", "revoke", "passing", "--keys", path])).code).toBe(0);
    await waitUntil("the key is unknown", always(key, 401));
    await waitUntil("all are closed", () => closed.length === 3);
    expect(closed).toEqual([CLOSE_KEY, CLOSE_KEY, CLOSE_KEY]);
    await ended;
  });

  test("rotated: both are valid for a while, then the new one alone", async () => {
    const old = await addKey(path, "turning", "read");
    await waitUntil("the key is known", always(old, 200));
    const rotated = await runCli(["keys", "rotate", "turning", "--overlap", "30m", "--keys", path, "--json"]);
    const { key } = JSON.parse(rotated.stdout) as { key: string };
    await waitUntil("the new key is known", always(key, 200));
    expect(await status(old)).toBe(200);
    const file = JSON.parse(readFileSync(path, "utf8")) as Json;
    const ending = file.keys.find((each: Json) => each.name === "turning" && each.expires !== null);
    ending.expires = new Date(Date.now() - 1_000).toISOString();
    writeFileSync(path, JSON.stringify(file));
    await waitUntil("the old key has ended", always(old, 401));
    expect((await get(`${server.url}/v1/tickers`, bearer(old))).body.error).toContain("turning has expired");
    expect(await status(key)).toBe(200);
  });

  test("bound to addresses", async () => {
    const elsewhere = await addKey(path, "elsewhere", "read", ["--from", "10.0.0.0/8,fd00::/8"]);
    const here = await addKey(path, "here", "read", ["--from", "127.0.0.0/8"]);
    await waitUntil("the keys are known", always(here, 200));
    const refused = await get(`${server.url}/v1/tickers`, bearer(elsewhere));
    expect([refused.status, refused.body.error]).toEqual([401, expect.stringContaining("127.0.0.1")]);
  });

  test("a file that is broken changes nothing; where it is gone, nobody is let in", async () => {
    const key = keys.get("read")!;
    const kept = readFileSync(path);
    writeFileSync(path, '{"version": 1, "keys": [{"name": "x"');
    await server.logged("the keys from before stay in force");
    expect(await status(key)).toBe(200);
    rmSync(path);
    await waitUntil("nobody is let in", always(key, 401));
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, kept, { mode: 0o600 });
    await waitUntil("the keys are back", always(key, 200));
  });
});

test("a worker that starts after the file is gone lets nobody in either", async () => {
  using own = tempDir();
  const made = join(own.path, "own.keys");
  await addKey(made, "desk", "read");
  await using kept = await startServer({ flags: ["--keys", made], workers: 2 });
  rmSync(made);
  const before = processesOf(kept).workers;
  for (const worker of before) process.kill(worker, "SIGKILL");
  await waitUntil("both are back", () => {
    const { workers } = processesOf(kept);
    return workers.length === 2 && !workers.some((worker) => before.includes(worker));
  });
  await waitUntil("they answer", async () => (await get(`${kept.url}/v1/tickers`)).status > 0);
  const statuses = new Set<number>();
  for (let i = 0; i < 20; i++) statuses.add((await get(`${kept.url}/v1/tickers`)).status);
  expect([...statuses]).toEqual([401]);
});

test("a first file that is broken lets nobody in, and one that is mended does", async () => {
  using own = tempDir();
  await using open = await startServer({ dbFile: join(own.path, "a.db") });
  const made = join(own.path, "a.db.keys");
  const status = async (key: string | null): Promise<number> =>
    (await get(`${open.url}/v1/tickers`, bearer(key))).status;
  expect(await status(null)).toBe(200);
  writeFileSync(made, "{");
  await waitUntil("nobody is let in", async () => (await status(null)) === 401);
  rmSync(made);
  const key = await addKey(made, "desk", "read");
  await waitUntil("the key is known", async () => (await status(key)) === 200);
});

test("a key that loses rights loses its WebSockets", async () => {
  const key = await addKey(path, "less", "read,stream", ["--tickers", "A,B"]);
  const headers = bearer(key);
  const ask = (door: string): Promise<Answer> => get(server.url + door, headers);
  const always = (door: string, status: number) => async (): Promise<boolean> => {
    for (let i = 0; i < 10; i++) if ((await ask(door)).status !== status) return false;
    return true;
  };
  await waitUntil("it is known", always("/v1/tickers", 200));
  const closed: number[] = [];
  for (const hour of [15, 16]) {
    const data = [{ timestamp: `2024-01-02T${hour}:00:00Z`, price: 1, size: 1 }];
    const params = { ticker: "A", data_type: "trade", index_col: "timestamp", data };
    const save = { command: "save_realtime_data", params };
    expect((await post(`${server.url}/db_command`, save, keys.get("admin")!)).status).toBe(200);
  }
  const replay = "/ws/replay?symbols=A&start=2024-01-02T15:00:00Z&end=2024-01-03&speed=1";
  for (const door of ["/ws?symbols=A,B", "/v2/sip", replay]) {
    const socket = new WebSocket(server.wsUrl + door, { headers });
    socket.onclose = ({ code }) => closed.push(code);
    await waitUntil("it is open", () => socket.readyState === WebSocket.OPEN);
  }
  const file = JSON.parse(readFileSync(path, "utf8")) as Json;
  file.keys.find((each: Json) => each.name === "less").tickers = ["A"];
  writeFileSync(`${path}.other`, JSON.stringify(file));
  renameSync(`${path}.other`, path);
  await waitUntil("it is in force", always("/v1/trades?symbols=B", 403));
  await waitUntil("all are closed", () => closed.length === 3);
  expect(closed).toEqual([CLOSE_KEY, CLOSE_KEY, CLOSE_KEY]);
});

test("an Alpaca stream that a key has opened becomes no other's", async () => {
  const heard: Json[] = [];
  const socket = new WebSocket(`${server.wsUrl}/v2/sip`, { headers: bearer(keys.get("stream")!) });
  socket.onmessage = ({ data }) => heard.push(...JSON.parse(String(data)));
  await waitUntil("it is let in", () => heard.length >= 2);
  const auth = (secret: string): void => socket.send(JSON.stringify({ action: "auth", key: "x", secret }));
  auth(keys.get("stream")!);
  await waitUntil("the same may say it again", () => heard.length >= 3);
  expect(heard[2]).toMatchObject({ msg: "authenticated" });
  auth(keys.get("admin")!);
  await waitUntil("another is refused", () => heard.length >= 4);
  expect(heard[3]).toMatchObject({ T: "error", code: 402 });
});

test("rows of many tickers are refused before the first part is stored", async () => {
  const key = await addKey(path, "parts", "write,read", ["--tickers", "P*"]);
  const ask = (): Promise<Answer> => get(`${server.url}/v1/trades?symbols=P1`, bearer(key));
  const isKnown = async (): Promise<boolean> => {
    for (let i = 0; i < 10; i++) if ((await ask()).status !== 200) return false;
    return true;
  };
  await waitUntil("it is known", isKnown);
  const rows = Array.from(
    { length: 120_000 },
    (_, i) => `P1,${new Date(Date.UTC(2024, 0, 2) + i).toISOString()},${i},1`,
  );
  const response = await fetch(`${server.url}/v1/trades`, {
    method: "POST",
    headers: { "content-type": "text/csv", ...bearer(key) },
    body: ["symbol,timestamp,price,size", ...rows, "Q,2024-01-02T15:00:00Z,1,1"].join("\n"),
  });
  expect([response.status, await response.text()]).toEqual([403, expect.stringContaining("Q")]);
  expect((await ask()).body.trades).toEqual({});
});

test("a link to the file stays one, and what was left behind does no harm", async () => {
  using own = tempDir();
  const [file, link] = [join(own.path, "real.keys"), join(own.path, "link.keys")];
  await addKey(file, "one", "read");
  symlinkSync(file, link);
  writeFileSync(`${file}.new`, "left behind", { mode: 0o666 });
  await addKey(link, "two", "read");
  expect(lstatSync(link).isSymbolicLink()).toBe(true);
  expect((JSON.parse(readFileSync(file, "utf8")) as Json).keys).toHaveLength(2);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("a key's rate is one for all workers, and tells what is left of it", async () => {
  const [slow, free] = [
    await addKey(path, "slow", "read", ["--rate", "20/h"]),
    await addKey(path, "free", "read"),
  ];
  // It begins with the hour, which must not be over in between.
  await untilRateLasts(3_600_000, 30_000);
  const ask = (key: string): Promise<Answer> => get(`${server.url}/v1/tickers`, bearer(key));
  await waitUntil("they are known", async () => (await ask(free)).status === 200);
  await Bun.sleep(1_100);
  const answers = await Promise.all(Array.from({ length: 60 }, () => ask(slow)));
  const taken = answers.filter(({ status }) => status === 200);
  const refused = answers.filter(({ status }) => status === 429);
  expect([taken.length, refused.length]).toEqual([20, 40]);
  const left = taken.map(({ headers }) => Number(headers.get("ratelimit-remaining"))).sort((a, b) => a - b);
  expect(left).toEqual(Array.from({ length: 20 }, (_, i) => i));
  for (const { headers, body } of refused) {
    expect(body.error).toContain("the key slow has sent 20 requests");
    expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
    expect(headers.get("ratelimit-limit")).toBe("20");
  }
  expect((await ask(free)).status).toBe(200);
  expect((await ask(free)).headers.has("ratelimit-limit")).toBe(false);
});

test("behind a trusted proxy a client is who the proxy says it is, and nobody else can say so", async () => {
  using own = tempDir();
  const made = join(own.path, "own.keys");
  const key = await addKey(made, "inner", "read,stream", ["--from", "10.0.0.0/8"]);
  const flags = ["--keys", made, "--allow-host", "desk.example"];
  await using behind = await startServer({ flags: [...flags, "--trust-proxy", "127.0.0.1,192.168.0.0/16"] });
  await using plain = await startServer({ flags });
  const ask = async ({ url }: RunningServer, more: Record<string, string>): Promise<number> =>
    (await get(`${url}/v1/tickers`, { ...bearer(key), ...more })).status;
  for (const [header, status] of [
    ["10.1.2.3", 200],
    ["8.8.8.8, 10.1.2.3", 200],
    ["10.1.2.3, 192.168.7.7", 200],
    ["10.1.2.3:5000", 200],
    ["10.1.2.3, 8.8.8.8", 401],
    ["10.1.2.3, nonsense", 401],
    ["", 401],
  ] as const) {
    expect([header, await ask(behind, { "X-Forwarded-For": header })]).toEqual([header, status]);
    expect([header, await ask(plain, { "X-Forwarded-For": header })]).toEqual([header, 401]);
  }
  const inner = { "X-Forwarded-For": "10.1.2.3" };
  expect(await ask(behind, { ...inner, "X-Forwarded-Host": "desk.example" })).toBe(200);
  expect(await ask(behind, { ...inner, "X-Forwarded-Host": "evil.example" })).toBe(403);
  const socket = new WebSocket(`${behind.wsUrl}/ws?symbol=A`, { headers: { ...bearer(key), ...inner } });
  await waitUntil("it is open", () => socket.readyState === WebSocket.OPEN);
  socket.close();
});

test("without keys a server doesn't start where other machines reach it", async () => {
  using own = tempDir();
  const database = ["--db-file", join(own.path, "a.db"), "--port", "0"];
  const open = await failingStart([...database, "--host", "0.0.0.0"]);
  expect(open.code).toBe(1);
  expect(open.output).toContain("keys add NAME --may read,write");
  expect(open.output).toContain("--insecure-no-auth");
  const missing = await failingStart([...database, "--keys", join(own.path, "none.keys")]);
  expect([missing.code, missing.output]).toEqual([1, expect.stringContaining("none.keys")]);
  const made = join(own.path, "a.db.keys");
  const key = await addKey(made, "bot", "admin");
  await using started = await startServer({
    dbFile: join(own.path, "a.db"),
    flags: ["--host", "0.0.0.0"],
  });
  expect((await get(`${started.url}/v1/tickers`)).status).toBe(401);
  expect((await get(`${started.url}/v1/tickers`, bearer(key))).status).toBe(200);
});

test("a server in front, and the subcommands, send STOCK_DB_KEY", async () => {
  await using front = await startServer({
    dbFile: `127.0.0.1:${server.port}`,
    env: { STOCK_DB_KEY: keys.get("admin")! },
  });
  expect((await post(`${front.url}/v1/bars?timeframe=1Day`, BARS, null)).status).toBe(200);
  expect((await get(`${front.url}/v1/bars?symbols=A&timeframe=1Day`)).body.bars.A).toHaveLength(1);
  await using keyless = await startServer({ dbFile: `127.0.0.1:${server.port}`, withoutDatabase: true });
  const refused = await get(`${keyless.url}/v1/bars?symbols=A&timeframe=1Day`);
  // Not 401: it is this server that lacks the key.
  expect(refused.status).toBe(502);
  expect(JSON.stringify(refused.body)).toContain("401");
});
