import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { CheckReport } from "../../src/cli/check.ts";
import { usePostgres } from "../support/postgres.ts";
import { runCli } from "../support/run-cli.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";
import { Subscriber } from "../support/subscriber.ts";
import { tempDir } from "../support/temp-dir.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");

setDefaultTimeout(180_000);

test("a healthy server of two workers is well, and nothing of the check stays behind", async () => {
  await using server = await startServer({ workers: 2 });

  const lines = await runCli(["check", server.url]);
  expect(lines.stderr).toBe("");
  expect(lines.stdout).toContain("subscribers got the update");
  expect(lines.stdout).not.toContain("\x1b");
  expect(lines.stdout).toEndWith("All is well.\n");
  expect(lines.code).toBe(0);

  const json = await runCli(["check", server.url, "--json", "--requests", "100", "--concurrency", "20"]);
  expect(json.code).toBe(0);
  const report = JSON.parse(json.stdout) as CheckReport;
  expect(report).toMatchObject({ ok: true, failed: [], rowsReadBack: 2, rowsRemoved: true });
  expect(report.health?.multiprocess).toBe(true);
  expect(report.load).toMatchObject({ requests: 100, failures: 0, silentWorkerIds: [] });
  expect(report.load?.workers.map((worker) => worker.workerId)).toEqual([0, 1]);
  expect(report.load?.workers.reduce((sum, worker) => sum + worker.percent, 0)).toBeCloseTo(100);
  expect(report.liveUpdates).toMatchObject({ subscribers: 8, received: 8 });

  const left = await server.command<{ data: unknown[] }>("execute_sql", {
    sql_query: "SELECT ticker FROM realtime_data",
    query_type: "select",
  });
  expect(left.body.data).toEqual([]);
});

/** The first heartbeat of a subscription to all tickers, which names each that has a position. */
async function namesOfAll(server: RunningServer): Promise<{ names: string[]; close(): void }> {
  const watcher = Subscriber.ask(server.wsUrl, { symbols: "*" });
  const positions = await waitUntil(
    "the positions of all",
    () => watcher.frames.find((frame) => frame.positions !== undefined)?.positions,
  );
  return { names: Object.keys(positions), close: () => void watcher[Symbol.asyncDispose]() };
}

const positionsOf = async (server: RunningServer) =>
  Object.keys((await server.command<{ positions: object }>("get_positions", {})).body.positions);

async function countOf(server: RunningServer, table: string): Promise<number> {
  const sql_query = `SELECT CAST(count(*) AS INTEGER) AS n FROM ${table} WHERE ticker LIKE '%CHECK%'`;
  const answer = await server.command<{ data: { n: number }[] }>("execute_sql", {
    sql_query,
    query_type: "select",
  });
  return answer.body.data[0]!.n;
}

async function expectNoTrace(server: RunningServer): Promise<void> {
  expect(await positionsOf(server)).toEqual(["REAL"]);
  const tickers = await server.command<{ tickers: string[] }>("get_tickers", { kind: "ticks" });
  expect(tickers.body.tickers).toEqual(["REAL"]);
  for (const table of ["realtime_data", "update_log", "update_positions"])
    expect([table, await countOf(server, table)]).toEqual([table, 0]);
}

const postgres = usePostgres();
const ENGINES: [name: string, database: () => Promise<{ dbFile?: string; drop(): Promise<void> }>][] = [
  ["SQLite", async () => ({ drop: async () => {} })],
  [
    "DuckDB",
    async () => {
      const dir = tempDir();
      return { dbFile: join(dir.path, "a.duckdb"), drop: async () => dir[Symbol.dispose]() };
    },
  ],
  ["PostgreSQL", async () => ({ dbFile: await postgres.freshSchema(), drop: async () => {} })],
];

