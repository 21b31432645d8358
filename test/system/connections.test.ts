/** `/v1/connections`: who is connected to any worker, how far behind, and the end of one. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { CLOSE_ENDED } from "../../src/protocol/codes.ts";
import { AlpacaStream } from "../support/alpaca-stream.ts";
import { usePostgres } from "../support/postgres.ts";
import { RawWebSocket } from "../support/raw-web-socket.ts";
import { command, fillTicks, get, type Json, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

const REASON = "an operator has ended this connection";
/** Runs until it is stopped. */
const ENDLESS =
  "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1e12) SELECT count(*) FROM n";

async function list({ url }: RunningServer, query = ""): Promise<Json> {
  const { status, body } = await get(`${url}/v1/connections${query}`);
  expect([status, body.error]).toEqual([200, undefined]);
  return body;
}

async function listed(server: RunningServer, query = ""): Promise<Json[]> {
  return (await list(server, query)).connections;
}

async function end({ url }: RunningServer, id: string, headers: object = {}) {
  const answer = await fetch(`${url}/v1/connections/${id}`, {
    method: "DELETE",
    headers: { connection: "close", ...headers },
  });
  return { status: answer.status, body: (await answer.json()) as Json };
}

/** So many at each of two workers, by chance; both have some. */
async function socketsAtBothWorkers(server: RunningServer): Promise<Map<string, RawWebSocket>> {
  const sockets: RawWebSocket[] = [];
  await waitUntil("both workers have some", async () => {
    const headers = { "User-Agent": `desk/${sockets.length}` };
    sockets.push(await RawWebSocket.open(server.port, "/ws?symbols=A,B&slow=gap", { headers }));
    const workers = (await listed(server, "?kind=websocket")).map(({ worker }) => worker);
    return new Set(workers).size === 2;
  });
  return new Map(sockets.map((socket, i) => [`desk/${i}`, socket]));
}

test("every worker lists the connections of all, and ends those of the other", async () => {
  await using server = await startServer({ workers: 2, flags: ["--audit-log", "audit.jsonl"] });
  const sockets = await socketsAtBothWorkers(server);
  const all = await listed(server);
  expect(all).toHaveLength(sockets.size);
  expect(new Set(all.map(({ id }) => id)).size).toBe(sockets.size);
  expect(all[0]).toMatchObject({
    ...{ kind: "websocket", path: "/ws", key: "-", address: "127.0.0.1" },
    ...{ subscriptions: 2, tickers: ["A", "B"], policy: "gap" },
    ...{ queue: 0, queue_bytes: 0, lag_s: 0, lag_updates: 0, folded: 0, gaps: 0 },
  });
  expect(all[0].port).toBeGreaterThan(1_023);
  expect(all.map(({ user_agent }) => user_agent).sort()).toEqual([...sockets.keys()].sort());
  expect(Math.abs(Date.parse(all[0].since) - Date.now())).toBeLessThan(60_000);
  // Whichever worker answers, it is the same list with the same ids.
  const idsOf = (some: Json[]): string[] => some.map(({ id }) => id).sort();
  for (let i = 0; i < 12; i++) {
    const { connections, workers, silent, left_out } = await list(server);
    expect([idsOf(connections), silent, left_out]).toEqual([idsOf(all), [], 0]);
    expect(workers.map(({ worker }: Json) => worker)).toEqual([0, 1]);
    expect(workers.map(({ pid }: Json) => pid).sort()).toEqual(processesOf(server).workers.sort());
  }
  for (const { id, user_agent: name, worker } of all) {
    const { status, body } = await end(server, id);
    expect([status, body.ended]).toEqual([200, { id, worker, ...ENDED }]);
    const socket = sockets.get(name)!;
    await waitUntil("closed", () => socket.closeFrame !== null);
    expect(socket.closeFrame).toMatchObject({ code: CLOSE_ENDED, reason: REASON });
    expect(socket.errors).toEqual(["ended_by_operator"]);
    socket[Symbol.dispose]();
    await waitUntil("gone", async () => (await end(server, id)).status === 404);
  }
  expect(await listed(server)).toEqual([]);
  using _next = await RawWebSocket.open(server.port, "/ws?symbols=A");
  const [other] = await listed(server);
  expect(idsOf(all)).not.toContain(other.id);
  const told = () => readFileSync(join(server.dir, "audit.jsonl"), "utf8").trimEnd().split("\n");
  await waitUntil(
    "all are told",
    () => told().filter((line) => line.includes('"end"')).length === all.length,
  );
  expect(JSON.parse(told().find((line) => line.includes(all[0].id))!)).toMatchObject({
    ...{ what: "end", who: "-", from: "127.0.0.1", outcome: "ok", kind: "websocket" },
  });
  // The audit is closed before its folder is gone.
  await server.stop();
});

