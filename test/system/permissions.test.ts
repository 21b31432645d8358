/**
 * What the operator lets clients do, and what a page of another site can make a browser do:
 * nothing.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { failingStart } from "../support/failing-start.ts";
import { command, get, runSql, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { startTiers } from "../support/tiers.ts";

setDefaultTimeout(180_000);

const SELECT = { sql_query: "SELECT 1 AS one", query_type: "select" };
const RAW = { sql_query: "SELECT 1 AS one", query_type: "raw" };
const overGet = (server: RunningServer, type = "select") =>
  get(`${server.url}/api/execute_sql?query_type=${type}&sql=SELECT+1+AS+one`);

test("--sql off refuses every SQL of a client, and nothing else", async () => {
  await using server = await startServer({ flags: ["--sql", "off"] });
  for (const answer of [
    await command(server.url, "execute_sql", SELECT),
    await command(server.url, "execute_sql", RAW),
    await overGet(server),
    await overGet(server, "raw"),
    await get(`${server.url}/api/sql_query?sql_query=SELECT+1`),
  ]) {
    expect(answer.status).toBe(403);
    expect(answer.body.error).toContain("--sql off");
  }
  expect((await saveTrade(server.url, "A", 1)).status).toBe(200);
  expect((await get(`${server.url}/stats/tables`)).body.tables.realtime_data).toEqual({ row_count: 1 });
});

test("--sql select refuses raw, however harmless it is", async () => {
  await using server = await startServer({ flags: ["--sql", "select"] });
  for (const answer of [await command(server.url, "execute_sql", RAW), await overGet(server, "raw")]) {
    expect(answer.status).toBe(403);
    expect(answer.body.error).toContain("--sql select");
  }
  expect((await command(server.url, "execute_sql", SELECT)).body.data).toEqual([{ one: 1 }]);
  expect((await overGet(server)).body.data).toEqual([{ one: 1 }]);
});

test("where other machines reach the server, select is the default", async () => {
  await using server = await startServer({ flags: ["--host", "0.0.0.0", "--insecure-no-auth"] });
  expect((await runSql(server.url, "CREATE TABLE own (a)")).status).toBe(403);
  expect((await command(server.url, "execute_sql", SELECT)).status).toBe(200);
});

test("--sql-get off refuses SQL by GET alone", async () => {
  await using server = await startServer({ flags: ["--sql-get", "off"] });
  const refused = await overGet(server);
  expect(refused.status).toBe(403);
  expect(refused.body.error).toContain("--sql-get off");
  expect((await command(server.url, "execute_sql", RAW)).status).toBe(200);
  expect((await get(`${server.url}/stats/tables`)).status).toBe(200);
});

test("--read-only refuses saves and raw, and reads go on", async () => {
  await using server = await startServer({ flags: ["--read-only"], workers: 2 });
  const bars = { ticker: "A", index_col: "date", data: [{ date: "2024-01-02", close: 1 }] };
  for (const answer of [
    await saveTrade(server.url, "A", 1),
    await command(server.url, "save_stock_data", bars),
    await command(server.url, "save_stock_data", { ...bars, interval: "hourly" }),
    await runSql(server.url, "DELETE FROM realtime_data"),
  ]) {
    expect(answer.status).toBe(403);
    expect(answer.body.error).toContain("--read-only");
  }
  expect((await command(server.url, "execute_sql", SELECT)).status).toBe(200);
  expect((await command(server.url, "get_latest_price", { ticker: "A" })).status).not.toBe(403);
  expect((await get(`${server.url}/ready`)).status).toBe(200);
});

test("a server in front passes its own rule, then that of the upstream", async () => {
  await using tiers = await startTiers({
    workers: 1,
    flags: ["--sql", "select"],
    frontFlags: ["--read-only"],
  });
  const saved = await saveTrade(tiers.front.url, "A", 1);
  expect([saved.status, saved.body.error]).toEqual([403, expect.stringContaining("--read-only")]);
  expect((await saveTrade(tiers.upstream.url, "A", 1)).status).toBe(200);
  await using open = await startServer({ dbFile: `127.0.0.1:${tiers.upstream.port}` });
  const raw = await runSql(open.url, "DELETE FROM realtime_data");
  expect([raw.status, raw.body.error]).toEqual([403, expect.stringContaining("--sql select")]);
});

test("what a page of another site makes a browser send is refused before anything is done", async () => {
  await using server = await startServer({ flags: ["--allow-host", "desk.example"] });
  const own = `http://127.0.0.1:${server.port}`;
  const foreign: Record<string, string>[] = [
    { "Sec-Fetch-Site": "cross-site" },
    { "Sec-Fetch-Site": "same-site" },
    { "Sec-Fetch-Site": "something-new" },
    { "Sec-Fetch-Site": "none", Referer: "http://evil.example/page" },
    { Origin: "http://evil.example" },
    { Origin: "null" },
    { Origin: "http://127.0.0.1:1" },
    { Referer: "http://evil.example/page" },
    { Referer: `http://localhost:${server.port}.evil.example/` },
    { Referer: "no address" },
    { "Sec-Fetch-Site": "same-site", Origin: "http://localhost:3000" },
  ];
  const domestic: Record<string, string>[] = [
    {},
    { "Sec-Fetch-Site": "none" },
    { "Sec-Fetch-Site": "same-origin", Origin: own },
    { "Sec-Fetch-Site": "same-origin", Referer: `${own}/page` },
    { "Sec-Fetch-Site": "cross-site", Origin: "https://desk.example" },
    { "Sec-Fetch-Site": "cross-site", Referer: "https://desk.example/page" },
  ];
  const paths = [
    "/api/execute_sql?sql=SELECT+1",
    "/api/sql_query?sql=SELECT+1",
    "/stats/tables",
    "/stats/database",
    "/stats/performance",
    "/stats/pool",
  ];
  for (const headers of foreign) {
    for (const path of paths)
      expect([headers, path, (await get(server.url + path, headers)).status]).toEqual([headers, path, 403]);
    // Without the type a browser sends it unasked; with it, it asks first and is told nothing that
    // lets it.
    const form = { ...headers, "Content-Type": "text/plain" };
    expect([headers, await postStatus(server, form)]).toEqual([headers, 415]);
    for (const path of ["/health", "/live", "/ready"])
      expect([headers, path, (await get(server.url + path, headers)).status]).toEqual([headers, path, 200]);
  }
  const preflight = await fetch(`${server.url}/db_command`, {
    method: "OPTIONS",
    headers: { Origin: "http://evil.example", "Access-Control-Request-Method": "POST" },
  });
  expect(preflight.headers.has("access-control-allow-origin")).toBe(false);
  for (const headers of domestic) {
    for (const path of paths)
      expect([headers, path, (await get(server.url + path, headers)).status]).toEqual([headers, path, 200]);
    expect([headers, await postStatus(server, headers)]).toEqual([headers, 200]);
  }
});

test("--allow-origin lets pages of that origin in: the browser asks, and may show them answers", async () => {
  const origin = "https://desk.example:8443";
  await using server = await startServer({ flags: ["--allow-origin", origin] });
  const asked = { Origin: origin, "Access-Control-Request-Method": "POST" };
  const preflight = await fetch(`${server.url}/db_command`, { method: "OPTIONS", headers: asked });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get("access-control-allow-origin")).toBe(origin);
  expect(preflight.headers.get("access-control-allow-methods")).toContain("POST");
  expect(preflight.headers.get("access-control-allow-headers")).toMatch(/Authorization.*Content-Type/);
  expect(preflight.headers.get("vary")).toContain("Origin");
  const page = { Origin: origin, "Sec-Fetch-Site": "cross-site" };
  expect(await postStatus(server, page)).toBe(200);
  for (const [path, status] of [
    ["/v1/tickers", 200],
    ["/v1/bars?symbols=A&timeframe=nonsense", 400],
    ["/stats/pool", 200],
    ["/nowhere", 404],
  ] as const) {
    const answer = await get(server.url + path, page);
    expect([path, answer.status]).toEqual([path, status]);
    expect(answer.headers.get("access-control-allow-origin")).toBe(origin);
    expect(answer.headers.get("access-control-expose-headers")).toContain("Next-Page-Token");
  }
  const events = await fetch(`${server.url}/v1/stream?symbols=A`, { headers: page });
  expect([events.status, events.headers.get("access-control-allow-origin")]).toEqual([200, origin]);
  await events.body?.cancel();
  for (const other of ["https://desk.example", "http://desk.example:8443", "https://evil.example", "null"]) {
    const headers = { Origin: other, "Sec-Fetch-Site": "cross-site" };
    const refused = await get(`${server.url}/v1/tickers`, headers);
    expect([other, refused.status, refused.body.error]).toEqual([
      other,
      403,
      expect.stringContaining("--allow-origin"),
    ]);
    expect(refused.headers.has("access-control-allow-origin")).toBe(false);
    const question = await fetch(`${server.url}/db_command`, {
      method: "OPTIONS",
      headers: { ...asked, Origin: other },
    });
    expect(question.headers.has("access-control-allow-origin")).toBe(false);
  }
  for (const [from, isOpen] of [
    [origin, true],
    ["https://evil.example", false],
  ] as const) {
    const socket = new WebSocket(`${server.wsUrl}/ws?symbol=A`, { headers: { Origin: from } });
    const state = await new Promise((resolve) => {
      socket.onopen = () => resolve(true);
      socket.onerror = () => resolve(false);
    });
    expect([from, state]).toEqual([from, isOpen]);
    socket.close();
  }
});

test("--allow-origin * needs keys, as any page could come", async () => {
  const { code, output } = await failingStart(["--port", "0", "--allow-origin", "*"]);
  expect([code, output]).toEqual([1, expect.stringContaining("keys add")]);
});

async function postStatus(server: RunningServer, headers: Record<string, string>): Promise<number> {
  const answer = await fetch(`${server.url}/db_command`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify({ command: "execute_sql", params: RAW }),
  });
  await answer.body?.cancel();
  return answer.status;
}
