/** What a key may do in a window of time, and at once: rows, bytes, WebSockets and streams. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { addKey, bearer, untilRateLasts } from "../support/keys.ts";
import { type Answer, get, type Json } from "../support/requests.ts";
import { runCli } from "../support/run-cli.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const HOUR_MS = 3_600_000;
const TRADES = 20_000;
const DAY = "2024-01-02";

let folder: ReturnType<typeof tempDir>;
let server: RunningServer;
let path: string;
let admin: string;

beforeAll(async () => {
  folder = tempDir();
  path = join(folder.path, "some.keys");
  admin = await addKey(path, "chief", "admin");
  const audit = ["--audit-log", join(folder.path, "audit.jsonl")];
  server = await startServer({ flags: ["--keys", path, "--sql", "raw", ...audit], workers: 2 });
  const start = Date.parse(`${DAY}T15:00:00Z`);
  const rows = Array.from({ length: TRADES }, (_, i) => `A,${new Date(start + i).toISOString()},${i + 1},1`);
  const response = await fetch(`${server.url}/v1/trades`, {
    method: "POST",
    headers: { "content-type": "text/csv", ...bearer(admin) },
    body: ["symbol,timestamp,price,size", ...rows].join("\n"),
  });
  expect(response.status).toBe(200);
  const bars = Array.from({ length: 10 }, (_, i) => ({ date: `2024-01-${10 + i}`, close: i + 1 }));
  await run(admin, "save_stock_data", { ticker: "A", index_col: "date", data: bars });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

async function run(key: string, command: string, params: object): Promise<Answer> {
  const response = await fetch(`${server.url}/db_command`, {
    method: "POST",
    headers: { "content-type": "application/json", connection: "close", ...bearer(key) },
    body: JSON.stringify({ command, params }),
  });
  return { status: response.status, body: await response.json(), headers: response.headers };
}

/** Known to both workers. */
async function untilKnown(key: string, door = "/v1/tickers"): Promise<void> {
  await waitUntil("the key is known", async () => {
    // Each on a connection of its own, so that all workers are asked.
    const headers = { connection: "close", ...bearer(key) };
    for (let i = 0; i < 8; i++) if ((await get(server.url + door, headers)).status === 401) return false;
    return true;
  });
}

const trades = (count: number): object => ({
  ticker: "B",
  data_type: "trade",
  index_col: "timestamp",
  data: Array.from({ length: count }, (_, i) => ({ timestamp: `${DAY}T15:00:00Z`, price: i + 1, size: 1 })),
});

async function sent(key: string, door: string): Promise<number> {
  const response = await fetch(server.url + door, { headers: { connection: "close", ...bearer(key) } });
  await response.arrayBuffer();
  return response.status;
}

/** Each way to rows, and how many it must count. */
const WAYS: [name: string, rows: number, ask: (key: string) => Promise<unknown>][] = [
  ["a save", 7, (key) => run(key, "save_realtime_data", trades(7))],
  ["rows by /v1", 2, (key) => postedRows(key, "C", 2)],
  ["bars", 10, (key) => run(key, "get_stock_data", { ticker: "A", interval: "daily" })],
  ["a stream of ticks", TRADES, (key) => run(key, "get_realtime_data", { ticker: "A", data_type: "trade" })],
  ["newest ticks", 5, (key) => run(key, "get_latest_data", { ticker: "A", data_type: "trade", limit: 5 })],
  // One row more tells that there is a next page.
  ["a page", 101, (key) => sent(key, "/v1/trades?symbols=A&limit=100")],
  ["Arrow", TRADES, (key) => sent(key, "/v1/trades?symbols=A&format=arrow")],
  ["a price", 1, (key) => run(key, "get_latest_price", { ticker: "A" })],
  ["prices", 2, (key) => run(key, "get_latest_prices", { tickers: ["A", "B"] })],
  ["SQL", 10, (key) => sent(key, "/v1/sql?sql=SELECT+*+FROM+daily_prices")],
  [
    "SQL that writes",
    4,
    (key) =>
      run(key, "execute_sql", {
        sql_query: "UPDATE daily_prices SET volume = 1 WHERE close < 5",
        query_type: "raw",
      }),
  ],
  ["a deletion", 1, (key) => removedRow(key)],
  ["a replay", 50, (key) => replayed(key)],
];

