/** A server in front of another answers what that one does, large answers and stopped ones too. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { peakMb } from "../support/processes.ts";
import { command, fillTicks, get, runSql, saveTrade } from "../support/requests.ts";
import { startServer, waitUntil } from "../support/server.ts";
import { startTiers } from "../support/tiers.ts";

setDefaultTimeout(180_000);

/** Status and body as they came, to the byte. */
async function post(url: string, body: unknown): Promise<{ status: number; text: string }> {
  const answer = await fetch(`${url}/db_command`, {
    method: "POST",
    headers: { "content-type": "application/json", connection: "close" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: answer.status, text: await answer.text() };
}

const today = new Date().toISOString().slice(0, 10);
const day = (offset: number): string => new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10);

test("every command through the front stores and answers what it does without it", async () => {
  await using tiers = await startTiers();
  const { upstream, front } = tiers;
  const saves = [
    {
      command: "save_stock_data",
      params: {
        ticker: "AAPL",
        index_col: "Date",
        data: Array.from({ length: 30 }, (_, i) => ({
          Date: day(i - 29),
          open: i,
          close: i + 0.5,
          volume: 10,
        })),
      },
    },
    {
      command: "save_stock_data",
      params: {
        ticker: "AAPL",
        interval: "hourly",
        index_col: "datetime",
        data: [{ datetime: "2024-01-02 10:00", close: 1.25, volume: 7 }],
      },
    },
    {
      command: "save_realtime_data",
      params: {
        ticker: "Ä'\"B C",
        index_col: "timestamp",
        data: [
          { timestamp: "2024-01-02T10:00:00+02:00", price: 1, size: 2, ask_price: 3, ask_size: 4 },
          { timestamp: "2024-01-02T10:00:00+02:00", price: 1, size: 2, seq: 7 },
        ],
      },
    },
    '{"command":"save_realtime_data","params":{"ticker":"AAPL","data_type":"trade","index_col":"t","data":[{"t":"2024-01-02 10:00:00.000001","price":NaN,"size":9007199254740993}]}}',
    {
      command: "save_stock_data",
      params: { ticker: "AAPL", index_col: "date", on_duplicate: "error", data: [{ date: today, close: 1 }] },
    },
    { command: "save_stock_data", params: { ticker: "AAPL", index_col: "date", data: [] } },
  ];
  const statuses = [];
  for (const save of saves) statuses.push((await post(front.url, save)).status);
  expect(statuses).toEqual([200, 200, 200, 200, 409, 400]);

  const ask = (name: string, params: Record<string, unknown>) => ({ command: name, params });
  const sql = (sql_query: string, query_type = "select", query_params: unknown[] = []) =>
    ask("execute_sql", { sql_query, query_type, query_params });
  const tickers = ["AAPL", "nobody", "Ä'\"B C", "", 5, "__proto__"];
  const reads: unknown[] = [
    ask("get_stock_data", { ticker: "AAPL" }),
    ask("get_stock_data", { ticker: "AAPL", start_date: day(-3), end_date: day(-1) }),
    ask("get_stock_data", { ticker: "AAPL", interval: "hourly", start_date: "2024-01-02 09:30:00.5" }),
    ask("get_stock_data", { ticker: "AAPL", interval: "hourly", end_date: "2024-01-02" }),
    ask("get_stock_data", { ticker: "nobody" }),
    ask("get_stock_data", { ticker: "AAPL", start_date: "yesterday?" }),
    ask("get_realtime_data", { ticker: "Ä'\"B C" }),
    ask("get_realtime_data", { ticker: "Ä'\"B C", end_datetime: "2024-01-02T08:00:00Z" }),
    ask("get_realtime_data", { ticker: "AAPL", data_type: "trade", start_datetime: 1704189600 }),
    ask("get_realtime_data", { ticker: "AAPL", data_type: "" }),
    ask("get_latest_data", { ticker: "Ä'\"B C" }),
    ask("get_latest_data", { ticker: "AAPL", data_type: "trade", limit: 1 }),
    ask("get_historical_data", { ticker: "AAPL" }),
    ask("get_historical_data", { ticker: "AAPL", limit: 0 }),
    ask("get_latest_price", { ticker: "AAPL" }),
    ask("get_latest_price", { ticker: 5 }),
    ask("get_latest_prices", { tickers }),
    ask("get_latest_prices", { tickers: [] }),
    ask("get_previous_close_prices", { tickers }),
    ask("get_today_opening_prices", { tickers }),
    ask("get_today_daily_data", { ticker: "AAPL" }),
    ask("get_today_volume", { tickers }),
    sql("SELECT ticker, count(*) AS n FROM daily_prices GROUP BY ticker"),
    sql("SELECT ? AS a, ? AS b, ? AS c", "select", [1.5, "ä", null]),
    '{"command":"execute_sql","params":{"sql_query":"SELECT ? AS exact, size FROM realtime_data WHERE size > 5","query_type":"raw","query_params":[-9223372036854775808]}}',
    sql("SELECT * FROM daily_prices WHERE ticker = 'nobody'"),
    sql("SELECT * FROM daily_prices WHERE ticker = 'nobody'", "raw"),
    sql(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT i, 'x' AS t FROM n",
    ),
    sql("DELETE FROM daily_prices WHERE ticker = 'nobody'", "raw"),
    sql("DELETE FROM daily_prices"),
    sql("SELEC"),
    sql("ATTACH 'x.db' AS x", "raw"),
    sql("SELECT ?", "select", [[]]),
    ask("save_options_data", { ticker: "AAPL", data: [1] }),
    ask("dance", {}),
    "not JSON",
  ];
  for (const read of reads) expect(await post(front.url, read)).toEqual(await post(upstream.url, read));

  for (const path of [
    "/api/execute_sql?sql=SELECT+1+AS+one",
    "/api/execute_sql?sql=SELECT+?+AS+a&query_params=[9007199254740993]&query_type=raw",
    "/api/execute_sql?sql=DELETE+FROM+daily_prices&query_type=raw",
    "/api/execute_sql?sql=SELEC",
    "/stats/nothing",
  ]) {
    const [direct, through] = await Promise.all([get(upstream.url + path), get(front.url + path)]);
    expect({ status: through.status, body: through.body }).toEqual({
      status: direct.status,
      body: direct.body,
    });
  }
  const { body: tables } = await get(`${front.url}/stats/tables`);
  expect(tables.tables).toMatchObject({ daily_prices: { row_count: 30 }, realtime_data: { row_count: 3 } });
  const { body: database } = await get(`${front.url}/stats/database`);
  expect(database.database.size_bytes).toBeGreaterThan(0);
});

/** Asks for all ticks of BIG on a bare socket that is read only when told to. */
async function askSlowly(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1" });
  socket.on("error", () => {});
  const body = JSON.stringify({
    command: "get_realtime_data",
    params: { ticker: "BIG", data_type: "trade" },
  });
  socket.write(
    `POST /db_command HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
  await new Promise<void>((readable) => socket.once("readable", readable));
  return socket;
}

test("large answers pass at the client's pace in bounded memory, and one that is given up frees its connection", async () => {
  await using tiers = await startTiers({ workers: 1 });
  const { upstream, front } = tiers;
  await fillTicks(upstream.url, "BIG", 400_000);
  const request = { command: "get_realtime_data", params: { ticker: "BIG", data_type: "trade" } };
  const whole = await post(front.url, request);
  expect(Bun.hash(whole.text)).toBe(Bun.hash((await post(upstream.url, request)).text));
  const answerMb = whole.text.length / 2 ** 20;

  const before = peakMb(front.pid);
  const slow = await Promise.all(Array.from({ length: 6 }, () => askSlowly(front.port)));
  const active = async () => (await get(`${front.url}/stats/pool`)).body.active_connections as number;
  await waitUntil("all are under way", async () => (await active()) === 6);
  // Others are served meanwhile, by the connections that large answers leave.
  expect((await saveTrade(front.url, "BIG", 5)).status).toBe(200);
  await Bun.sleep(500);
  const grown = peakMb(front.pid) - before;
  console.log(
    `remote-answers.test.ts: ${grown.toFixed(0)} MB more for 6 unread answers of ${answerMb.toFixed(0)} MB each`,
  );
  expect(grown).toBeLessThan(answerMb * 3);
  for (const socket of slow) socket.destroy();
  await waitUntil("every connection is free", async () => (await active()) === 0);

  // At any moment: before the answer, at its beginning, in it.
  for (let i = 0; i < 60; i++) {
    const leave = new AbortController();
    const answer = fetch(`${front.url}/db_command`, {
      method: "POST",
      headers: { "content-type": "application/json", connection: "close" },
      body: JSON.stringify(request),
      signal: leave.signal,
    });
    setTimeout(() => leave.abort(), i % 20);
    await answer.then((response) => response.body?.cancel()).catch(() => {});
  }
  await waitUntil("every connection is free", async () => (await active()) === 0);
  await waitUntil("also the upstream's", async () => {
    // One connection is for small answers, always.
    return (await get(`${upstream.url}/stats/pool`)).body.active_connections === 1;
  });
  const { body } = await get(`${front.url}/stats/pool`);
  expect(body).toMatchObject({ pool_max_size: 10, available_connections: 10, waiting_requests: 0 });
});

test("an answer that breaks off at the upstream breaks off here too", async () => {
  await using tiers = await startTiers({ workers: 1 });
  const { upstream, front } = tiers;
  await fillTicks(upstream.url, "BIG", 400_000);
  const answer = await fetch(`${front.url}/db_command`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ command: "get_realtime_data", params: { ticker: "BIG", data_type: "trade" } }),
  });
  const body = answer.body!.getReader();
  expect((await body.read()).done).toBe(false);
  await upstream.stop("SIGKILL");
  const readToEnd = async (): Promise<string> => {
    while (!(await body.read()).done);
    return "complete";
  };
  expect(await readToEnd().catch(() => "broken off")).toBe("broken off");
  expect((await get(`${front.url}/live`)).status).toBe(200);
});

const ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

test("SQL is stopped at either server's limit, and when its client leaves", async () => {
  await using tiers = await startTiers({ workers: 1, flags: ["--sql-timeout", "8", "--db-pool-size", "1"] });
  const { upstream, front } = tiers;
  const stopped = await runSql(front.url, ENDLESS);
  expect([stopped.status, stopped.body.error]).toEqual([504, "execute_sql: stopped at the limit of 8 s"]);

  await using impatient = await startServer({
    dbFile: `127.0.0.1:${upstream.port}`,
    flags: ["--sql-timeout", "0.5"],
  });
  const earlier = await runSql(impatient.url, ENDLESS);
  expect(earlier.status).toBe(504);
  expect(earlier.body.error).toContain("the upstream did not answer within");
  expect(earlier.body.error).toContain("whether it changed anything is unknown");
  const leave = new AbortController();
  const left = command(front.url, "execute_sql", { sql_query: ENDLESS, query_type: "select" }, leave.signal);
  await waitUntil(
    "it runs",
    async () => (await get(`${front.url}/stats/pool`)).body.active_connections === 1,
  );
  leave.abort();
  await left.catch(() => {});
  // The upstream has one runner only: it was freed.
  expect((await runSql(upstream.url, "SELECT 1 AS one")).body.data).toEqual([{ one: 1 }]);
  await waitUntil("its connection is free", async () => {
    return (await get(`${front.url}/stats/pool`)).body.active_connections === 0;
  });
});
