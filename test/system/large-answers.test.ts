/** Answers of many rows: streamed within little memory, while other clients are answered. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import { peakMb } from "../support/processes.ts";
import { command, fillTicks, get } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";

setDefaultTimeout(180_000);

const TICKS = 1_000_000;
const PEAK_MB_MAX = 150;
/**
 * What is promised is 50 ms, which the benchmark measures; here it only must not be the time of the
 * whole answer.
 */
const PROBE_MS_MAX = 1_000;
/** Of the time of the whole, on a machine where that takes long. */
const PROBE_SHARE_MAX = 0.5;

const LARGE_READ = JSON.stringify({
  command: "get_realtime_data",
  params: { ticker: "BIG", data_type: "trade" },
});

/**
 * Asks again and again until `work` is done: nobody is held up by it.
 *
 * @returns The slowest answer, in ms.
 */
async function slowestProbeDuring(server: RunningServer, work: Promise<unknown>): Promise<number> {
  const begun = performance.now();
  let over = false;
  void work.finally(() => {
    over = true;
  });
  let slowestMs = 0;
  let probes = 0;
  while (!over) {
    const started = performance.now();
    expect((await command(server.url, "get_latest_price", { ticker: "AAPL" })).status).toBe(200);
    slowestMs = Math.max(slowestMs, performance.now() - started);
    probes++;
  }
  expect(probes).toBeGreaterThan(0);
  const wholeMs = performance.now() - begun;
  expect(slowestMs).toBeLessThan(Math.max(PROBE_MS_MAX, wholeMs * PROBE_SHARE_MAX));
  return slowestMs;
}

/** Takes the large answer without keeping it. */
async function countLargeAnswer(server: RunningServer): Promise<{ rows: number; tail: string }> {
  const answer = await fetch(`${server.url}/db_command`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: LARGE_READ,
  });
  expect(answer.status).toBe(200);
  let rows = 0;
  let tail = "";
  const decoder = new TextDecoder();
  for await (const chunk of answer.body as ReadableStream<Uint8Array>) {
    const text = tail.slice(-12) + decoder.decode(chunk, { stream: true });
    rows += text.split('"timestamp":').length - 1;
    // A name that lies across two chunks is counted with the second, and none twice.
    tail = text.slice(text.lastIndexOf('"timestamp":') + 1);
  }
  return { rows, tail };
}

async function activeConnections(server: RunningServer): Promise<number> {
  return (await get(`${server.url}/stats/pool`)).body.active_connections;
}

test("a million ticks: within 150 MB, others are answered meanwhile, who leaves frees its connection", async () => {
  await using server = await startServer();
  expect((await fillTicks(server.url, "BIG", TICKS)).status).toBe(200);
  const atRest = await activeConnections(server);

  const reading = countLargeAnswer(server);
  const slowestMs = await slowestProbeDuring(server, reading);
  const { rows, tail } = await reading;
  expect(rows).toBe(TICKS);
  expect(tail).toEndWith("}]}");
  const peak = peakMb(server.pid);
  console.log(
    `large-answers.test.ts: peak ${peak.toFixed()} MB, slowest of the others ${slowestMs.toFixed(1)} ms`,
  );
  expect(peak).toBeLessThan(PEAK_MB_MAX);
  await waitUntil("its connection is free", async () => (await activeConnections(server)) === atRest);

  // Three that stop reading, and then leave in the middle.
  const leaving = Array.from({ length: 3 }, () => {
    const socket = connect(server.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.once("data", () => socket.pause());
    socket.write(
      `POST /db_command HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${LARGE_READ.length}\r\n\r\n${LARGE_READ}`,
    );
    return socket;
  });
  await waitUntil("three are being read", async () => (await activeConnections(server)) === atRest + 3);
  for (const socket of leaving) socket.destroy();
  await waitUntil("their connections are free", async () => (await activeConnections(server)) === atRest);
  expect(peakMb(server.pid)).toBeLessThan(PEAK_MB_MAX);
});

test("clients that wait for a connection and leave take none", async () => {
  await using server = await startServer({ flags: ["--db-pool-size", "2"] });
  expect((await fillTicks(server.url, "BIG", 100_000)).status).toBe(200);
  const open = () => {
    const socket = connect(server.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.pause();
    socket.write(
      `POST /db_command HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${LARGE_READ.length}\r\n\r\n${LARGE_READ}`,
    );
    return socket;
  };
  const holder = open();
  await waitUntil("the only connection is taken", async () => (await activeConnections(server)) === 2);
  const waiting = Array.from({ length: 10 }, open);
  await Bun.sleep(200);
  for (const socket of waiting) socket.destroy();
  await Bun.sleep(100);
  holder.destroy();
  await waitUntil("the connection is free", async () => (await activeConnections(server)) === 1);
  expect((await countLargeAnswer(server)).rows).toBe(100_000);
});

test("saving 9,000 daily bars holds up no other client", async () => {
  await using server = await startServer();
  const data = Array.from({ length: 9_000 }, (_, n) => ({
    date: new Date(Date.UTC(1995, 0, 1 + n)).toISOString().slice(0, 10),
    open: n,
    high: n + 1,
    low: n - 1,
    close: n + 0.5,
    volume: n,
  }));
  const started = performance.now();
  const saving = command(server.url, "save_stock_data", { ticker: "LONG", index_col: "date", data });
  const slowestMs = await slowestProbeDuring(server, saving);
  expect((await saving).status).toBe(200);
  console.log(
    `large-answers.test.ts: 9,000 bars took ${(performance.now() - started).toFixed()} ms, slowest of the others ${slowestMs.toFixed(1)} ms`,
  );
  const params = { ticker: "LONG", start_date: null, end_date: null };
  expect((await command(server.url, "get_stock_data", params)).body.data.length).toBe(9_000);
});