const ENDED = { kind: "websocket", key: "-", address: "127.0.0.1" };

test("streams, replays and Alpaca's clients are listed as what they are, and end", async () => {
  await using server = await startServer();
  for (const [price, stamp] of [
    ["1", "2024-01-02T10:00:00Z"],
    ["2", "2024-01-02T20:00:00Z"],
  ] as const)
    expect((await saveTrade(server.url, "A", Number(price), stamp)).status).toBe(200);
  using alpaca = await AlpacaStream.open(`${server.wsUrl}/v2/sip`, { codec: "json" });
  const stream = await fetch(`${server.url}/v1/stream?symbols=A`);
  using replay = await RawWebSocket.open(
    server.port,
    "/ws/replay?symbols=A&start=2024-01-02&end=2024-01-03&speed=1",
  );
  const byKind = async (): Promise<Map<string, Json>> =>
    new Map((await listed(server)).map((one) => [one.kind, one]));
  await waitUntil("all are listed", async () => (await byKind()).size === 3);
  const kinds = await byKind();
  expect(kinds.get("alpaca")).toMatchObject({ path: "/v2/sip", key: null, policy: "disconnect" });
  expect(kinds.get("stream")).toMatchObject({ path: "/v1/stream", subscriptions: 1, tickers: ["A"] });
  expect(kinds.get("replay")).toMatchObject({ path: "/ws/replay", subscriptions: 1, tickers: ["A"] });
  for (const { id } of kinds.values()) expect((await end(server, id)).status).toBe(200);
  await waitUntil("closed", () => alpaca.closed !== null && replay.closeFrame !== null);
  expect([alpaca.closed, replay.closeFrame]).toMatchObject([{ code: CLOSE_ENDED }, { code: CLOSE_ENDED }]);
  expect(await stream.text()).toContain(`"code":"ended_by_operator","error":"${REASON}"`);
  replay[Symbol.dispose]();
  await waitUntil("none is left", async () => (await listed(server)).length === 0);
});

const postgres = usePostgres();
const STATEMENTS: [engine: string, queryType: string, dbFile: () => string | Promise<string>, sql: string][] =
  [
    ["SQLite", "select", () => "a.db", ENDLESS],
    ["SQLite", "raw", () => "a.db", ENDLESS],
    [
      "DuckDB",
      "select",
      () => "a.duckdb",
      "SELECT count(*) FROM range(100000000000000) t(i) WHERE hash(i) = 1",
    ],
    ["PostgreSQL", "select", () => postgres.freshSchema(), "SELECT pg_sleep(3600)"],
  ];

test.each(STATEMENTS)(
  "a statement under way on %s (%s) is listed, and stopped with an error that says so",
  async (_, queryType, dbFile, sql) => {
    await using server = await startServer({ dbFile: await dbFile() });
    const asked = command(server.url, "execute_sql", { sql_query: sql, query_type: queryType });
    const [statement] = await waitUntil("it runs", async () => {
      const found = await listed(server, "?kind=sql");
      return found.length === 1 && found[0].running_s > 0.2 && found;
    });
    expect(statement).toMatchObject({ what: "execute_sql", sql, key: "-", path: "/db_command" });
    expect((await end(server, statement.id)).status).toBe(200);
    const { status, body, headers } = await asked;
    expect([status, body.error]).toEqual([503, expect.stringContaining("an operator has ended it")]);
    expect(headers.get("retry-after")).toBeNull();
    await waitUntil("none is left", async () => (await listed(server)).length === 0);
    expect((await get(`${server.url}/v1/sql?sql=SELECT+1+AS+one`)).status).toBe(200);
  },
);

test("a large answer that its client doesn't take is listed, and broken off", async () => {
  await using server = await startServer();
  expect((await fillTicks(server.url, "BIG", 200_000)).status).toBe(200);
  const socket = connect(server.port, "127.0.0.1");
  const over = Promise.withResolvers<void>();
  socket.on("error", () => {});
  socket.on("close", () => over.resolve());
  socket.pause();
  socket.write("GET /v1/trades?symbols=BIG HTTP/1.1\r\nHost: localhost\r\nUser-Agent: slow/1\r\n\r\n");
  const [answer] = await waitUntil("it is under way", async () => {
    const found = await listed(server, "?kind=request");
    return found.length === 1 && found[0].queue_bytes > 1e6 && found;
  });
  expect(answer).toMatchObject({ path: "/v1/trades", what: "/v1/trades", user_agent: "slow/1" });
  expect(answer.sent_bytes).toBeGreaterThan(0);
  expect((await end(server, answer.id)).status).toBe(200);
  await waitUntil("none is left", async () => (await listed(server)).length === 0);
  let text = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    text = text.slice(-100) + chunk;
  });
  socket.resume();
  await over.promise;
  // Without the last chunk of the answer, the client sees that it is incomplete.
  expect(text).not.toEndWith("0\r\n\r\n");
});