for (const [name, database] of ENGINES) {
  for (const workers of [1, 3]) {
    test(`${name}, ${workers} workers: a check leaves no ticker behind, also while others watch all`, async () => {
      const { drop, ...at } = await database();
      {
        await using server = await startServer({ workers, ...at });
        const real = (price: number) =>
          server.command("save_realtime_data", {
            ticker: "REAL",
            data: [{ timestamp: `2024-01-02 15:00:0${price}`, price, size: 1 }],
            index_col: "timestamp",
            data_type: "trade",
          });
        expect((await real(1)).status).toBe(200);
        const watchers = await Promise.all(Array.from({ length: 8 }, () => namesOfAll(server)));
        for (let run = 0; run < 3; run++) {
          const { code, stdout } = await runCli(["check", server.url, "--requests", "4"]);
          expect(stdout).toContain("ok      clean-up: nothing of ");
          expect(code).toBe(0);
          expect((await real(2 + run)).status).toBe(200);
        }
        await expectNoTrace(server);
        const later = await Promise.all(Array.from({ length: 8 }, () => namesOfAll(server)));
        for (const { names, close } of [...watchers, ...later]) {
          expect(names).toEqual(["REAL"]);
          close();
        }
        const updates = await server.command("get_updates", { ticker: "REAL", since: 0 });
        expect(updates.body).toMatchObject({ seq: 4, recovered: true });
        const front = await startServer({ dbFile: `127.0.0.1:${server.port}`, workers });
        try {
          const { stdout } = await runCli(["check", front.url, "--requests", "4"]);
          expect(stdout).toContain("ok      clean-up: nothing of ");
          expect(await positionsOf(front)).toEqual(["REAL"]);
          await expectNoTrace(server);
        } finally {
          await front[Symbol.asyncDispose]();
        }
        await server.stop();
      }
      if (at.dbFile !== undefined) {
        await using again = await startServer(at);
        await expectNoTrace(again);
      }
      await drop();
    });
  }
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  test(`a check that ${signal} ends in the middle leaves nothing`, async () => {
    await using server = await startServer();
    const isOpen = Promise.withResolvers<void>();
    const isSaved = Promise.withResolvers<void>();
    await using _ = Subscriber.ask(
      server.wsUrl,
      { symbols: "*" },
      {
        onOpen: isOpen.resolve,
        onFrame: ({ data }) => {
          if (data?.event_type === "quote_update") isSaved.resolve();
        },
      },
    );
    await isOpen.promise;
    const check = Bun.spawn([process.execPath, MAIN, "check", server.url, "--requests", "2"], {
      stdout: "ignore",
      stderr: "ignore",
    });
    await isSaved.promise;
    check.kill(signal);
    await check.exited;
    // 0: it was faster than the signal.
    expect([0, 129, 130, 143]).toContain(check.exitCode ?? 0);
    expect(await positionsOf(server)).toEqual([]);
    expect(await countOf(server, "realtime_data")).toBe(0);
  });
}

test("where the save is refused, nothing is said to stay behind", async () => {
  await using server = await startServer({ flags: ["--read-only"] });
  const { code, stdout } = await runCli(["check", server.url, "--requests", "2"]);
  expect(code).toBe(1);
  expect(stdout).toContain("FAILED  live updates: save_realtime_data was answered 403");
  expect(stdout).toContain("--read-only");
  expect(stdout).not.toMatch(/stay|clean-up|read back/);
});

test("what killed checks have left goes with a later one, and what one that runs has saved stays", async () => {
  const ticker = (digit: string) => `_CHECK_${digit.repeat(32)}`;
  using folder = tempDir();
  const dbFile = join(folder.path, "a.db");
  {
    await using server = await startServer({ dbFile });
    for (const name of [ticker("1"), ticker("2"), ticker("3"), "_CHECK_1", "REAL"]) {
      const data = [{ timestamp: "2024-01-02", price: 1, size: 1 }];
      const save = { ticker: name, data, index_col: "timestamp", data_type: "quote" };
      expect((await server.command("save_realtime_data", save)).status).toBe(200);
    }
    await server.stop();
  }
  const minutesAgo = (count: number, name: string) => {
    using db = new Database(dbFile);
    for (const table of ["update_positions", "update_log"])
      db.run(`UPDATE ${table} SET saved_at = saved_at - ? WHERE ticker = ?`, [count * 60_000, name]);
  };
  minutesAgo(11, ticker("1"));
  minutesAgo(9, ticker("2"));
  minutesAgo(60, "REAL");
  minutesAgo(60, "_CHECK_1");
  await using server = await startServer({ dbFile, workers: 2 });
  expect((await runCli(["check", server.url, "--requests", "2"])).code).toBe(0);
  expect((await positionsOf(server)).sort()).toEqual(["REAL", "_CHECK_1", ticker("2"), ticker("3")]);
  expect(await countOf(server, "realtime_data")).toBe(3);
});

