/** Traces: real servers that send them to a collector, by OTLP over HTTP. */
import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { selfSigned } from "../support/certificates.ts";
import { type CollectedSpan, startCollector } from "../support/collector.ts";
import { failingStart } from "../support/failing-start.ts";
import { freePort } from "../support/free-port.ts";
import { addKey, bearer } from "../support/keys.ts";
import { command, fillTicks, get, runSql, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const SAMPLED = { traceparent: `00-${TRACE}-${SPAN}-01` };
/** Of src/worker/worker.ts. */
const STOP_MS = 2_000;

const to = (url: string, ...more: string[]): string[] => ["--otlp-endpoint", url, ...more];
const isOf = (name: string) => (own: CollectedSpan) => own.name === name;

async function dropped({ url }: RunningServer): Promise<number> {
  const text = await (await fetch(`${url}/metrics`, { headers: { connection: "close" } })).text();
  return Number(/^stock_db_spans_dropped_total (\d+)$/m.exec(text)?.[1] ?? Number.NaN);
}

function expectWithin(children: CollectedSpan[], own: CollectedSpan): void {
  expect(own.from).toBeLessThanOrEqual(own.to);
  for (const child of children) {
    expect([child.traceId, child.kind]).toEqual([own.traceId, 3]);
    expect(child.from).toBeGreaterThanOrEqual(own.from);
    expect(child.from).toBeLessThanOrEqual(child.to);
    expect(child.to).toBeLessThanOrEqual(own.to);
  }
}

for (const workers of [1, 2]) {
  test(`${workers} workers: a save, reads and a statement are spans of their requests`, async () => {
    using collector = startCollector();
    const beganMs = Date.now();
    await using server = await startServer({ workers, flags: to(collector.url) });
    expect((await saveTrade(server.url, "SECRET", 5)).status).toBe(200);
    const read = { ticker: "SECRET", data_type: "trade", start_date: "2024-01-01", end_date: "2024-01-03" };
    expect((await command(server.url, "get_realtime_data", read)).status).toBe(200);
    expect((await runSql(server.url, "SELECT 'SECRET' AS a, ? AS b", ["SECRET"])).status).toBe(200);
    expect((await get(`${server.url}/v1/trades?symbols=SECRET`)).status).toBe(200);

    const save = await collector.traceOf(isOf("POST save_realtime_data"));
    expect(save.own.attributes).toEqual({
      "http.request.method": "POST",
      "url.scheme": "http",
      "url.path": "/db_command",
      "http.route": "/db_command",
      "http.response.status_code": 200,
      "stock_db.command": "save_realtime_data",
    });
    expect(save.own.resource).toMatchObject({ "service.name": "stock-db-server" });
    expect(save.own.parentSpanId).toBeUndefined();
    expect(save.own.status).toBe(0);
    expect(save.children.map(({ name }) => name)).toEqual(["save ticks"]);
    const system = { "db.system.name": "sqlite", "db.system": "sqlite" };
    const saving = { "db.operation.name": "save", "db.collection.name": "ticks", "stock_db.rows": 1 };
    expect(save.children[0]!.attributes).toEqual({ ...system, ...saving });

    const reading = await collector.traceOf(isOf("POST get_realtime_data"));
    expect(reading.children.map(({ name }) => name)).toEqual(["rows ticks"]);

    const sql = await collector.traceOf(isOf("POST execute_sql"));
    expect(sql.children.map(({ name, attributes }) => [name, attributes["db.query.text"]])).toEqual([
      ["execute_sql", "SELECT ? AS a, ? AS b"],
    ]);
    expect(sql.children[0]!.attributes["db.response.returned_rows"]).toBe(1);

    const trades = await collector.traceOf(isOf("GET /v1/trades"));
    expect(trades.own.attributes).toMatchObject({ "http.route": "/v1/trades", "url.path": "/v1/trades" });
    const columns = trades.children.find(({ name }) => name === "columns ticks");
    expect(columns?.attributes["db.response.returned_rows"]).toBe(1);

    const traces = [save, reading, sql, trades];
    for (const { own, children } of traces) {
      expectWithin(children, own);
      // The clock of the wall, which may be set by a little while a test runs.
      expect(Number(own.from / 1_000_000n)).toBeGreaterThanOrEqual(beganMs - 1_000);
      expect(Number(own.to / 1_000_000n)).toBeLessThanOrEqual(Date.now() + 1_000);
    }
    expect(new Set(traces.map(({ own }) => own.traceId)).size).toBe(traces.length);
    expect(new Set(collector.spans.map(({ spanId }) => spanId)).size).toBe(collector.spans.length);
    expect(JSON.stringify(collector.spans, (_, value) => String(value))).not.toContain("SECRET");
    expect(collector.requests[0]!.path).toBe("/v1/traces");
    expect(await dropped(server)).toBe(0);
  });
}

test("the span of a save has the wait for the hub and its commit", async () => {
  using collector = startCollector();
  await using server = await startServer({ flags: to(collector.url) });
  using foreign = new Database(server.dbFile);
  foreign.run("BEGIN IMMEDIATE");
  const save = saveTrade(server.url, "A", 1);
  await Bun.sleep(300);
  foreign.run("ROLLBACK");
  expect((await save).status).toBe(200);
  const { own, children } = await collector.traceOf(isOf("POST save_realtime_data"));
  expectWithin(children, own);
  expect(children.map(({ name }) => name)).toEqual(["save ticks"]);
  // Less than the pause: the request was on its way while it began.
  expect(Number(children[0]!.to - children[0]!.from) / 1e6).toBeGreaterThan(150);
});

test("what fails says so, and not with which values", async () => {
  using collector = startCollector();
  await using server = await startServer({ flags: to(collector.url, "--sql-timeout", "0.5") });
  expect((await runSql(server.url, "SELECT * FROM nowhere WHERE a = 'SECRET'")).status).toBe(400);
  const wrong = await collector.traceOf(isOf("POST execute_sql"));
  expect([wrong.own.attributes["http.response.status_code"], wrong.own.status]).toEqual([400, 0]);
  expect(wrong.children[0]).toMatchObject({ status: 2, attributes: { "error.type": "400" } });
  collector.spans.length = 0;
  const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
  expect((await runSql(server.url, endless)).status).toBe(504);
  const late = await collector.traceOf(isOf("POST execute_sql"));
  expect([late.own.status, late.own.attributes["error.type"]]).toEqual([2, "504"]);
  expect(late.children[0]!.attributes["error.type"]).toBe("504");
  expect(JSON.stringify(wrong, (_, value) => String(value))).not.toContain("SECRET");
});

test("a traceparent is the parent, and its flag decides", async () => {
  using collector = startCollector();
  await using server = await startServer({
    flags: to(collector.url, "--otlp-sample", "0", "--access-log", "on"),
  });
  await get(`${server.url}/v1/tickers?a=none`);
  await get(`${server.url}/v1/tickers?a=not`, { traceparent: `00-${TRACE}-${SPAN}-00` });
  await get(`${server.url}/v1/tickers?a=yes`, { ...SAMPLED, "x-request-id": "desk-7" });
  await get(`${server.url}/v1/tickers?a=also`, SAMPLED);
  const { own } = await collector.traceOf(({ attributes }) => attributes["stock_db.request_id"] === "desk-7");
  expect([own.traceId, own.parentSpanId]).toEqual([TRACE, SPAN]);
  await server.stop();
  expect(collector.spans.filter(({ kind }) => kind === 2)).toHaveLength(2);
  expect(server.log()).toMatch(new RegExp(`a=yes HTTP.* id=desk-7 trace=${TRACE}\n`));
  expect(server.log()).toMatch(new RegExp(`a=also HTTP.* id=${TRACE}\n`));
  expect(server.log()).toMatch(new RegExp(`a=not HTTP.* id=${TRACE}\n`));
  expect(server.log()).not.toMatch(/a=none HTTP.* (id|trace)=/);
});

test("an id in the log finds the trace of a request that came without one", async () => {
  using collector = startCollector();
  await using server = await startServer({ flags: to(collector.url) });
  expect((await get(`${server.url}/nowhere/SECRET`)).status).toBe(404);
  const { own } = await collector.traceOf(isOf("GET"));
  expect(own.attributes["http.route"]).toBeUndefined();
  expect(own.attributes["url.path"]).toBe("/nowhere/SECRET");
  await server.logged(new RegExp(`GET /nowhere/SECRET HTTP.* 404 .* id=${own.traceId}\n`));
});

test("a large answer's span lasts until its last row has gone", async () => {
  using collector = startCollector();
  await using server = await startServer({ flags: to(collector.url) });
  expect((await fillTicks(server.url, "A", 200_000)).status).toBe(200);
  const answer = await fetch(`${server.url}/v1/trades?symbols=A&format=csv`);
  expect((await answer.text()).trimEnd().split("\n")).toHaveLength(200_001);
  const { own, children } = await collector.traceOf(isOf("GET /v1/trades"));
  expectWithin(children, own);
  const rows = children.map(({ attributes }) => Number(attributes["db.response.returned_rows"] ?? 0));
  expect(rows.reduce((sum, count) => sum + count)).toBe(200_000);

  // A client that leaves ends it too.
  const left = new AbortController();
  const begun = await fetch(`${server.url}/v1/trades?symbols=A`, { signal: left.signal, headers: SAMPLED });
  await begun.body!.getReader().read();
  left.abort();
  await collector.traceOf(({ traceId }) => traceId === TRACE);
});

test("requests with keys have the key's name, and the collector gets its headers", async () => {
  using folder = tempDir();
  using collector = startCollector();
  const keys = join(folder.path, "keys");
  const key = await addKey(keys, "desk", "read");
  const headers = join(folder.path, "headers");
  writeFileSync(headers, "Authorization: Bearer of-the-collector\n\nX-Scope-OrgID: stocks\n");
  await using server = await startServer({
    flags: to(`${collector.url}/otlp/`, "--otlp-headers-file", headers, "--keys", keys),
  });
  await get(`${server.url}/v1/tickers`);
  await get(`${server.url}/v1/tickers`, bearer(key));
  const { own } = await collector.traceOf(({ attributes }) => attributes["enduser.id"] === "desk");
  expect(own.attributes["http.response.status_code"]).toBe(200);
  const refused = await collector.traceOf(
    ({ attributes }) => attributes["http.response.status_code"] === 401,
  );
  expect(refused.own.attributes["enduser.id"]).toBeUndefined();
  const [request] = collector.requests;
  expect(request!.path).toBe("/otlp/v1/traces");
  expect(request!.headers.get("authorization")).toBe("Bearer of-the-collector");
  expect(request!.headers.get("x-scope-orgid")).toBe("stocks");
  expect(JSON.stringify(collector.spans, (_, value) => String(value))).not.toContain(key);
  expect(server.log()).not.toContain("of-the-collector");
});

test("a collector that is away, then back: requests go on, the log says it once, nothing is lost", async () => {
  const port = await freePort();
  await using server = await startServer({ flags: to(`http://127.0.0.1:${port}`) });
  expect((await saveTrade(server.url, "A", 1)).status).toBe(200);
  await server.logged("Traces: spans don't reach");
  for (let i = 2; i <= 20; i++) expect((await saveTrade(server.url, "A", i)).status).toBe(200);
  using collector = startCollector(port);
  const saves = () => collector.spans.filter(({ name }) => name === "POST save_realtime_data").length;
  await waitUntil("all have come", () => saves() === 20);
  await server.logged("Traces: spans reach the collector; 0 were dropped so far");
  expect(server.log().match(/spans don't reach/g)).toHaveLength(1);
  expect(await dropped(server)).toBe(0);
});

test("a collector that refuses: its spans are dropped and counted, and no redirect is followed", async () => {
  using other = startCollector();
  using collector = startCollector();
  collector.answer = () => new Response("no", { status: 400 });
  await using server = await startServer({ flags: to(collector.url) });
  await get(`${server.url}/v1/tickers`);
  await waitUntil("they are counted", async () => (await dropped(server)) > 0);
  await server.logged("status 400");
  collector.answer = () => Response.json({ partialSuccess: { rejectedSpans: "1", errorMessage: "why" } });
  const before = await dropped(server);
  await waitUntil("one is counted", async () => (await dropped(server)) === before + 1);
  const asked = collector.requests.length;
  collector.answer = () => Response.redirect(`${other.url}/v1/traces`, 307);
  await waitUntil("it was asked", () => collector.requests.length > asked);
  expect(await server.stop()).toBe(0);
  expect(other.requests).toHaveLength(0);
});

test("a collector with TLS needs a certificate that is trusted", async () => {
  using folder = tempDir();
  const certificate = selfSigned(folder.path, "collector");
  using collector = startCollector(0, certificate);
  {
    await using server = await startServer({ flags: to(collector.url) });
    await get(`${server.url}/v1/tickers`);
    await server.logged(/spans don't reach https:.*certificate/);
  }
  expect(collector.requests).toHaveLength(0);
  const env = { NODE_EXTRA_CA_CERTS: certificate.cert };
  await using server = await startServer({ flags: to(collector.url), env });
  await get(`${server.url}/v1/tickers`);
  await collector.traceOf(isOf("GET /v1/tickers"));
});

test("a collector that hangs holds up neither requests nor the stop; more than its bound is dropped", async () => {
  using collector = startCollector();
  collector.answer = () => Promise.withResolvers<Response>().promise;
  await using server = await startServer({ flags: to(collector.url) });
  for (let round = 0; round < 12; round++)
    await Promise.all(Array.from({ length: 500 }, () => get(`${server.url}/live`)));
  await waitUntil("the oldest are dropped", async () => (await dropped(server)) > 0);
  expect(server.log().match(/spans don't reach/g)?.length ?? 0).toBeLessThanOrEqual(1);
  const began = performance.now();
  expect(await server.stop()).toBe(0);
  // Room for the rest of the stop, on a machine that does much else.
  expect(performance.now() - began).toBeLessThan(STOP_MS + 10_000);
  expect(server.log()).toMatch(/Traces: not sent before the stop: \d+ spans/);
});

test("what waits at a stop is sent", async () => {
  using collector = startCollector();
  await using server = await startServer({ flags: to(collector.url) });
  expect((await saveTrade(server.url, "A", 1)).status).toBe(200);
  expect(await server.stop()).toBe(0);
  expect(collector.spans.map(({ name }) => name)).toContain("POST save_realtime_data");
});

test("off: nothing is sent, counted or logged, whatever a client sends", async () => {
  using collector = startCollector();
  await using server = await startServer({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } });
  await get(`${server.url}/nowhere`, SAMPLED);
  expect(await dropped(server)).toBeNaN();
  expect(await server.stop()).toBe(0);
  expect(collector.requests).toHaveLength(0);
  expect(server.log()).not.toContain("Traces:");
});

test("what is wrong with the settings ends the start, and shows no secret", async () => {
  using folder = tempDir();
  const file = join(folder.path, "headers");
  writeFileSync(file, "secret without a colon\n");
  const url = "https://collector.example";
  for (const [flags, expected] of [
    [["--otlp-endpoint", "collector:4318"], "expected http(s)://"],
    [["--otlp-endpoint", "https://me:secret@collector.example"], "expected http(s)://"],
    [["--otlp-endpoint", url, "--otlp-sample", "2"], "--otlp-sample: expected a number from 0 to 1"],
    [["--otlp-headers-file", file], "--otlp-headers-file: expected --otlp-endpoint beside it"],
    [to(url, "--otlp-headers-file", file), "line 1: expected NAME: VALUE"],
    [to(url, "--otlp-headers-file", join(folder.path, "none")), "ENOENT"],
  ] as const) {
    const { code, output } = await failingStart([...flags]);
    expect(code).not.toBe(0);
    expect(output).toContain(expected);
    expect(output).not.toContain("secret");
  }
});