test("a slow reader stands first, with what waits for it and for how long", async () => {
  await using server = await startServer();
  const flags = "slow=conflate";
  using quick = await RawWebSocket.open(server.port, `/ws?symbols=A&${flags}`, { keepMax: 1 });
  using slow = await RawWebSocket.openDeaf(server.port, `/ws?symbols=A&${flags}`);
  let saves = 0;
  const save = () => {
    const begin = Date.UTC(2024, 0, 2) + saves++ * 10_000;
    const data = Array.from({ length: 10_000 }, (_, i) => ({
      timestamp: new Date(begin + i).toISOString(),
      price: 1,
      size: 1,
    }));
    return command(server.url, "save_realtime_data", {
      ...{ ticker: "A", data_type: "trade", index_col: "timestamp", data },
    });
  };
  const [first, second] = await waitUntil("updates are folded", async () => {
    expect((await save()).status).toBe(200);
    const all = await listed(server);
    return all[0].queue > 2 && all;
  });
  expect(first).toMatchObject({ policy: "conflate", gaps: 0 });
  expect(first.lag_updates).toBe(first.queue);
  // Besides, of what was sent before.
  expect(first.folded).toBeGreaterThanOrEqual(first.queue - 1);
  expect(first.queue_bytes).toBeGreaterThan(64 * 1024);
  expect(first.lag_s).toBeGreaterThan(0);
  expect(second).toMatchObject({ folded: 0, lag_s: 0, queue_bytes: 0 });
  const metrics = await waitUntil("the metrics tell it", async () => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    return /stock_db_subscriber_lag_seconds\{policy="conflate"\} 0*[1-9.]/.test(text) && text;
  });
  expect(metrics).toMatch(/stock_db_subscribers\{policy="conflate"\} 2\n/);
  expect(metrics).toMatch(/stock_db_subscriber_queue\{policy="conflate"\} [1-9]/);
  expect(metrics).toMatch(/stock_db_updates_folded_total [1-9]/);
  // One that comes back has the rest of the log before it.
  for (let i = 0; i < 4; i++) expect((await save()).status).toBe(200);
  using _back = await RawWebSocket.openDeaf(server.port, "/ws?symbols=A&since=1&types=trade");
  const behind = await waitUntil("it waits for room", async () => {
    const found = (await listed(server)).find(({ policy }) => policy === "disconnect");
    return found?.lag_updates > 0 && found;
  });
  expect(behind).toMatchObject({ queue: 0, folded: 0, gaps: 0 });
  expect((await end(server, behind.id)).status).toBe(200);
  // Also one that reads nothing is gone soon.
  expect((await end(server, first.id)).status).toBe(200);
  await waitUntil("it is gone", async () => (await listed(server)).length === 1);
  slow.readAgain();
  expect(quick.ended).toBe(false);
});

