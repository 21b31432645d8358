/**
 * The owner of the database is killed under load, time and again: what was answered is there, once,
 * and the server comes back by itself. KILLS=20 in the environment kills so many times, and prints
 * the counts.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { CountingClients } from "../support/counting-clients.ts";
import { usePostgres } from "../support/postgres.ts";
import { get, saveTrade } from "../support/requests.ts";
import { startServer, waitUntil } from "../support/server.ts";
import { processesOf, untilReady } from "../support/server-processes.ts";
import { Subscriber } from "../support/subscriber.ts";
import { tempDir } from "../support/temp-dir.ts";

const KILLS = Number(process.env.KILLS ?? 3);
const WORKERS = 3;
const REFUSED_WITHIN_MS = 30_000;

setDefaultTimeout(120_000 + KILLS * 60_000);

const postgres = usePostgres();

for (const [engine, file] of [
  ["SQLite", "kills.db"],
  ["DuckDB", "kills.duckdb"],
] as const) {
  test(`${engine}: the hub is killed under load`, async () => {
    using dir = tempDir();
    await killHubs(engine, join(dir.path, file));
  });
}

test("PostgreSQL: the hub, which passes its updates on, is killed under load", async () => {
  await killHubs("the hub before PostgreSQL", await postgres.freshSchema());
});

test("PostgreSQL crashes under load, and the server heals by itself", async () => {
  await using server = await startServer({ dbFile: await postgres.freshSchema(), workers: WORKERS });
  await using subscriber = await Subscriber.open(server.wsUrl, "LIVE");
  const clients = new CountingClients();
  clients.start(server.url);
  const readyAfterMs: number[] = [];
  for (let kill = 1; kill <= KILLS; kill++) {
    await untilBusy(clients, kill);
    await postgres.crash();
    await waitUntil("/ready says that the database is away", async () => {
      const { status, headers } = await get(`${server.url}/ready`);
      return status === 503 && Number(headers.get("retry-after")) >= 1;
    });
    await postgres.start();
    const started = performance.now();
    await untilReady(server);
    readyAfterMs.push(performance.now() - started);
  }
  await untilBusy(clients, 0);
  await clients.stop();
  await expectAllThereOnce("PostgreSQL", clients, readyAfterMs);

  // Its subscribers have missed nothing: saves that failed were not published, and later ones reach
  // them.
  expect(subscriber.closed).toBeNull();
  expect((await saveTrade(server.url, "LIVE", 1)).status).toBe(200);
  await waitUntil("the save reaches the subscriber", () => subscriber.updates.length === 1);
});

test("while PostgreSQL is away, saves are refused in time and stored nowhere; sent again, they are stored once", async () => {
  await using server = await startServer({ dbFile: await postgres.freshSchema(), workers: WORKERS });
  const save = () => Promise.all([1, 2, 3, 4, 5, 6].map((price) => saveTrade(server.url, "AWAY", price)));
  expect((await saveTrade(server.url, "AWAY", 0)).status).toBe(200);
  await postgres.crash();
  const asked = performance.now();
  for (const { status, headers } of await save()) {
    expect(status).toBe(503);
    expect(headers.get("retry-after")).toBe("1");
  }
  expect(performance.now() - asked).toBeLessThan(REFUSED_WITHIN_MS);
  expect((await get(`${server.url}/ready`)).status).toBe(503);
  expect((await get(`${server.url}/live`)).status).toBe(200);

  await postgres.start();
  await untilReady(server);
  const prices = async (): Promise<number[]> => {
    const { body } = await server.command<{ data: { price: number }[] }>("get_realtime_data", {
      ticker: "AWAY",
      data_type: "trade",
    });
    return body.data.map(({ price }) => price);
  };
  expect(await prices()).toEqual([0]);
  for (const { status } of await save()) expect(status).toBe(200);
  expect(await prices()).toEqual([0, 1, 2, 3, 4, 5, 6]);
});

async function killHubs(what: string, dbFile: string): Promise<void> {
  const clients = new CountingClients();
  const readyAfterMs: number[] = [];
  await using server = await startServer({ dbFile, workers: WORKERS });
  await using subscriber = await Subscriber.open(server.wsUrl, "TICK0");
  clients.start(server.url);
  for (let kill = 1; kill <= KILLS; kill++) {
    await untilBusy(clients, kill);
    const { hub } = processesOf(server);
    const killed = performance.now();
    process.kill(hub, "SIGKILL");
    await waitUntil("another hub is there", () => ![0, hub].includes(processesOf(server).hub));
    await untilReady(server);
    readyAfterMs.push(performance.now() - killed);
  }
  await untilBusy(clients, 0);
  await clients.stop();
  await expectAllThereOnce(what, clients, readyAfterMs);
  // However often: no pause, and no save whose outcome is unknown.
  expect(server.log()).not.toContain("starting another in");
  expect([...clients.reasons].filter((reason) => reason.includes("unknown"))).toEqual([]);
  // It has stayed, and what it didn't hear of was read for it.
  const before = subscriber.frames[0]!.seq;
  await waitUntil("the subscriber has everything", async () => {
    const { body } = await server.command<{ positions: Record<string, number> }>("get_positions", {
      tickers: ["TICK0"],
    });
    return subscriber.updates.at(-1)?.seq === body.positions.TICK0;
  });
  expect(subscriber.closed).toBeNull();
  expect(subscriber.seqs).toEqual(subscriber.seqs.map((_, i) => before + 1 + i));
}

/**
 * Another hundred or more saves are answered: not the same number each time, so that kills meet
 * different moments.
 */
async function untilBusy(clients: CountingClients, round: number): Promise<void> {
  const target = clients.answeredSaves + 100 + ((round * 37) % 100);
  await waitUntil("saves are answered", () => clients.answeredSaves > target);
}

async function expectAllThereOnce(
  what: string,
  clients: CountingClients,
  readyAfterMs: number[],
): Promise<void> {
  const ticks = await clients.compareTicks();
  const bars = await clients.compareBars();
  if (process.env.KILLS !== undefined) {
    console.log(what, {
      ticks,
      bars,
      statuses: Object.fromEntries(clients.statuses),
      readyAfterMs: readyAfterMs.map(Math.round).join(" "),
      slowestAnswerMs: Math.round(clients.slowestMs),
      reasons: [...clients.reasons],
    });
  }
  expect(clients.wrong).toEqual([]);
  expect(clients.staleReads).toEqual([]);
  for (const { answered, stored, ...faults } of [ticks, bars]) {
    expect(faults).toEqual({ missing: [], twice: [], unknown: [] });
    expect(answered).toBeGreaterThan(0);
    expect(stored).toBeGreaterThanOrEqual(answered);
  }
}
