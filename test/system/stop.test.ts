/** SIGTERM and SIGINT: what was accepted is finished, what is stuck is cut, the exit code is 0. */
import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { dirname } from "node:path";
import { RawWebSocket } from "../support/raw-web-socket.ts";
import { command, fillTicks, get, runSql, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { childrenOf, processesOf, roleOf } from "../support/server-processes.ts";
import { Subscriber } from "../support/subscriber.ts";

setDefaultTimeout(180_000);

const ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS n FROM n";
/** Some tenths of a second. */
const SLOW = ENDLESS.replace("FROM n) SELECT", "FROM n WHERE i < 6000000) SELECT");

/**
 * What was sent before has been taken up: each worker has answered what came later. Each connection
 * is given to any of them, so that many in a row are made.
 */
async function untilTakenUp(server: RunningServer): Promise<void> {
  for (let i = 0; i < 10; i++) expect((await get(`${server.url}/live`)).status).toBe(200);
}

/** Sends the statement and resolves when it runs. `answer` is null when the connection broke. */
async function running(server: RunningServer, sql: string) {
  const answer = runSql(server.url, sql).catch(() => null);
  await waitUntil("the statement runs", () => {
    const parents = [server.pid, ...processesOf(server).workers];
    return parents.flatMap(childrenOf).some((pid) => roleOf(pid) === "sql-runner");
  });
  // The runner has yet to open the database and read the statement.
  await Bun.sleep(100);
  return { answer };
}

for (const workers of [1, 2]) {
  const mode = workers === 1 ? "one process" : "two workers";

  test(`${mode}: requests in flight are answered, and WebSockets get 1001`, async () => {
    await using server = await startServer({ workers });
    await using first = await Subscriber.open(server.wsUrl, "AAPL");
    await using second = await Subscriber.open(server.wsUrl, "MSFT");
    const { answer } = await running(server, SLOW);

    expect(await server.stop("SIGTERM")).toBe(0);
    expect(await answer).toMatchObject({ status: 200, body: { data: [{ n: 6_000_000 }] } });
    for (const subscriber of [first, second]) {
      await waitUntil("it is closed", () => subscriber.closed !== null);
      expect(subscriber.closed?.code).toBe(1001);
    }
    await expect(get(`${server.url}/health`)).rejects.toThrow();
  });

  test(`${mode}: a save that waits for the disk when SIGTERM comes is stored and answered`, async () => {
    await using server = await startServer({ workers });
    using foreign = new Database(server.dbFile);
    foreign.run("BEGIN IMMEDIATE");
    const save = saveTrade(server.url, "AAPL", 7);
    await untilTakenUp(server);
    const stopped = server.stop("SIGTERM");
    await server.logged("SIGTERM");
    await Bun.sleep(300);
    foreign.run("ROLLBACK");

    expect((await save).status).toBe(200);
    expect(await stopped).toBe(0);
    expect(foreign.query("SELECT price FROM realtime_data").all()).toEqual([{ price: 7 }]);
  });

  test(`${mode}: large answers on their way arrive whole, to a slow reader too`, async () => {
    await using server = await startServer({ workers });
    const ROWS = 150_000;
    await fillTicks(server.url, "BIG", ROWS);
    const read = async (pauseMs: number): Promise<number> => {
      const params = { ticker: "BIG", data_type: "trade" };
      const answer = await fetch(`${server.url}/db_command`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ command: "get_realtime_data", params }),
      });
      const chunks: Uint8Array[] = [];
      for await (const chunk of answer.body as ReadableStream<Uint8Array>) {
        if (chunks.length === 0) begun++;
        chunks.push(chunk);
        await Bun.sleep(pauseMs);
      }
      return (JSON.parse(Buffer.concat(chunks).toString()) as { data: unknown[] }).data.length;
    };
    let begun = 0;
    const slow = read(1);
    await waitUntil("the answer has begun", () => begun === 1);
    const fast = [read(0), read(0)];
    await waitUntil("the others have begun too", () => begun === 3);
    expect(await server.stop("SIGTERM")).toBe(0);
    expect(await Promise.all([slow, ...fast])).toEqual([ROWS, ROWS, ROWS]);
  });

  test(`${mode}: SIGINT under load leaves every answered save on disk`, async () => {
    await using server = await startServer({ workers });
    const answered: number[] = [];
    let next = 1;
    const client = async (): Promise<void> => {
      for (;;) {
        const price = next++;
        const answer = await saveTrade(server.url, "LOAD", price).catch(() => null);
        if (answer === null) return; // nobody listens any more
        expect([200, 503]).toContain(answer.status);
        if (answer.status === 200) answered.push(price);
      }
    };
    const clients = Array.from({ length: 8 }, client);
    await waitUntil("saves are answered", () => answered.length > 200);
    expect(await server.stop("SIGINT")).toBe(0);
    await Promise.all(clients);

    using db = new Database(server.dbFile, { readonly: true });
    const stored = new Set(db.query<[number], []>("SELECT price FROM realtime_data").values().flat());
    expect(answered.filter((price) => !stored.has(price))).toEqual([]);
  });

  test(`${mode}: what is stuck is cut after --worker-restart-timeout`, async () => {
    await using server = await startServer({ workers, flags: ["--worker-restart-timeout", "1"] });
    const { answer } = await running(server, ENDLESS);
    expect(await server.stop("SIGTERM")).toBe(0);
    const got = await answer;
    expect(got === null || got.status >= 500).toBe(true);
  });

  test(`${mode}: a stop leaves no write-ahead log, also after reads, updates and SQL`, async () => {
    await using server = await startServer({ workers });
    await saveTrade(server.url, "A", 1);
    expect((await command(server.url, "get_latest_price", { ticker: "A" })).status).toBe(200);
    expect((await command(server.url, "get_updates", { ticker: "A", since: 0 })).status).toBe(200);
    expect((await runSql(server.url, "SELECT count(*) AS n FROM realtime_data")).status).toBe(200);
    const { dbFile } = server;
    const beside = () => readdirSync(dirname(dbFile)).filter((name) => /-(wal|shm)$/.test(name));
    expect(beside()).toHaveLength(2);
    expect(await server.stop("SIGTERM")).toBe(0);
    expect(beside()).toEqual([]);
  });

  test(`${mode}: a second SIGINT stops at once`, async () => {
    await using server = await startServer({ workers });
    const { answer } = await running(server, ENDLESS);
    process.kill(server.pid, "SIGINT");
    await server.logged("SIGINT");
    await Bun.sleep(700); // one Ctrl+C may arrive several times within half a second
    expect(await server.stop("SIGINT")).toBe(130);
    await answer;
  });

  test(`${mode}: a subscriber that reads nothing doesn't hold up the stop`, async () => {
    await using server = await startServer({ workers, flags: ["--worker-restart-timeout", "50"] });
    using deaf = await RawWebSocket.openDeaf(server.port, "/ws?symbol=BIG");
    const note = "x".repeat(1_000_000);
    for (let day = 1; day <= 9; day++) {
      const data = [{ date: `2024-01-0${day}`, close: day, note }];
      const save = await command(server.url, "save_stock_data", { ticker: "BIG", index_col: "date", data });
      expect(save.status).toBe(200);
    }
    const started = performance.now();
    expect(await server.stop("SIGTERM")).toBe(0);
    expect(performance.now() - started).toBeLessThan(30_000);
    deaf.readAgain();
    await waitUntil("its connection is over", () => deaf.ended);
  });
}

test("a request that was only half sent doesn't hold up the stop for long", async () => {
  await using server = await startServer({ flags: ["--worker-restart-timeout", "120"] });
  const socket = await Bun.connect({ hostname: "127.0.0.1", port: server.port, socket: { data() {} } });
  socket.write(
    "POST /db_command HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
  );
  await untilTakenUp(server);
  expect(await server.stop("SIGTERM")).toBe(0);
  expect(server.log()).toContain("closing 1 requests unanswered");
});