test("a stream whose client takes nothing is ended at once", async () => {
  await using server = await startServer();
  const socket = connect(server.port, "127.0.0.1");
  const over = Promise.withResolvers<void>();
  socket.on("error", () => {});
  socket.on("close", () => over.resolve());
  socket.pause();
  socket.write("GET /v1/stream?symbols=A&slow=conflate HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await waitUntil("it is open", async () => (await listed(server)).length === 1);
  let stamp = Date.UTC(2024, 0, 2);
  const [stream] = await waitUntil("it is behind", async () => {
    const data = Array.from({ length: 10_000 }, () => ({
      ...{ timestamp: new Date(stamp++).toISOString(), price: 1, size: 1 },
    }));
    const save = { ticker: "A", data_type: "trade", index_col: "timestamp", data };
    expect((await command(server.url, "save_realtime_data", save)).status).toBe(200);
    const all = await listed(server);
    return all[0].lag_s > 1 && all;
  });
  expect(stream).toMatchObject({ kind: "stream", policy: "conflate" });
  expect((await end(server, stream.id)).status).toBe(200);
  expect(await listed(server)).toEqual([]);
  socket.resume();
  await over.promise;
});

test("a list is bounded, and can be of a kind, a key or an address", async () => {
  await using server = await startServer({ flags: ["--trust-proxy", "127.0.0.1"] });
  const from = (address: string) => ({ headers: { "X-Forwarded-For": address } });
  const opened = [];
  for (const address of ["10.0.0.1", "10.0.0.1", "10.0.0.2"])
    opened.push(await RawWebSocket.open(server.port, "/ws?symbols=A", from(address)));
  const { connections, left_out } = await list(server, "?limit=2");
  expect([connections.length, left_out]).toEqual([2, 1]);
  expect((await listed(server, "?address=10.0.0.1")).map(({ address }) => address)).toEqual([
    "10.0.0.1",
    "10.0.0.1",
  ]);
  expect(await listed(server, "?kind=sql")).toEqual([]);
  expect(await listed(server, "?key=desk")).toEqual([]);
  for (const [query, error] of [
    ["limit=0", "limit: got"],
    ["limit=1001", "limit: got"],
    ["kind=none", "kind: got"],
    ["kinds=sql", "kind?"],
  ] as const) {
    const { status, body } = await get(`${server.url}/v1/connections?${query}`);
    expect([status, body.error]).toEqual([400, expect.stringContaining(error)]);
  }
  for (const socket of opened) socket[Symbol.dispose]();
});

test("pages of other sites see no list and end nothing", async () => {
  await using server = await startServer();
  using _socket = await RawWebSocket.open(server.port, "/ws?symbols=A");
  const [{ id }] = (await listed(server)) as [Json];
  const foreign = { origin: "https://other.example" };
  expect((await get(`${server.url}/v1/connections`, foreign)).status).toBe(403);
  expect((await end(server, id, foreign)).status).toBe(403);
  expect((await end(server, id, { "sec-fetch-site": "cross-site" })).status).toBe(403);
  expect(await listed(server)).toHaveLength(1);
});

test("a worker that stands still is named, and a hub that does is not needed", async () => {
  await using server = await startServer({ workers: 2, flags: ["--liveness-timeout", "60"] });
  const sockets = await socketsAtBothWorkers(server);
  const { hub, workers } = processesOf(server);
  process.kill(hub, "SIGSTOP");
  try {
    expect(await listed(server)).toHaveLength(sockets.size);
  } finally {
    process.kill(hub, "SIGCONT");
  }
  const all = await list(server);
  const { pid: stopped, worker } = all.workers.find(({ pid }: Json) => pid === workers[0]);
  const lost = all.connections.find((one: Json) => one.worker === worker);
  // On a connection to the other one, which stays.
  const ask = await keptConnectionTo(server, stopped);
  process.kill(stopped, "SIGSTOP");
  try {
    const answer = await ask("GET", "");
    expect(answer.body.silent).toEqual([`worker ${worker}`]);
    expect(answer.body.connections).toHaveLength(
      all.connections.filter((one: Json) => one.worker !== worker).length,
    );
    expect(await ask("DELETE", `/${lost.id}`)).toMatchObject({
      status: 503,
      body: { error: expect.stringContaining(`worker ${worker}`) },
    });
  } finally {
    process.kill(stopped, "SIGCONT");
  }
  for (const socket of sockets.values()) socket[Symbol.dispose]();
});

test("a worker that was killed leaves no socket to its successors", async () => {
  using dir = tempDir();
  await using server = await startServer({ workers: 2, env: { XDG_RUNTIME_DIR: dir.path } });
  const [killed] = processesOf(server).workers;
  process.kill(killed!, "SIGKILL");
  await waitUntil("another one serves", async () => {
    const { workers } = processesOf(server);
    return workers.length === 2 && !workers.includes(killed!) && (await list(server)).workers.length === 2;
  });
  const [folder] = readdirSync(dir.path);
  const doors = readdirSync(join(dir.path, folder!)).filter((name) => name.startsWith("worker-"));
  const expected = processesOf(server).workers.map((pid) => `worker-${pid}.sock`);
  expect(doors.sort()).toEqual(expected.sort());
});

/** A connection to the worker that isn't `other`. */
async function keptConnectionTo(server: RunningServer, other: number) {
  return waitUntil("a connection to the other worker", async () => {
    const socket = connect(server.port, "127.0.0.1");
    const ask = async (method: string, path: string): Promise<{ status: number; body: Json }> => {
      const answered = Promise.withResolvers<{ status: number; body: Json }>();
      let text = "";
      socket.removeAllListeners("data").on("data", (chunk) => {
        text += chunk;
        const [head, body = ""] = text.split("\r\n\r\n");
        const length = Number(/content-length: (\d+)/i.exec(head!)?.[1] ?? Number.NaN);
        if (Buffer.byteLength(body) === length)
          answered.resolve({ status: Number(head!.split(" ")[1]), body: JSON.parse(body) });
      });
      socket.write(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      return answered.promise;
    };
    const { body } = await ask("GET", "/live");
    if (body.process.pid !== other)
      return (method: string, path: string) => ask(method, `/v1/connections${path}`);
    socket.destroy();
    return null;
  });
}