test("only what a check has named can be removed like that", async () => {
  await using server = await startServer();
  const save = { data: [{ timestamp: "2024-01-02", price: 1, size: 1 }], index_col: "timestamp" };
  for (const ticker of ["REAL", "_CHECK_", "_CHECK_5f0c1a77", `_CHECK_${"A".repeat(32)}`, "%", "*"]) {
    await server.command("save_realtime_data", { ticker, ...save });
    const refused = await server.command("remove_check", { ticker });
    expect([ticker, refused.status]).toEqual([ticker, 400]);
    expect(String(refused.body.error)).toContain("expected that of a check");
    expect((await server.command("get_latest_price", { ticker })).body.latest_price).toBe(1);
  }
  expect((await server.command("remove_check", {})).status).toBe(400);
});

test("why a save was refused is told with its details", async () => {
  using other = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    fetch: (request) =>
      request.url.endsWith("/health")
        ? Response.json({ status: "healthy", process: { pid: 1, multiprocess_mode: false } })
        : Response.json(
            { error: "save: the database refused the commit", details: "disk is full" },
            { status: 503 },
          ),
  });
  const { code, stdout } = await runCli(["check", `http://127.0.0.1:${other.port}`, "--requests", "2"]);
  expect(code).toBe(1);
  expect(stdout).toContain("save: the database refused the commit (disk is full)");
});

test("a server of one process is well too", async () => {
  await using server = await startServer();
  const { code, stdout } = await runCli(["check", server.url, "--json"]);
  expect(code).toBe(0);
  const report = JSON.parse(stdout) as CheckReport;
  expect(report.health).toMatchObject({ multiprocess: false, workerId: null });
  expect(report.load?.workers.length).toBe(1);
});

test("where nothing listens, the check fails and says so", async () => {
  const { code, stdout } = await runCli(["check", "http://127.0.0.1:1"]);
  expect(stdout).toContain("FAILED  connectivity");
  expect(stdout).toEndWith("Not well: connectivity.\n");
  expect(code).toBe(1);
});

test("a server of another kind fails, whatever it answers", async () => {
  using other = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    fetch: () => Response.json({ status: "healthy" }),
  });
  const { code, stdout } = await runCli(["check", `http://127.0.0.1:${other.port}`, "--json"]);
  expect(code).toBe(1);
  const report = JSON.parse(stdout) as CheckReport;
  expect(report.failed).toEqual(["process", "live updates", "read back"]);
});

test("wrong usage is one line and exit code 2", async () => {
  for (const args of [
    ["localhost:8080"],
    ["http://a", "http://b"],
    ["--requests", "many"],
    ["--concurency", "3"],
  ]) {
    const { code, stdout, stderr } = await runCli(["check", ...args]);
    expect([code, stdout, stderr.trim().split("\n").length]).toEqual([2, "", 1]);
  }
  expect((await runCli(["check", "--help"])).stdout).toContain("--requests");
});

test("--ready asks whether it is ready, without a key and without a save", async () => {
  using dir = tempDir();
  const keys = join(dir.path, "keys.json");
  await runCli(["keys", "add", "desk", "--may", "read", "--keys", keys]);
  await using server = await startServer({ flags: ["--keys", keys] });
  const ready = await runCli(["check", server.url, "--ready"]);
  expect(ready.stdout).toContain("/ready answered 200");
  expect(ready.code).toBe(0);
  const hub = processesOf(server).hub;
  process.kill(hub, "SIGSTOP");
  try {
    const away = await waitUntil("it isn't ready", async () => {
      const outcome = await runCli(["check", server.url, "--ready", "--json"]);
      return outcome.code === 1 && outcome;
    });
    expect(JSON.parse(away.stdout)).toMatchObject({ ok: false, failed: ["ready"], health: null });
  } finally {
    process.kill(hub, "SIGCONT");
  }
  expect((await runCli(["check", "http://127.0.0.1:9", "--ready"])).code).toBe(1);
});