async function postedRows(key: string, symbol: string, count: number): Promise<Response> {
  return fetch(`${server.url}/v1/trades`, {
    method: "POST",
    headers: { "content-type": "application/json", connection: "close", ...bearer(key) },
    body: JSON.stringify({
      trades: Array.from({ length: count }, (_, i) => ({ S: symbol, t: `${DAY}T16:00:00Z`, p: i + 1, s: 1 })),
    }),
  });
}

async function removedRow(key: string): Promise<Answer> {
  expect((await postedRows(admin, "GONE", 1)).status).toBe(200);
  return run(key, "delete_ticks", { ticker: "GONE", data_type: "trade", all: true });
}

async function replayed(key: string): Promise<void> {
  const range = `start=${DAY}T15:00:00Z&end=${DAY}T15:00:00.049Z&speed=max&types=trade`;
  const socket = new WebSocket(`${server.wsUrl}/ws/replay?symbols=A&${range}`, { headers: bearer(key) });
  await waitUntil("it has ended", () => socket.readyState === WebSocket.CLOSED);
}

test("rows of every way in and out are counted, and after too many the next request waits", async () => {
  const keys = new Map<string, string>();
  for (const [name] of WAYS)
    keys.set(name, await addKey(path, name.replaceAll(/[ /]/g, "-"), "admin", ["--rows", "1/h"]));
  await untilRateLasts(HOUR_MS, 60_000);
  await untilKnown(keys.get(WAYS.at(-1)![0])!);
  const told: [string, number][] = [];
  for (const [name, rows, ask] of WAYS) {
    await ask(keys.get(name)!);
    const refused = await waitUntil(`${name}: the next is refused`, async () => {
      const answer = await get(`${server.url}/v1/tickers`, bearer(keys.get(name)!));
      return answer.status === 429 && answer;
    });
    told.push([
      name,
      Number(/read and written (\d+) rows, of 1, within 3600 s/.exec(refused.body.error)?.[1]),
    ]);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect([name, rows]).toEqual(told.at(-1)!);
  }
  expect((await get(`${server.url}/v1/tickers`, bearer(admin))).status).toBe(200);
});

test("below the bound nothing is refused, and the answer that passes it is whole", async () => {
  const key = await addKey(path, "rows", "read,write", ["--rows", "15/h"]);
  await untilRateLasts(HOUR_MS, 30_000);
  await untilKnown(key);
  const bars = (): Promise<Answer> => run(key, "get_stock_data", { ticker: "A", interval: "daily" });
  expect((await bars()).body.data).toHaveLength(10);
  expect((await bars()).body.data).toHaveLength(10);
  const refused = await bars();
  expect([refused.status, refused.body.error]).toEqual([
    429,
    "the key rows has read and written 20 rows, of 15, within 3600 s, expected no more",
  ]);
  const lines = readFileSync(join(folder.path, "audit_refused.jsonl"), "utf8");
  await waitUntil("the audit tells it", () =>
    readFileSync(join(folder.path, "audit_refused.jsonl"), "utf8").includes('"who":"rows"'),
  );
  expect(lines).toBeString();
  await waitUntil("the metrics count it", async () => {
    const text = await (await fetch(`${server.url}/metrics`, { headers: bearer(admin) })).text();
    return text.includes('stock_db_key_requests_total{key="rows",status="4xx"} 1');
  });
});

interface Moved {
  status: number;
  bytes: number;
}

/** A request, and the bytes of its body and of its answer's as they go over the wire. */
async function movedBy(key: string, door: string, init: RequestInit = {}, body?: string): Promise<Moved> {
  const response = await fetch(server.url + door, {
    ...init,
    ...(body === undefined ? {} : { method: "POST", body }),
    headers: { connection: "close", "content-type": "application/json", ...bearer(key), ...init.headers },
    decompress: false,
  } as BunFetchRequestInit);
  const bytes = (await response.arrayBuffer()).byteLength + Buffer.byteLength(body ?? "");
  return { status: response.status, bytes };
}

const asCommand = (command: string, params: object): string => JSON.stringify({ command, params });
const TICKS = asCommand("get_realtime_data", { ticker: "A", data_type: "trade" });

