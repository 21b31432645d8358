/** User-written SQL of one server together: in memory, in number, and by client address. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { usePostgres } from "../support/postgres.ts";
import { allPids, readProc, statOf } from "../support/processes.ts";
import { command, fillTicks, get, runSql } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { roleOf } from "../support/server-processes.ts";

setDefaultTimeout(240_000);

const postgres = usePostgres();

/** Takes 1.2 GB, if it gets it, and then fails. */
const BOMB =
  "SELECT length(group_concat(hex(zeroblob(200000000)))) FROM (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3)";
const ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";
/** What is written at the end of a chunked body, and only there. */
const LAST_CHUNK = "0\r\n\r\n";
const MIB = 2 ** 20;

/** The process that was started, and all that came from it. */
function processesWith(root: number): number[] {
  const children = allPids().filter((pid) => statOf(pid)?.parent === root);
  return [root, ...children.flatMap(processesWith)];
}

function residentMb(pids: number[]): number {
  const kilobytes = pids.map((pid) => Number(/^VmRSS:\s+(\d+) kB/m.exec(readProc(pid, "status"))?.[1] ?? 0));
  return kilobytes.reduce((sum, kb) => sum + kb, 0) / 1024;
}

/** Peaks of the sums, of the whole server and of its SQL runners, while the work goes on. */
async function peaksDuring(
  server: RunningServer,
  work: Promise<unknown>,
): Promise<{ allMb: number; runnersMb: number; runners: number }> {
  const peaks = { allMb: 0, runnersMb: 0, runners: 0 };
  let over = false;
  void work.finally(() => {
    over = true;
  });
  while (!over) {
    const pids = processesWith(server.pid);
    const runners = pids.filter((pid) => roleOf(pid) === "sql-runner");
    peaks.allMb = Math.max(peaks.allMb, residentMb(pids));
    peaks.runnersMb = Math.max(peaks.runnersMb, residentMb(runners));
    peaks.runners = Math.max(peaks.runners, runners.length);
    await Bun.sleep(10);
  }
  return peaks;
}

