import { expect, setDefaultTimeout, test } from "bun:test";
import type { CheckReport } from "../../src/cli/check.ts";
import { runCli } from "../support/run-cli.ts";
import { startServer } from "../support/server.ts";

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