/** What a WebSocket is sent until it is told to end, and what it says itself. */
async function movedOn(
  key: string,
  door: string,
  { says = "", alsoTold = 0, until }: { says?: string; alsoTold?: number; until(texts: string[]): unknown },
): Promise<Moved> {
  const texts: string[] = [];
  const socket = new WebSocket(server.wsUrl + door, { headers: bearer(key) });
  socket.onmessage = ({ data }) => void texts.push(String(data));
  await waitUntil("something has come", () => texts.length > alsoTold);
  if (says !== "") socket.send(says);
  await waitUntil("all has come", () => until(texts) || socket.readyState === WebSocket.CLOSED);
  await Bun.sleep(100);
  socket.close();
  const bytes = [says, ...texts.slice(alsoTold)].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  return { status: 200, bytes };
}

async function movedByEvents(key: string): Promise<Moved> {
  const abort = new AbortController();
  const headers = bearer(key);
  const { body } = await fetch(`${server.url}/v1/stream?symbols=E`, { headers, signal: abort.signal });
  let bytes = 0;
  const read = (async () => {
    for await (const chunk of body!) bytes += chunk.length;
  })().catch(() => undefined);
  await waitUntil("it has begun", () => bytes > 0);
  const before = bytes;
  await savedTrade("E");
  await waitUntil("the update has come", () => bytes > before);
  await Bun.sleep(100);
  const all = bytes;
  abort.abort();
  await read;
  return { status: 200, bytes: all };
}

let price = 0;

async function savedTrade(ticker: string): Promise<void> {
  const data = [{ timestamp: new Date().toISOString(), price: ++price, size: 1, conditions: ["é"] }];
  const saved = { ticker, data_type: "trade", index_col: "timestamp", data };
  expect((await run(admin, "save_realtime_data", saved)).status).toBe(200);
}

/** Each way to bytes, as many as its client has seen of them. */
const BYTE_WAYS: [name: string, ask: (key: string) => Promise<Moved>][] = [
  ["an answer", (key) => movedBy(key, "/v1/tickers")],
  ["an error", (key) => movedBy(key, "/v1/trades?symbols=A&limit=x")],
  ["a command", (key) => movedBy(key, "/db_command", {}, asCommand("get_latest_price", { ticker: "A" }))],
  ["a save", (key) => movedBy(key, "/db_command", {}, asCommand("save_realtime_data", trades(50)))],
  ["a stream of ticks", (key) => movedBy(key, "/db_command", {}, TICKS)],
  ["a packed one", (key) => movedBy(key, "/db_command", { headers: { "accept-encoding": "gzip" } }, TICKS)],
  [
    "a packed page",
    (key) => movedBy(key, "/v1/trades?symbols=A", { headers: { "accept-encoding": "zstd" } }),
  ],
  ["Alpaca's REST", (key) => movedBy(key, "/v2/stocks/A/trades?start=2024-01-02")],
  [
    "a WebSocket",
    (key) =>
      movedOn(key, "/ws?symbol=A", {
        says: '{"action":"subscribe","symbols":["B"]}',
        // Its first frame passes the bound.
        until: (texts) => texts.some((text) => text.includes("sent and received")),
      }),
  ],
  ["a replay", (key) => movedOn(key, `/ws/replay?symbols=A&speed=max&${RANGE}`, { until: () => false })],
  ["events", (key) => movedByEvents(key)],
  [
    "Alpaca's stream",
    (key) =>
      movedOn(key, "/v2/sip", {
        // It is connected before it is known whose it is.
        alsoTold: 1,
        says: '{"action":"subscribe","trades":["A"]}',
        until: (texts) => texts.some((text) => text.includes('"subscription"')),
      }),
  ],
];
const RANGE = `start=${DAY}T15:00:00Z&end=${DAY}T15:00:00.049Z`;

const byteKey = (name: string): string => `bytes-of-${name.replaceAll(/[ /']/g, "-")}`;

test("bytes of every way in and out are counted, and after too many the next request waits", async () => {
  const keys = new Map<string, string>();
  for (const [name] of BYTE_WAYS)
    keys.set(name, await addKey(path, byteKey(name), "admin", ["--bytes", "100B/h"]));
  const last = await addKey(path, "last", "admin");
  await untilRateLasts(HOUR_MS, 60_000);
  await untilKnown(last);
  for (const [name, ask] of BYTE_WAYS) {
    const key = keys.get(name)!;
    const { bytes } = await ask(key);
    // Smaller ones reach the bound by themselves with the next one.
    const more = bytes >= 100 ? 0 : (await movedBy(key, "/v1/tickers?limit=1000")).bytes;
    const refused = await get(`${server.url}/v1/tickers`, { connection: "close", ...bearer(key) });
    expect([name, refused.status, refused.body.error]).toEqual([
      name,
      429,
      `the key ${byteKey(name)} has sent and received ${bytes + more} bytes, of 100, within 3600 s, expected no more`,
    ]);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  }
  expect((await get(`${server.url}/v1/tickers`, bearer(last))).status).toBe(200);
});

