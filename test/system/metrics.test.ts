/** `/metrics`: one scrape has the whole server, and no count goes back. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FAMILIES } from "../../src/metrics/families.ts";
import { usePostgres } from "../support/postgres.ts";
import { get, type Json, runSql, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { childrenOf, processesOf, roleOf } from "../support/server-processes.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

const DOCS = join(import.meta.dir, "../../docs");

/** By name and labels. */
async function scrape({ url }: RunningServer): Promise<Map<string, number>> {
  const response = await fetch(`${url}/metrics`, { headers: { connection: "close" } });
  expect(response.headers.get("content-type")).toStartWith("text/plain; version=0.0.4");
  const samples = new Map<string, number>();
  const types = new Map<string, string>();
  for (const line of (await response.text()).trimEnd().split("\n")) {
    const [, type] = /^# TYPE (\S+ \S+)$/.exec(line) ?? [];
    if (type !== undefined) types.set(...(type.split(" ") as [string, string]));
    if (line.startsWith("#")) continue;
    const [, name, labels = "", value] = /^(\w+)(\{(?:\w+="(?:[^"\\]|\\.)*",?)*\})? (\S+)$/.exec(line) ?? [];
    expect([line, name, Number.isFinite(Number(value))]).toEqual([line, expect.any(String), true]);
    expect(types.has(name!.replace(/_(bucket|sum|count)$/, "")) || types.has(name!)).toBe(true);
    expect(samples.has(name! + labels)).toBe(false);
    samples.set(name! + labels, Number(value));
  }
  return samples;
}

test("one scrape adds up all workers, and what a killed one has counted stays", async () => {
  await using server = await startServer({ workers: 3 });
  for (let i = 1; i <= 30; i++) expect((await saveTrade(server.url, "A", i)).status).toBe(200);
  for (let i = 0; i < 10; i++) await get(`${server.url}/nowhere`);
  const saved = 'stock_db_requests_total{what="save_realtime_data",status="200"}';
  await waitUntil("all are counted", async () => (await scrape(server)).get(saved) === 30);
  const before = await scrape(server);
  expect(before.get("stock_db_workers")).toBe(3);
  expect(before.get("stock_db_saves_total")).toBe(30);
  expect(before.get('stock_db_requests_total{what="other",status="404"}')).toBe(10);
  expect(before.get('stock_db_request_seconds_count{what="save_realtime_data"}')).toBe(30);
  expect(before.get('stock_db_request_seconds_bucket{what="save_realtime_data",le="+Inf"}')).toBe(30);
  expect(before.get('stock_db_resident_bytes{role="worker"}')).toBeGreaterThan(3e7);
  expect(before.get("stock_db_disk_free_bytes")).toBeGreaterThan(0);

  const [killed] = processesOf(server).workers;
  process.kill(killed!, "SIGKILL");
  await waitUntil("another one serves", () => {
    const { workers } = processesOf(server);
    return workers.length === 3 && !workers.includes(killed!);
  });
  for (let i = 31; i <= 40; i++)
    await waitUntil("saved", async () => (await saveTrade(server.url, "A", i)).status === 200);
  await waitUntil("the new ones are added", async () => ((await scrape(server)).get(saved) ?? 0) >= 40);
  const after = await scrape(server);
  for (const [name, value] of before)
    if (/_total|_bucket|_count/.test(name)) expect([name, after.get(name)! >= value]).toEqual([name, true]);
  await waitUntil("three tell", async () => (await scrape(server)).get("stock_db_workers") === 3);
});

test("what is open is told, and is gone when it has closed", async () => {
  await using server = await startServer();
  const sockets = Array.from({ length: 3 }, () => new WebSocket(`${server.wsUrl}/ws?symbols=A,B`));
  const subscribers = async (): Promise<number> => {
    const samples = await scrape(server);
    const policies = ["disconnect", "conflate", "gap"];
    return policies.reduce((sum, each) => sum + samples.get(`stock_db_subscribers{policy="${each}"}`)!, 0);
  };
  await waitUntil("all are open", async () => (await subscribers()) === 3);
  await waitUntil("subscribed", async () => (await scrape(server)).get("stock_db_watched_tickers") === 2);
  for (const socket of sockets) socket.close();
  await waitUntil("none is open", async () => (await subscribers()) === 0);
});

/** What a scrape tells of a door, and the bytes of the scrape itself. */
async function doorTotals({ url }: RunningServer) {
  const text = await (await fetch(`${url}/metrics`)).text();
  const of = (name: string, door: string): number =>
    Number(new RegExp(`^stock_db_${name}_total\\{door="${door}"\\} (\\d+)$`, "m").exec(text)?.[1]);
  return { of, bytes: Buffer.byteLength(text) };
}

const SECOND = "2024-01-02T15:00:00";
const FIRST_TEN = `start=${SECOND}Z&end=${SECOND}.009Z`;

/** A trade in each millisecond. */
async function saveTrades(server: RunningServer, ticker: string, count: number): Promise<void> {
  const data = Array.from({ length: count }, (_, i) => ({
    ...{ timestamp: new Date(Date.parse(`${SECOND}Z`) + i).toISOString(), price: i + 1, size: 1 },
    note: "é",
  }));
  const saved = { ticker, data_type: "trade", index_col: "timestamp", data };
  expect((await server.command("save_realtime_data", saved)).status).toBe(200);
}

test("bytes and rows of requests are told as their clients see them", async () => {
  await using server = await startServer({ workers: 1 });
  await saveTrades(server, "A", 3_000);
  const before = await doorTotals(server);
  let [sent, received] = [before.bytes, 0];
  const ticks = { ticker: "A", data_type: "trade" };
  const ten = { ...ticks, start_datetime: `${SECOND}Z`, end_datetime: `${SECOND}.009Z` };
  const asks: [command: string, params: object][] = [
    ["get_latest_price", { ticker: "A" }],
    ["get_realtime_data", ten],
    // An answer that is kept by now, and one that streams.
    ["get_realtime_data", ten],
    ["get_realtime_data", ticks],
  ];
  for (const [command, params] of asks) {
    const body = JSON.stringify({ command, params });
    const headers = { "content-type": "application/json", "accept-encoding": "identity" };
    const response = await fetch(`${server.url}/db_command`, { method: "POST", body, headers });
    received += Buffer.byteLength(body);
    sent += (await response.arrayBuffer()).byteLength;
  }
  for (const path of ["/nowhere", "/v1/trades?symbols=A&limit=5", "/docs"])
    sent += (await (await fetch(server.url + path)).arrayBuffer()).byteLength;
  await fetch(`${server.url}/v1/tickers`, { method: "HEAD" });
  const page = await (await fetch(`${server.url}/v2/stocks/A/trades?start=2024-01-02&limit=3`)).arrayBuffer();
  const after = await doorTotals(server);
  const of = (name: string, door: string): number => after.of(name, door) - before.of(name, door);
  expect(of("received_bytes", "http")).toBe(received);
  expect(of("sent_bytes", "http")).toBe(sent);
  // A page reads one more, which tells whether there is a next.
  expect(of("sent_rows", "http")).toBe(1 + 10 + 10 + 3_000 + 6);
  expect([of("sent_bytes", "alpaca"), of("sent_rows", "alpaca")]).toEqual([page.byteLength, 4]);
});

test("bytes and rows of live doors and replays are told as their clients see them", async () => {
  await using server = await startServer({ workers: 1 });
  await saveTrades(server, "A", 100);
  const bytes = { websocket: 0, replay: 0, alpaca: 0, event_stream: 0 };
  const frames = { websocket: 0, replay: 0, alpaca: 0 };
  const open = (door: keyof typeof frames, path: string): WebSocket => {
    const socket = new WebSocket(server.wsUrl + path);
    socket.onmessage = ({ data }) => {
      bytes[door] += Buffer.byteLength(String(data));
      frames[door]++;
    };
    return socket;
  };
  const [one, two] = [open("websocket", "/ws?symbols=B"), open("websocket", "/ws?symbols=B")];
  const replay = open("replay", `/ws/replay?symbols=A&types=trade&speed=max&${FIRST_TEN}`);
  const alpaca = open("alpaca", "/v2/sip");
  await waitUntil("the replay is over", () => replay.readyState === WebSocket.CLOSED);
  await waitUntil("all are open", () => frames.websocket >= 4 && frames.alpaca >= 1);
  const said = '{"action":"unsubscribe","symbols":["é"]}';
  one.send(said);
  const asked = ['{"action":"auth","key":"é","secret":"any"}', '{"action":"subscribe","trades":["B"]}'];
  for (const message of asked) alpaca.send(message);
  await waitUntil("it is subscribed", () => frames.alpaca >= 3);
  const abort = new AbortController();
  const { body } = await fetch(`${server.url}/v1/stream?symbols=B`, { signal: abort.signal });
  const reading = (async () => {
    for await (const chunk of body!) bytes.event_stream += chunk.length;
  })().catch(() => undefined);
  await waitUntil("the stream has begun", () => bytes.event_stream > 100);
  for (let i = 1; i <= 3; i++) expect((await saveTrade(server.url, "B", i)).status).toBe(200);
  const rows = { websocket: 2 * 3, replay: 10, alpaca: 3, event_stream: 3 };
  await waitUntil("all that clients have got is told", async () => {
    const { of } = await doorTotals(server);
    for (const door of ["websocket", "replay", "alpaca", "event_stream"] as const)
      expect([door, of("sent_bytes", door), of("sent_rows", door)]).toEqual([door, bytes[door], rows[door]]);
    expect(of("received_bytes", "websocket")).toBe(Buffer.byteLength(said));
    expect(of("received_bytes", "alpaca")).toBe(Buffer.byteLength(asked.join("")));
    return true;
  });
  for (const socket of [one, two, alpaca]) socket.close();
  abort.abort();
  await reading;
});

const postgres = usePostgres();
const DATABASES: Record<string, (dir: string) => string | Promise<string>> = {
  SQLite: (dir) => join(dir, "a.db"),
  DuckDB: (dir) => join(dir, "a.duckdb"),
  PostgreSQL: () => postgres.freshSchema(),
};

test.each(Object.keys(DATABASES))("commits, updates and their log are told of %s", async (engine) => {
  using dir = tempDir();
  const dbFile = await DATABASES[engine]!(dir.path);
  await using server = await startServer({ workers: 2, dbFile });
  for (let i = 1; i <= 20; i++) expect((await saveTrade(server.url, "A", i)).status).toBe(200);
  const told = async (name: string): Promise<number> => (await scrape(server)).get(name) ?? -1;
  await waitUntil("all are counted", async () => (await told("stock_db_updates_total")) === 20);
  const before = await scrape(server);
  expect(before.get("stock_db_commit_saves_sum")).toBe(20);
  expect(before.get("stock_db_commit_seconds_count")).toBe(before.get("stock_db_commit_saves_count")!);
  expect(before.get("stock_db_commit_seconds_sum")).toBeGreaterThan(0);
  expect(before.get("stock_db_commit_queue")).toBe(0);
  const newest = before.get("stock_db_newest_update_seconds")!;
  expect(Math.abs(newest - Date.now() / 1_000)).toBeLessThan(60);
  expect(before.get("stock_db_update_log_bytes")).toBeGreaterThanOrEqual(0);
  expect(before.get("stock_db_update_log_limit_bytes")).toBeGreaterThan(1e6);
  expect(before.get('stock_db_pool_connections{state="available"}')).toBeGreaterThan(0);
  expect(before.get('stock_db_starts_total{role="hub"}')).toBe(1);
  expect(before.get('stock_db_starts_total{role="worker"}')).toBe(2);
  if (engine === "SQLite") {
    expect((await runSql(server.url, "SELECT 1")).status).toBe(200);
    const idle = 'stock_db_sql_runners{state="idle"}';
    await waitUntil("its runner is told", async () => (await told(idle)) === 1);
  }

  process.kill(processesOf(server).hub, "SIGKILL");
  await waitUntil("another has started", async () => (await told('stock_db_starts_total{role="hub"}')) === 2);
  for (let i = 21; i <= 25; i++)
    await waitUntil("saved", async () => (await saveTrade(server.url, "A", i)).status === 200);
  await waitUntil("no count went back", async () => (await told("stock_db_updates_total")) >= 24);
});

test("metrics are told while the hub stands still", async () => {
  await using server = await startServer({ dbFile: "a.duckdb", flags: ["--liveness-timeout", "60"] });
  const [hub] = childrenOf(server.pid).filter((pid) => roleOf(pid) === "hub");
  process.kill(hub!, "SIGSTOP");
  try {
    expect((await scrape(server)).get("stock_db_workers")).toBe(1);
  } finally {
    process.kill(hub!, "SIGCONT");
  }
});

/** Of the panels, with what Grafana puts in for its variables. */
function dashboardExpressions(): string[] {
  const { panels } = JSON.parse(readFileSync(join(DOCS, "grafana-dashboard.json"), "utf8")) as Json;
  const all = panels.flatMap(({ targets }: Json) => targets.map(({ expr }: Json) => expr as string));
  return all.map((expr: string) => expr.replaceAll("$instance", ".*").replaceAll("$__rate_interval", "5m"));
}

test("docs/metrics.md names every metric, and the rules and the dashboard use no other", () => {
  const page = readFileSync(join(DOCS, "metrics.md"), "utf8");
  const named = new Set(page.match(/`stock_db_\w+`/g)!.map((name) => name.slice(1, -1)));
  expect([...named].sort()).toEqual(Object.keys(FAMILIES).sort());
  const rules = readFileSync(join(DOCS, "prometheus-rules.yml"), "utf8");
  const used = [rules, ...dashboardExpressions()].join("\n");
  expect(dashboardExpressions().length).toBeGreaterThan(10);
  for (const [name] of used.matchAll(/stock_db_\w+/g))
    expect([name, Object.hasOwn(FAMILIES, name.replace(/_(bucket|sum|count)$/, ""))]).toEqual([name, true]);
});

const promtool = Bun.which("promtool");
const missing = promtool === null ? " (promtool is not installed)" : "";
test.skipIf(promtool === null)(`promtool finds no fault in metrics, rules, dashboard${missing}`, async () => {
  using dir = tempDir();
  await using server = await startServer();
  await saveTrade(server.url, "A", 1);
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const checked = spawnSync(promtool!, ["check", "metrics"], { input: text, encoding: "utf8" });
  expect([checked.status, checked.stderr]).toEqual([0, ""]);
  const panels = join(dir.path, "panels.yml");
  const records = dashboardExpressions().map((expr, i) => ({ record: `panel_${i}`, expr }));
  // JSON is YAML too.
  writeFileSync(panels, JSON.stringify({ groups: [{ name: "panels", rules: records }] }));
  for (const file of [join(DOCS, "prometheus-rules.yml"), panels]) {
    const rules = spawnSync(promtool!, ["check", "rules", file], { encoding: "utf8" });
    expect([rules.status, rules.stderr]).toEqual([0, ""]);
  }
});