/** From an address of its own; the answer is left unread. */
function askSlowly(server: RunningServer, body: string, localAddress: string): Socket {
  const socket = connect({ port: server.port, host: "127.0.0.1", localAddress });
  socket.on("error", () => {});
  socket.pause();
  socket.write(
    `POST /db_command HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  return socket;
}

function sqlBody(sql: string): string {
  return JSON.stringify({ command: "execute_sql", params: { sql_query: sql, query_type: "select" } });
}

/** The rest of what comes, to the end of the connection. */
async function readRest(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (data: Buffer) => {
    text += data.toString("latin1");
  });
  const ended = new Promise((resolve) => socket.on("close", resolve));
  socket.resume();
  await ended;
  return text;
}

/** The body of a chunked answer. */
function unchunked(answer: string): string {
  let at = answer.indexOf("\r\n\r\n") + 4;
  let body = "";
  for (;;) {
    const lineEnd = answer.indexOf("\r\n", at);
    const length = Number.parseInt(answer.slice(at, lineEnd), 16);
    if (length === 0) return body;
    body += answer.slice(lineEnd + 2, lineEnd + 2 + length);
    at = lineEnd + 2 + length + 2;
  }
}

async function poolOf(server: RunningServer) {
  return (await get(`${server.url}/stats/pool`)).body;
}

test.each([
  { workers: 1, bombs: 4, memoryMb: 1024 },
  // More than run at once.
  { workers: 1, bombs: 13, memoryMb: 2048 },
  { workers: 3, bombs: 13, memoryMb: 2048 },
])("$bombs memory bombs on $workers workers stay within $memoryMb MB, others are answered", async (run) => {
  const flags = ["--memory-mb", String(run.memoryMb), "--log-level", "WARNING"];
  await using server = await startServer({ workers: run.workers, flags });
  const bombs = Promise.all(Array.from({ length: run.bombs }, () => runSql(server.url, BOMB)));
  const probes: number[] = [];
  const probing = (async () => {
    for (let i = 0; i < 10; i++) {
      probes.push((await command(server.url, "get_latest_price", { ticker: "AAPL" })).status);
      await Bun.sleep(50);
    }
  })();
  const peaks = await peaksDuring(server, Promise.all([bombs, probing]));
  console.log(`sql-memory.test.ts: ${JSON.stringify({ ...run, ...peaks })}`);
  for (const { status, body, headers } of await bombs) {
    expect([400, 503]).toContain(status);
    expect(body.error).toMatch(/memory|too big|waiting/);
    if (status === 503) expect(headers.get("retry-after")).not.toBeNull();
  }
  expect(new Set(probes)).toEqual(new Set([200]));
  expect(peaks.allMb).toBeLessThan(run.memoryMb);
  if (server.log().includes("killed: memory limit"))
    expect(server.log()).toMatch(
      /killed: memory limit: SELECT length\(group_concat\(hex\(zeroblob\(\?\)\)\)\)/,
    );
  expect(peaks.runners).toBeLessThanOrEqual(10 + run.workers);
  expect((await runSql(server.url, "SELECT 1 AS one")).body.data).toEqual([{ one: 1 }]);
});

test("a statement that takes little is not blamed for one that takes much", async () => {
  await using server = await startServer({ flags: ["--memory-mb", "1024"] });
  const small = runSql(
    server.url,
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 8000000) SELECT count(*) AS n FROM c",
  );
  const bombs = await Promise.all([runSql(server.url, BOMB), runSql(server.url, BOMB)]);
  for (const { status } of bombs) expect([400, 503]).toContain(status);
  expect((await small).body.data).toEqual([{ n: 8_000_000 }]);
});

test.each([1, 3])(
  "endless statements of one address leave turns to others, on %d workers",
  async (workers) => {
    await using server = await startServer({ workers, flags: ["--db-pool-size", "4"] });
    const greedy = Array.from({ length: 12 }, () => askSlowly(server, sqlBody(ENDLESS), "127.0.0.2"));
    await waitUntil("its share runs", async () => (await poolOf(server)).sql.statements.running === 3);
    for (let i = 0; i < 6; i++) {
      const { status, body } = await runSql(server.url, "SELECT 1 AS one");
      expect({ status, data: body.data }).toEqual({ status: 200, data: [{ one: 1 }] });
    }
    expect((await poolOf(server)).sql.statements).toMatchObject({ running: 3, max: 4, max_per_address: 3 });
    for (const socket of greedy) socket.destroy();
    await waitUntil("nothing runs or waits", async () => {
      const { running, waiting } = (await poolOf(server)).sql.statements;
      return running === 0 && waiting === 0;
    });
  },
);

test("an address with too many waiting statements gets 429, others don't", async () => {
  await using server = await startServer({ flags: ["--db-pool-size", "2"] });
  const greedy = Array.from({ length: 65 }, () => askSlowly(server, sqlBody(ENDLESS), "127.0.0.2"));
  await waitUntil("64 wait", async () => (await poolOf(server)).sql.statements.waiting === 64);
  const refused = await readRest(askSlowly(server, sqlBody("SELECT 1"), "127.0.0.2"));
  expect(refused).toStartWith("HTTP/1.1 429");
  expect(refused).toContain("64 statements of 127.0.0.2 are waiting already");
  expect((await runSql(server.url, "SELECT 1 AS one")).status).toBe(200);
  for (const socket of greedy) socket.destroy();
});

/** Answers of 12 MB, of which buffers of the kernel take some. */
const ROWS = 300_000;
const LARGE = `WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ${ROWS}) SELECT x, 'some text to fill it' AS t FROM c`;

/** DuckDB's recursion takes its time. */
const LARGE_ON_DUCKDB = `SELECT range + 1 AS x, 'some text to fill it' AS t FROM range(${ROWS})`;
/** More than run at once, of all addresses. */
const SLOW_CLIENTS = 6;
const SPOOLED_BYTES = SLOW_CLIENTS * 2 * MIB;

test.each([
  { engine: "SQLite", dbFile: undefined, workers: 1 },
  { engine: "SQLite", dbFile: undefined, workers: 3 },
  { engine: "DuckDB", dbFile: "test.duckdb", workers: 1 },
  { engine: "PostgreSQL", dbFile: "", workers: 1 },
])(
  "slow readers keep nobody waiting, and get all of their answer: $engine, $workers workers",
  async (run) => {
    const { workers } = run;
    const dbFile = run.engine === "PostgreSQL" ? await postgres.freshSchema() : run.dbFile;
    const flags = ["--db-pool-size", "4"];
    await using server = await startServer({ workers, flags, ...(dbFile === undefined ? {} : { dbFile }) });
    const slow = Array.from({ length: SLOW_CLIENTS }, () =>
      askSlowly(server, sqlBody(run.engine === "DuckDB" ? LARGE_ON_DUCKDB : LARGE), "127.0.0.2"),
    );
    await waitUntil("all answers are spooled", async () => {
      const { sql, spool } = await poolOf(server);
      const { running, waiting } = sql.statements;
      return running === 0 && waiting === 0 && spool.spooled_bytes_all > SPOOLED_BYTES;
    });
    expect((await runSql(server.url, "SELECT 1 AS one")).status).toBe(200);
    const answer = await readRest(slow[0]!);
    const { data } = JSON.parse(unchunked(answer));
    expect(data).toHaveLength(ROWS);
    expect(data.every(({ x }: { x: number }, i: number) => x === i + 1)).toBe(true);
    for (const socket of slow) socket.destroy();
    await waitUntil("the spool is empty", async () => (await poolOf(server)).spool.spooled_bytes_all === 0);
  },
);

test("large reads of slow clients keep no connection", async () => {
  await using server = await startServer({ flags: ["--db-pool-size", "2"] });
  expect((await fillTicks(server.url, "BIG", 100_000)).status).toBe(200);
  const body = JSON.stringify({
    command: "get_realtime_data",
    params: { ticker: "BIG", data_type: "trade" },
  });
  const slow = Array.from({ length: 4 }, () => askSlowly(server, body, "127.0.0.2"));
  await waitUntil("all are spooled", async () => (await poolOf(server)).spool.spooled_answers === 4);
  await waitUntil("no connection is held", async () => (await poolOf(server)).active_connections === 1);
  const all = await command(server.url, "get_realtime_data", { ticker: "BIG", data_type: "trade" });
  expect(all.body.data).toHaveLength(100_000);
  expect(JSON.parse(unchunked(await readRest(slow[1]!)))).toEqual(all.body);
  for (const socket of slow) socket.destroy();
  await waitUntil("the spool is empty", async () => (await poolOf(server)).spool.spooled_answers === 0);
});

test("a spool that is full breaks the answer off, and it can't be taken for whole", async () => {
  await using server = await startServer({ flags: ["--spool-mb", "8"] });
  const socket = askSlowly(server, sqlBody(LARGE), "127.0.0.2");
  await server.logged(/An answer to 127\.0\.0\.2 was broken off: the client reads slowly/);
  const answer = await readRest(socket);
  expect(answer).toStartWith("HTTP/1.1 200");
  expect(answer).not.toEndWith(LAST_CHUNK);
  const { sql, spool } = await poolOf(server);
  expect(spool).toMatchObject({ spooled_answers: 0, spooled_bytes: 0, answers_broken_off: 1 });
  expect(sql.statements.running).toBe(0);
});