test("live updates count for a key with a bound, go on beyond it, and come as everybody else's", async () => {
  const key = await addKey(path, "live", "read,stream", ["--bytes", "1k/h"]);
  const later = await addKey(path, "later", "read");
  await untilRateLasts(HOUR_MS, 60_000);
  await untilKnown(later);
  const open = (by: string): { texts: string[]; socket: WebSocket } => {
    const texts: string[] = [];
    const socket = new WebSocket(`${server.wsUrl}/ws?symbols=L`, { headers: bearer(by) });
    socket.onmessage = ({ data }) => void texts.push(String(data));
    return { texts, socket };
  };
  const others = [open(admin), open(admin)];
  const bound = open(key);
  await waitUntil("all are open", () => [...others, bound].every(({ texts }) => texts.length > 0));
  const updates = ({ texts }: { texts: string[] }): string[] =>
    texts.filter((text) => text.includes('"payload"') && !text.includes("snapshot"));
  for (let i = 0; i < 20; i++) await savedTrade("L");
  await waitUntil("all have come", () => [...others, bound].every((one) => updates(one).length === 20));
  expect(updates(bound)).toEqual(updates(others[0]!));
  const refused = await get(`${server.url}/v1/tickers`, { connection: "close", ...bearer(key) });
  const moved = Number(/sent and received (\d+) bytes, of 1000, /.exec(refused.body.error)?.[1]);
  expect([refused.status, moved > 1000]).toEqual([429, true]);
  bound.socket.send(JSON.stringify({ action: "subscribe", symbols: ["A"] }));
  await waitUntil("nothing more can be subscribed to", () =>
    bound.texts.some((text) => text.includes("sent and received")),
  );
  await savedTrade("L");
  await waitUntil("what it has goes on", () => updates(bound).length === 21);
  for (const { socket } of [...others, bound]) socket.close();
});

test("WebSockets and streams of events of a key are counted over all workers", async () => {
  const key = await addKey(path, "sockets", "read,stream", ["--sockets", "3"]);
  await untilKnown(key);
  const headers = bearer(key);
  const opened: WebSocket[] = [];
  const open = async (door: string): Promise<boolean> => {
    const socket = new WebSocket(server.wsUrl + door, { headers });
    await waitUntil("an end of the handshake", () => socket.readyState !== WebSocket.CONNECTING);
    opened.push(socket);
    return socket.readyState === WebSocket.OPEN;
  };
  const heard: Json[] = [];
  const alpaca = new WebSocket(`${server.wsUrl}/v2/sip`, { headers });
  alpaca.onmessage = ({ data }) => heard.push(...JSON.parse(String(data)));
  await waitUntil("it is let in", () => heard.length >= 2);
  expect(heard[1]).toMatchObject({ msg: "authenticated" });
  expect(await open("/ws?symbol=A")).toBe(true);
  const abort = new AbortController();
  const events = await fetch(`${server.url}/v1/stream?symbols=A`, { headers, signal: abort.signal });
  expect([events.status, events.headers.get("content-type")]).toEqual([
    200,
    expect.stringContaining("event-stream"),
  ]);
  // A response that nobody reads may be given up, and its place with it.
  const read = events.text().catch(() => null);
  for (let i = 0; i < 4; i++) expect(await open("/ws?symbol=A")).toBe(false);
  const replay = "/ws/replay?symbols=A&start=2024-01-02&end=2024-01-03";
  expect(await open(replay)).toBe(false);
  const refused = await get(`${server.url}/v1/stream?symbols=A`, headers);
  expect([refused.status, refused.body.error]).toEqual([
    429,
    "/v1/stream: the key sockets has 3 WebSockets and streams open already, expected no more",
  ]);
  const second = new WebSocket(`${server.wsUrl}/v2/sip`, { headers });
  const told: Json[] = [];
  second.onmessage = ({ data }) => told.push(...JSON.parse(String(data)));
  await waitUntil("it is refused", () => second.readyState === WebSocket.CLOSED);
  expect(told.at(-1)).toMatchObject({ T: "error", code: 406 });
  expect((await get(`${server.url}/v1/tickers`, headers)).status).toBe(200);
  for (const leave of [() => alpaca.close(), () => abort.abort(), () => opened[0]!.close()]) {
    leave();
    await waitUntil("there is room for one more", () => open("/ws?symbol=A"));
  }
  expect(await open("/ws?symbol=A")).toBe(false);
  for (const socket of opened) socket.close();
  await read;
});

