import { expect, setDefaultTimeout, test } from "bun:test";
import { runSql } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";
import { Subscriber } from "../support/subscriber.ts";

setDefaultTimeout(180_000);

interface Row {
  timestamp: string;
  type: string;
  seq: number;
}

async function rowsOf(server: RunningServer): Promise<Row[]> {
  const { status, body } = await runSql(
    server.url,
    "SELECT timestamp, type, seq FROM realtime_data WHERE ticker = 'TEST' ORDER BY timestamp, type",
  );
  expect(status).toBe(200);
  return body.data;
}

function expectOneFeed(rows: Row[]): void {
  expect(rows.every(({ seq, timestamp }) => seq === 0 && timestamp.endsWith(".000000"))).toBe(true);
  const keys = rows.map(({ timestamp, type }) => `${type} ${timestamp}`);
  expect(new Set(keys).size).toBe(keys.length);
}

test("TEST is alive in one process and in many, through a reload and a killed hub, and fed once", async () => {
  for (const workers of [1, 2]) {
    await using server = await startServer({ workers, flags: ["--test-feed"] });
    await using subscriber = await Subscriber.open(server.wsUrl, "TEST");
    const seconds = (frames = subscriber.updates): number =>
      new Set(frames.map(({ data }) => data.timestamp as string)).size;
    await waitUntil("three seconds have come", () => seconds() >= 3);
    const { data } = subscriber.updates.find((frame) => frame.data.type === "quote")!;
    expect(Math.abs(Date.parse(data.timestamp) - Date.now())).toBeLessThan(30_000);
    expect(data.payload[0].ask_price).toBeGreaterThan(data.payload[0].bid_price);
    if (workers > 1) {
      process.kill(server.pid, "SIGHUP");
      await server.logged("Rolling restart done");
      process.kill(processesOf(server).hub, "SIGKILL");
      const before = (await rowsOf(server)).length;
      await waitUntil("it goes on", async () => (await rowsOf(server)).length >= before + 4);
    }
    expectOneFeed(await rowsOf(server));
  }
});

test("its ticks older than a day go at the start, and nobody else's", async () => {
  const old = new Date(Date.now() - 2 * 24 * 3_600_000).toISOString();
  await using server = await startServer();
  for (const ticker of ["TEST", "TESTED"]) {
    const data = [{ timestamp: old, price: 1, size: 1 }];
    const saved = await server.command("save_realtime_data", {
      ticker,
      data_type: "trade",
      index_col: "timestamp",
      data,
    });
    expect(saved.status).toBe(200);
  }
  await server.stop();
  await using feeding = await startServer({ dbFile: server.dbFile, flags: ["--test-feed"] });
  const oldRows = async (): Promise<string[]> => {
    const { body } = await runSql(
      feeding.url,
      "SELECT ticker FROM realtime_data WHERE timestamp < datetime('now', '-1 day')",
    );
    return (body.data as { ticker: string }[]).map(({ ticker }) => ticker);
  };
  await waitUntil("the old tick is gone", async () => (await oldRows()).length === 1);
  expect(await oldRows()).toEqual(["TESTED"]);
});

test("without the flag there is no TEST", async () => {
  await using server = await startServer();
  await Bun.sleep(1_500);
  expect(await rowsOf(server)).toEqual([]);
});
