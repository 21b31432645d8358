/** The log as JSON, ids of requests, and requests that take long. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { get, runSql } from "../support/requests.ts";
import { startServer, waitUntil } from "../support/server.ts";

setDefaultTimeout(60_000);

test("--log-format json: each line of every process is an object", async () => {
  await using server = await startServer({ flags: ["--log-format", "json", "--port", "0"], workers: 2 });
  await get(`${server.url}/nowhere`, { "x-request-id": "desk-7" });
  await server.logged("desk-7");
  const lines = server
    .log()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines.length).toBeGreaterThan(5);
  for (const { time, level, pid, message } of lines)
    expect([typeof time, typeof level, typeof pid, typeof message]).toEqual([
      "string",
      "string",
      "number",
      "string",
    ]);
  expect(lines.some(({ worker }) => worker === 1)).toBe(true);
  expect(lines.some(({ message }) => message.includes("Server starting on http"))).toBe(true);
});

test("a request that takes longer than --slow-request is a warning, with its id", async () => {
  await using server = await startServer({ flags: ["--slow-request", "0.2"] });
  await get(`${server.url}/v1/tickers`);
  const slow =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT count(*) FROM n";
  const answer = await fetch(`${server.url}/api/execute_sql?sql=${encodeURIComponent(slow)}`, {
    headers: { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" },
  });
  expect(answer.status).toBe(200);
  await waitUntil("it is told", () => server.log().includes("Slow: GET /api/execute_sql took"));
  expect(server.log()).toContain("(id 4bf92f3577b34da6a3ce929d0e0e4736)");
  expect((await runSql(server.url, "SELECT 1")).status).toBe(200);
  expect(server.log().match(/Slow: (GET|POST) /g)).toHaveLength(1);
});