test("updates of before are rows too, and an exhausted key subscribes to nothing more", async () => {
  const key = await addKey(path, "recovering", "read,stream", ["--rows", "3/h"]);
  await untilRateLasts(HOUR_MS, 30_000);
  await untilKnown(key);
  for (let n = 0; n < 5; n++)
    await run(admin, "save_realtime_data", {
      ...{ ticker: "R", data_type: "trade", index_col: "timestamp" },
      data: [{ timestamp: `${DAY}T15:00:0${n}Z`, price: n + 1, size: 1 }],
    });
  const heard: Json[] = [];
  const socket = new WebSocket(`${server.wsUrl}/ws?symbol=R&since=0`, { headers: bearer(key) });
  socket.onmessage = ({ data }) => heard.push(JSON.parse(String(data)));
  await waitUntil("what was missed has come", () => heard.some(({ seq, data }) => seq === 5 && data.payload));
  expect((await get(`${server.url}/v1/tickers`, bearer(key))).status).toBe(429);
  socket.send(JSON.stringify({ action: "subscribe", symbols: ["A"], since: { A: 0 } }));
  await waitUntil("it is refused", () =>
    heard.some(({ type, error }) => type === "error" && String(error).includes("read and written 5 rows")),
  );
  socket.close();
});

test("a login of an Alpaca stream is a request of the key", async () => {
  const key = await addKey(path, "logins", "stream", ["--rate", "2/h"]);
  await untilRateLasts(HOUR_MS, 30_000);
  await waitUntil("the key is known", async () => (await lastOf(key)).msg === "authenticated");
  await waitUntil("it has used its rate", async () => (await lastOf(key)).code === 406);
  expect(await lastOf(key)).toMatchObject({ T: "error", code: 406 });
});

/** What a login is answered at last. */
async function lastOf(key: string): Promise<Json> {
  const told: Json[] = [];
  const socket = new WebSocket(`${server.wsUrl}/v2/sip`, { headers: bearer(key) });
  socket.onmessage = ({ data }) => told.push(...JSON.parse(String(data)));
  await waitUntil("it is answered", () =>
    told.some(({ T, msg }) => T === "error" || msg === "authenticated"),
  );
  socket.close();
  return told.at(-1)!;
}

test("keys list shows the limits, rotation keeps them, and older files are read", async () => {
  const made = join(folder.path, "list.keys");
  await addKey(made, "bot", "read", [
    ...["--rows", "1M/min", "--bytes", "500MB/min", "--sockets", "20", "--rate", "5k/min"],
  ]);
  const told = await runCli([
    ...["keys", "add", "told", "--may", "read", "--rows", "1M/min", "--bytes", "2GB/h", "--sockets", "2"],
    ...["--keys", join(folder.path, "told.keys")],
  ]);
  expect(told.stdout).toContain("may read, at most 1M/min rows, 2GB/h sent and received, 2 WebSockets");
  const list = async (): Promise<string> => (await runCli(["keys", "list", "--keys", made])).stdout;
  expect(await list()).toMatch(/RATE +ROWS +BYTES +SOCKETS[\s\S]*5k\/min +1M\/min +500MB\/min +20 /);
  await runCli(["keys", "rotate", "bot", "--keys", made]);
  expect((await list()).match(/500MB\/min +20 /g)).toHaveLength(2);
  const file = JSON.parse(readFileSync(made, "utf8")) as Json;
  for (const key of file.keys) for (const member of ["rows", "bytes", "sockets", "rate"]) delete key[member];
  writeFileSync(made, JSON.stringify(file));
  expect(await list()).toMatch(/all +- +- +- +- +/);
  for (const [flag, value] of [
    ["--rows", "0/s"],
    ["--rows", "5G/s"],
    ["--rows", "2000M/h"],
    ["--bytes", "0/s"],
    ["--bytes", "500/day"],
    ["--bytes", "5T/h"],
    ["--sockets", "0"],
    ["--sockets", "many"],
  ]) {
    const { code, stderr } = await runCli([
      "keys",
      "add",
      "x",
      "--may",
      "read",
      flag!,
      value!,
      "--keys",
      made,
    ]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(`${flag} "${value}": expected`)]);
  }
});
