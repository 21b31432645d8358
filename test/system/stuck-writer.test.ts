/**
 * A writer that doesn't come back: it is told of, killed, replaced, and nothing else has to suffer
 * for long.
 */
import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openNotifySocket } from "../support/notify-socket.ts";
import { isAlive } from "../support/processes.ts";
import { RawWebSocket } from "../support/raw-web-socket.ts";
import { get, saveTrade } from "../support/requests.ts";
import { BUN_LAUNCHER, type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { childrenOf, processesOf, roleOf } from "../support/server-processes.ts";
import { Subscriber } from "../support/subscriber.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const LIVENESS_S = 3;
const flags = (...more: string[]): string[] => ["--liveness-timeout", String(LIVENESS_S), ...more];
/**
 * Far more than the stop of a healthy server takes, and less than a second time-out of anything.
 */
const STOP_SLACK_MS = 10_000;

/**
 * What another program can do to a file: from now on each save of the ticker's ticks runs for ever.
 */
function hangAt(dbFile: string, ticker: string): void {
  using db = new Database(dbFile);
  db.run("PRAGMA busy_timeout = 10000");
  db.run("CREATE TABLE IF NOT EXISTS endless (n)");
  db.run(`CREATE TRIGGER endless_${ticker} AFTER INSERT ON realtime_data WHEN NEW.ticker = '${ticker}' BEGIN
    INSERT INTO endless SELECT count(*) FROM
      (WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT x FROM t); END`);
}

/** Of all workers, most probably: each connection may go to another one. */
async function readiness(server: RunningServer): Promise<{ statuses: number[]; messages: string[] }> {
  const answers = await Promise.all(Array.from({ length: 8 }, () => get(`${server.url}/ready`)));
  return {
    statuses: [...new Set(answers.map(({ status }) => status))],
    messages: [...new Set(answers.map(({ body }) => body.message as string))],
  };
}

const isReady = async (server: RunningServer): Promise<boolean> =>
  (await readiness(server)).statuses.join() === "200";

for (const workers of [1, 2]) {
  const mode = workers === 1 ? "one process" : "two workers";

  test(`${mode}: a hub that is stopped is told of by /ready, killed and replaced; a save waits for the next`, async () => {
    await using server = await startServer({ workers, flags: flags() });
    expect((await saveTrade(server.url, "A", 1)).status).toBe(200);
    await using subscriber = await Subscriber.open(server.wsUrl, "A");
    const hub = hubOf(server);
    process.kill(hub, "SIGSTOP");
    const save = saveTrade(server.url, "A", 2);

    const told = await waitUntil("/ready is 503", async () => {
      const { statuses, messages } = await readiness(server);
      return statuses.join() === "503" && messages;
    });
    expect(isAlive(hub)).toBe(true);
    expect(told.join()).toContain("the database's writer has not answered for");
    // Neither reads nor the process wait for it.
    expect((await get(`${server.url}/health`)).status).toBe(200);
    expect((await server.command("get_latest_price", { ticker: "A" })).body.latest_price).toBe(1);

    expect((await save).status).toBe(200);
    await server.logged(
      `Hub (pid ${hub}) has not answered for ${LIVENESS_S} s; it was at no save; killing it`,
    );
    await waitUntil("/ready is 200 again", () => isReady(server));
    await waitUntil("the subscriber has the update", () => subscriber.updates.length === 1);
    expect(subscriber.closed).toBeNull();
    expect(processesOf(server).hub).not.toBe(hub);
  });

  test(`${mode}: a save that hangs ends two hubs, not those after; others go first; the log names it`, async () => {
    await using server = await startServer({ workers, flags: flags() });
    expect((await saveTrade(server.url, "GOOD", 1)).status).toBe(200);
    hangAt(server.dbFile, "EVIL");

    const evil = saveTrade(server.url, "EVIL", 1);
    await waitUntil("/ready tells what the writer is at", async () => {
      const { messages } = await readiness(server);
      return messages.some((message) => message?.includes("a save of EVIL (ticks, 1 rows"));
    });
    const good = await Promise.all([2, 3, 4].map((price) => saveTrade(server.url, "GOOD", price)));
    expect(good.map(({ status }) => status)).toEqual([200, 200, 200]);
    // They were stored by the hub after the first one, before that tried the other save again.
    expect(server.log().match(/killing it/g)?.length).toBe(1);

    const { status, body } = await evil;
    expect(status).toBe(503);
    expect(body.error).toContain("hung 2 times while it stored ticks of EVIL");
    await server.logged(
      /it was at a save of EVIL \(ticks, 1 rows; alone in its transaction\): storing its rows; killing it/,
    );

    const { hub } = await waitUntil(
      "the third hub",
      async () => (await isReady(server)) && processesOf(server),
    );
    const again = await saveTrade(server.url, "EVIL", 1);
    expect(again.status).toBe(503);
    expect(Number(again.headers.get("retry-after"))).toBeGreaterThan(10);
    expect((await saveTrade(server.url, "GOOD", 5)).status).toBe(200);
    expect(processesOf(server).hub).toBe(hub);
    expect(server.log().match(/killing it/g)?.length).toBe(2);
  });

  // These wait most of the time.
  for (const hang of ["stopped", "in an endless save"]) {
    test.concurrent(`${mode}: SIGTERM ends all in time although the hub is ${hang}`, async () => {
      const timeoutS = 1;
      await using server = await startServer({
        workers,
        flags: ["--liveness-timeout", "600", "--worker-restart-timeout", String(timeoutS)],
      });
      const hub = hubOf(server);
      if (hang === "stopped") process.kill(hub, "SIGSTOP");
      else hangAt(server.dbFile, "EVIL");
      const save = saveTrade(server.url, "EVIL", 1).catch(() => null);
      if (hang !== "stopped") await untilRunning(hub);
      const started = performance.now();
      expect(await server.stop("SIGTERM")).toBe(0);
      expect(performance.now() - started).toBeLessThan(timeoutS * 1_000 + STOP_SLACK_MS);
      await save;
    });
  }

  test.concurrent(`${mode}: a second SIGINT ends all at once although the hub is stopped`, async () => {
    await using server = await startServer({ workers, flags: ["--liveness-timeout", "600"] });
    process.kill(hubOf(server), "SIGSTOP");
    const save = saveTrade(server.url, "A", 1).catch(() => null);
    process.kill(server.pid, "SIGINT");
    await server.logged("SIGINT");
    await Bun.sleep(700); // one Ctrl+C may arrive several times within half a second
    const started = performance.now();
    expect(await server.stop("SIGINT")).toBe(130);
    expect(performance.now() - started).toBeLessThan(STOP_SLACK_MS);
    await save;
  });

  test.concurrent(`${mode}: systemd's watchdog is fed, but not while the hub is stopped`, async () => {
    const target = `@stock-db-stuck-${process.pid}-${workers}`;
    using socket = openNotifySocket(target);
    await using server = await startServer({
      workers,
      flags: flags(),
      env: { NOTIFY_SOCKET: target, WATCHDOG_USEC: "200000" },
    });
    const isFed = () => socket.receive().includes("WATCHDOG=1");
    await waitUntil("the watchdog is fed", isFed);
    const hub = hubOf(server);
    process.kill(hub, "SIGSTOP");
    // Two pings go unanswered before it counts as silent.
    await Bun.sleep(LIVENESS_S * 700);
    socket.receive();
    const fed: string[] = [];
    while (isAlive(hub)) {
      fed.push(...socket.receive());
      await Bun.sleep(20);
    }
    expect(fed).toEqual([]);
    await waitUntil("the watchdog is fed again", isFed);
  });
}

test("a save that takes far longer than the liveness timeout, row by row, is no hang", async () => {
  await using server = await startServer({ flags: ["--liveness-timeout", "1"] });
  const hub = hubOf(server);
  {
    // Some tenths of a millisecond a row.
    using db = new Database(server.dbFile);
    db.run("PRAGMA busy_timeout = 10000");
    db.run("CREATE TABLE work (n)");
    db.run(`CREATE TRIGGER slow AFTER INSERT ON realtime_data BEGIN
      INSERT INTO work SELECT count(*) FROM
        (WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t WHERE x < 2000) SELECT x FROM t); END`);
  }
  const data = Array.from({ length: 10_000 }, (_, i) => ({
    timestamp: new Date(Date.UTC(2024, 0, 2) + i).toISOString(),
    price: i,
    size: 1,
  }));
  const started = performance.now();
  const params = { ticker: "A", index_col: "timestamp", data_type: "trade", data };
  expect((await server.command("save_realtime_data", params)).status).toBe(200);
  // Twice what kills a hub that does nothing.
  expect(performance.now() - started).toBeGreaterThan(2_000);
  expect(hubOf(server)).toBe(hub);
  expect(server.log()).not.toContain("has not answered");
});

test("on DuckDB, which only the hub has open, /health and /ready tell of it too, and a WebSocket is let in", async () => {
  using dir = tempDir();
  await using server = await startServer({
    dbFile: join(dir.path, "a.duckdb"),
    flags: ["--liveness-timeout", "600"],
  });
  const hub = hubOf(server);
  process.kill(hub, "SIGSTOP");
  for (const path of ["/health", "/ready"]) {
    const { status, body } = await get(`${server.url}${path}`);
    expect(status).toBe(503);
    expect(body.message).toMatch(/the database doesn't answer: no answer for 2 s|has not answered for/);
  }
  expect((await get(`${server.url}/live`)).status).toBe(200);
  using _ = await RawWebSocket.open(server.port, "/ws?symbol=A");
  process.kill(hub, "SIGCONT");
  await waitUntil("/ready is 200 again", () => isReady(server));
});

test("SIGTERM while the hub opens its database, and hangs there, ends the start with exit code 0", async () => {
  using dir = tempDir();
  const flags = ["--db-file", join(dir.path, "a.db"), "--port", "0", "--worker-restart-timeout", "1"];
  const child = Bun.spawn([...BUN_LAUNCHER, ...flags], { stdio: ["ignore", "ignore", "inherit"] });
  const [hub] = await waitUntil("the hub starts", () => {
    const children = childrenOf(child.pid);
    return children.length > 0 && children;
  });
  process.kill(hub!, "SIGSTOP");
  const started = performance.now();
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
  expect(performance.now() - started).toBeLessThan(1_000 + STOP_SLACK_MS);
  expect(isAlive(hub!)).toBe(false);
});

test("one process: a hub that is killed again and again takes no save with it", async () => {
  await using server = await startServer({ flags: ["--log-file", "server.log"] });
  const saved: number[] = [];
  let over = false;
  const client = async (first: number): Promise<void> => {
    for (let price = first; !over; price += 4) {
      expect((await saveTrade(server.url, "A", price)).status).toBe(200);
      saved.push(price);
    }
  };
  const logFile = join(server.dir, "server.log");
  // The hub's own line: written in the background, and lost with the hub before that.
  await waitUntil("its first line is written", () =>
    readFileSync(logFile, "utf8").includes("Database: created the tables"),
  );
  const clients = [1, 2, 3, 4].map(client);
  for (let kill = 1; kill <= 3; kill++) {
    const before = saved.length;
    const hub = await waitUntil("a hub", () => hubOf(server));
    process.kill(hub, "SIGKILL");
    await waitUntil("saves go on", () => saved.length > before + 50 && processesOf(server).hub !== hub);
  }
  over = true;
  await Promise.all(clients);
  expect(await server.stop()).toBe(0);
  using db = new Database(server.dbFile, { readonly: true });
  const stored = db.query<[number], []>("SELECT price FROM realtime_data").values().flat();
  expect(new Set(stored)).toEqual(new Set(saved));
  expect(stored.length).toBe(saved.length);
  expect(readFileSync(logFile, "utf8")).toContain("died of signal 9; starting another");
});

test("one process: killed, it leaves no hub behind, not even one that is stopped", async () => {
  await using server = await startServer();
  const hub = hubOf(server);
  expect(roleOf(hub)).toBe("hub");
  process.kill(hub, "SIGSTOP");
  expect(await server.stop("SIGKILL")).toBe(137);
  await waitUntil("the hub is gone", () => !isAlive(hub));
});

test("one process in front of another server has no hub beside it", async () => {
  await using upstream = await startServer();
  await using front = await startServer({ dbFile: `127.0.0.1:${upstream.port}` });
  expect(childrenOf(front.pid)).toEqual([]);
  expect((await saveTrade(front.url, "A", 1)).status).toBe(200);
  expect((await get(`${front.url}/ready`)).status).toBe(200);
});

/** Its process id; signals to 0 would go to the tests themselves. */
function hubOf(server: RunningServer): number {
  const { hub } = processesOf(server);
  if (hub === 0) throw new Error("there is no hub process");
  return hub;
}

async function untilRunning(pid: number): Promise<void> {
  const ticks = (): number =>
    Number(readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]!.split(" ")[11]);
  const before = ticks();
  await waitUntil("the hub works and works", () => ticks() > before + 50);
}
