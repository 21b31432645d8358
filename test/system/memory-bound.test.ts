/** --memory-mb: what is refused near the bound, what goes on, who is told, and how it ends. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { command, fillTicks, get, runSql, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";

setDefaultTimeout(180_000);

/** Each goes to any of the workers: so many leave none out. */
const PROBES = 40;
const TAKER = join(import.meta.dir, "..", "fixtures", "memory-taker.ts");

function runtimeDirOf(server: RunningServer, base: string): string {
  const name = readdirSync(base).find((entry) => entry.startsWith(`stock-db-server-${server.pid}-`));
  if (name === undefined) throw new Error(`no runtime folder in ${base}`);
  return join(base, name);
}

async function takeMemory(server: RunningServer, base: string, megabytes: number): Promise<Bun.Subprocess> {
  const taker = Bun.spawn(
    [process.execPath, "--no-orphans", TAKER, runtimeDirOf(server, base), String(megabytes)],
    { stdout: "pipe" },
  );
  await taker.stdout.getReader().read();
  return taker;
}

async function upgradeStatus(server: RunningServer, path: string): Promise<number> {
  const headers = {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  const answer = await fetch(server.url + path, { headers });
  await answer.bytes();
  return answer.status;
}

test.each([1, 3])(
  "near the bound expensive work is refused and small work goes on, on %d workers",
  async (workers) => {
    const base = await mkdtemp(join(tmpdir(), "memory-"));
    await using server = await startServer({
      workers,
      flags: ["--memory-mb", "1024", "--log-level", "INFO"],
      env: { RUNTIME_DIRECTORY: base },
    });
    expect((await fillTicks(server.url, "BIG", 100_000)).status).toBe(200);
    const taker = await takeMemory(server, base, 1_000);
    try {
      await waitUntil("every worker has noticed", async () => {
        for (let i = 0; i < PROBES; i++) if ((await get(`${server.url}/ready`)).status !== 503) return false;
        return true;
      });
      expect((await get(`${server.url}/ready`)).body.message).toMatch(/Memory is short: .* of 1024 MB/);
      expect((await get(`${server.url}/health`)).status).toBe(200);

      const sql = await runSql(server.url, "SELECT 1");
      expect(sql.status).toBe(503);
      expect(sql.body.error).toContain("short of memory");
      expect(sql.headers.get("retry-after")).not.toBeNull();
      expect((await get(`${server.url}/stats/tables`)).status).toBe(503);
      expect(
        (await command(server.url, "get_realtime_data", { ticker: "BIG", data_type: "trade" })).status,
      ).toBe(503);
      expect(await upgradeStatus(server, "/ws?symbol=BIG")).toBe(503);
      expect(await upgradeStatus(server, "/ws/replay?symbol=BIG")).toBe(503);
      const large = { ticker: "BIG", padding: "x".repeat(2 ** 20) };
      expect((await command(server.url, "get_latest_price", large)).status).toBe(503);

      expect((await saveTrade(server.url, "AAPL", 1)).status).toBe(200);
      expect((await command(server.url, "get_latest_price", { ticker: "AAPL" })).status).toBe(200);
      expect((await get(`${server.url}/stats/pool`)).body.memory).toMatchObject({
        near: true,
        max_bytes: 2 ** 30,
      });
      await server.logged(/Memory: worker 99 \(pid \d+\) 10\d\d MB, /);
    } finally {
      taker.kill("SIGKILL");
      await taker.exited;
    }
    await waitUntil("every worker is ready again", async () => {
      for (let i = 0; i < PROBES; i++) if ((await get(`${server.url}/ready`)).status !== 200) return false;
      return true;
    });
    expect((await runSql(server.url, "SELECT 1 AS one")).body.data).toEqual([{ one: 1 }]);
    await server.logged("Memory suffices again");
    await server.stop();
    await rm(base, { recursive: true });
  },
);

test("a stranger that takes too much memory ends none of the server's own processes", async () => {
  const base = await mkdtemp(join(tmpdir(), "memory-"));
  await using server = await startServer({
    workers: 2,
    flags: ["--memory-mb", "512"],
    env: { RUNTIME_DIRECTORY: base },
  });
  const before = processesOf(server);
  const taker = await takeMemory(server, base, 900);
  try {
    await server.logged("Memory is short");
    await Bun.sleep(7_000);
    expect(processesOf(server)).toEqual(before);
  } finally {
    taker.kill("SIGKILL");
    await taker.exited;
  }
  await server.stop();
  await rm(base, { recursive: true });
});

test("a bound below what the processes themselves take is warned of", async () => {
  await using server = await startServer({ workers: 3, flags: ["--memory-mb", "256"] });
  await server.logged(/--memory-mb 256 is little for 3 workers: .*; 576 would do/);
});
