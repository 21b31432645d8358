/**
 * Several worker processes on one port: how they share the clients, and what the death of one
 * costs.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { command, get, runSql, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";
import { listenerCount } from "../support/supervisor-process.ts";

setDefaultTimeout(180_000);

/** Who answers: process ids by worker id. */
async function answeringPids(server: RunningServer, requests: number): Promise<Map<number, number>> {
  const answers = await Promise.all(Array.from({ length: requests }, () => get(`${server.url}/health`)));
  return new Map(answers.map(({ body }) => [body.process.worker_id, body.process.pid]));
}

test("every worker listens on the port itself, and 400 connections are shared out evenly enough", async () => {
  await using server = await startServer({ workers: 4 });
  await waitUntil("four workers listen", () => listenerCount(server.port) === 4);

  const counts = new Map<number, number>();
  const CONNECTIONS = 400;
  for (let done = 0; done < CONNECTIONS; done += 50) {
    const answers = await Promise.all(Array.from({ length: 50 }, () => get(`${server.url}/health`)));
    for (const { body } of answers) {
      expect(body.process.multiprocess_mode).toBe(true);
      counts.set(body.process.worker_id, (counts.get(body.process.worker_id) ?? 0) + 1);
    }
  }
  expect([...counts.keys()].sort()).toEqual([0, 1, 2, 3]);
  const share = CONNECTIONS / 4;
  for (const count of counts.values()) {
    expect(count).toBeGreaterThanOrEqual(share / 2);
    expect(count).toBeLessThanOrEqual(share * 2);
  }
});

test("a killed worker is replaced, and requests to its neighbour go on meanwhile", async () => {
  await using server = await startServer({ workers: 2 });
  const before = processesOf(server).workers;
  const [victim, neighbour] = before as [number, number];

  // A connection that is kept stays with its worker.
  const kept = await keptConnectionTo(server, neighbour);
  process.kill(victim, "SIGKILL");
  let answered = 0;
  await waitUntil("the killed worker is replaced and answers", async () => {
    expect((await kept()).process.pid).toBe(neighbour);
    answered++;
    const { workers } = processesOf(server);
    const fresh = workers.find((pid) => !before.includes(pid));
    return fresh !== undefined && (await answeringPids(server, 10).catch(() => new Map())).size === 2;
  });
  expect(answered).toBeGreaterThan(0);
  expect(processesOf(server).workers).toContain(neighbour);
  await server.logged(`(pid ${victim}) died of signal 9; starting another`);
});

test("a worker whose loop hangs is found and replaced", async () => {
  await using server = await startServer({ workers: 2, flags: ["--liveness-timeout", "3"] });
  const [victim] = processesOf(server).workers as [number];
  process.kill(victim, "SIGSTOP");
  await waitUntil("the hanging worker is replaced", () => {
    const { workers } = processesOf(server);
    return workers.length === 2 && !workers.includes(victim);
  });
  await waitUntil("both workers answer", async () => (await answeringPids(server, 10)).size === 2);
  await server.logged(`(pid ${victim}) has not answered for 3 s; killing it`);
});

test("a killed hub loses no answered save and doubles none, and saves go on within seconds", async () => {
  await using server = await startServer({ workers: 2 });
  const answered = new Set<number>();
  const statuses = new Map<number, number>();
  let next = 1;
  let stopping = false;
  const client = async (): Promise<void> => {
    while (!stopping) {
      const price = next++;
      const { status } = await saveTrade(server.url, "HUB", price);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (status === 200) answered.add(price);
    }
  };
  const clients = Array.from({ length: 8 }, client);
  for (const round of [1, 2, 3]) {
    const before = answered.size;
    await waitUntil(`saves are answered in round ${round}`, () => answered.size > before + 100);
    const { hub } = processesOf(server);
    process.kill(hub, "SIGKILL");
    await waitUntil("another hub is there", () => {
      const now = processesOf(server).hub;
      return now !== 0 && now !== hub;
    });
    const after = answered.size;
    await waitUntil("saves are answered again", () => answered.size > after + 20);
  }
  stopping = true;
  await Promise.all(clients);

  expect([...statuses.keys()].filter((status) => status !== 200 && status !== 503)).toEqual([]);
  const stored = await runSql(
    server.url,
    "SELECT price, count(*) AS times FROM realtime_data WHERE ticker = 'HUB' GROUP BY price",
  );
  const rows = stored.body.data as { price: number; times: number }[];
  expect(rows.filter((row) => row.times > 1)).toEqual([]);
  const storedPrices = new Set(rows.map((row) => row.price));
  expect([...answered].filter((price) => !storedPrices.has(price))).toEqual([]);
});

test("a save sent while the hub is away waits for the next hub", async () => {
  await using server = await startServer({ workers: 2 });
  const { hub } = processesOf(server);
  process.kill(hub, "SIGSTOP");
  const saves = Array.from({ length: 20 }, (_, i) => saveTrade(server.url, "AWAY", i + 1));
  await waitUntil("reads go on without the hub", async () => {
    const answer = await command(server.url, "get_latest_price", { ticker: "AWAY" });
    return answer.status === 200;
  });
  process.kill(hub, "SIGKILL");
  expect((await Promise.all(saves)).map((answer) => answer.status)).toEqual(saves.map(() => 200));
  const stored = await command(server.url, "get_realtime_data", { ticker: "AWAY", data_type: "trade" });
  expect(stored.body.data.map((row: { price: number }) => row.price)).toEqual(saves.map((_, i) => i + 1));
});

test("while the hub stays away a worker is alive and not ready, and says when to come back", async () => {
  await using server = await startServer({ workers: 2 });
  const ready = () => get(`${server.url}/ready`);
  expect((await ready()).status).toBe(200);
  // The pauses between its restarts grow.
  const unready = await waitUntil("a worker is not ready", async () => {
    const { hub } = processesOf(server);
    if (hub !== 0) process.kill(hub, "SIGKILL");
    const answer = await ready();
    return answer.status !== 200 && answer;
  });
  expect(unready.status).toBe(503);
  expect(unready.headers.get("retry-after")).toBe("1");
  expect(unready.body).toMatchObject({ status: "unhealthy", message: "the database's writer is away" });
  expect((await get(`${server.url}/live`)).status).toBe(200);
  await waitUntil("the workers are ready again", async () => (await ready()).status === 200);
});

async function keptConnectionTo(server: RunningServer, pid: number) {
  const { connect } = await import("node:net");
  for (;;) {
    const socket = connect(server.port, "127.0.0.1");
    let received = "";
    socket.on("data", (chunk) => {
      received += chunk;
    });
    const ask = async (): Promise<{ process: { pid: number } }> => {
      received = "";
      socket.write("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
      return waitUntil("an answer on the kept connection", () => {
        const body = received.slice(received.indexOf("\r\n\r\n") + 4);
        return body.endsWith("}}") && JSON.parse(body);
      });
    };
    if ((await ask()).process.pid === pid) return ask;
    socket.destroy();
  }
}
