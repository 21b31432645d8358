/** Parameters that a command does not know are told in its answer, of whatever kind it is. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { usePostgres } from "../support/postgres.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { type Backend, DUCKDB, FRONT, postgresBackend, SQLITE } from "../wire/backends.ts";

setDefaultTimeout(180_000);

interface Answer {
  warnings?: string[];
  data: unknown[];
  message?: string;
}

const BACKENDS: Backend[] = [SQLITE, DUCKDB, postgresBackend(usePostgres()), FRONT];

async function saveTrades(server: RunningServer, ticker: string, count: number): Promise<void> {
  const data = Array.from({ length: count }, (_, i) => ({
    timestamp: new Date(Date.UTC(2024, i === 0 ? 0 : 5, 2, 15, 0, i)).toISOString(),
    price: 100 + i,
    size: 1,
  }));
  const params = { ticker, data_type: "trade", index_col: "timestamp", data };
  expect((await server.command("save_realtime_data", params)).status).toBe(200);
}

for (const backend of BACKENDS) {
  test(`a misnamed bound is told, in answers of every kind: ${backend.name}`, async () => {
    await using stack = new AsyncDisposableStack();
    const server = await backend.start({ flags: [], workers: 1 }, stack);
    const meant = '"start_date" is no parameter of get_realtime_data, did you mean start_datetime?';
    // The first two are kept and asked for twice, the last is streamed.
    for (const [ticker, count] of [
      ["FEW", 2],
      ["FEW", 2],
      ["MANY", 5_000],
    ] as const) {
      await saveTrades(server, ticker, count);
      const params = { ticker, data_type: "trade", start_date: "2024-06-01" };
      const { status, body } = await server.command<Answer>("get_realtime_data", params);
      expect({ status, rows: body.data.length, warnings: body.warnings }).toEqual({
        status: 200,
        rows: count,
        warnings: [meant],
      });
      const strict = await server.command("get_realtime_data", { ...params, strict: true });
      expect([strict.status, strict.body.error]).toEqual([400, meant]);
      const right = { ticker, data_type: "trade", start_datetime: "2024-06-01", strict: true };
      const bounded = await server.command<Answer>("get_realtime_data", right);
      expect([bounded.body.data.length, bounded.body.warnings]).toEqual([count - 1, undefined]);
    }
    const sql = {
      sql_query: "SELECT count(*) AS n FROM realtime_data",
      query_type: "select",
      sql_params: [1],
    };
    const counted = await server.command<Answer>("execute_sql", sql);
    expect(counted.body).toEqual({
      warnings: ['"sql_params" is no parameter of execute_sql, did you mean query_params?'],
      data: [{ n: 5_002 }],
    });
    const large =
      "SELECT a.price FROM realtime_data a, realtime_data b WHERE b.price < 110 AND b.ticker = 'FEW'";
    const streamed = await server.command<Answer>("execute_sql", {
      ...sql,
      sql_query: large,
      sql_params: [],
    });
    expect([streamed.body.data.length, streamed.body.warnings?.length]).toEqual([10_004, 1]);
  });

  test(`a type that a ticker hasn't is told where it has nearly the same: ${backend.name}`, async () => {
    await using stack = new AsyncDisposableStack();
    const server = await backend.start({ flags: [], workers: 1 }, stack);
    await saveTrades(server, "MB", 2);
    const warningsOf = async (command: string, params: object): Promise<unknown[]> => {
      const { body } = await server.command<Answer>(command, { ticker: "MB", ...params });
      return [body.data.length, body.warnings];
    };
    const meant = ['data_type: no "trades" of "MB", did you mean "trade"?'];
    for (const command of ["get_realtime_data", "get_historical_data", "get_latest_data"]) {
      expect(await warningsOf(command, { data_type: "trades" })).toEqual([0, meant]);
      expect(await warningsOf(command, { data_type: "trade" })).toEqual([2, undefined]);
      expect(await warningsOf(command, { data_type: "x" })).toEqual([0, undefined]);
      const strict = await server.command(command, { ticker: "MB", data_type: "trades", strict: true });
      expect([strict.status, strict.body.error]).toEqual([400, meant[0]]);
    }
    expect(await warningsOf("get_realtime_data", { data_type: "quote" })).toEqual([0, undefined]);
    expect(await warningsOf("get_historical_data", { data_type: "dialy" })).toEqual([
      0,
      ['data_type: no "dialy" of "MB", did you mean "daily"?'],
    ]);
    const removal = { ticker: "MB", data_type: "trades", all: true };
    const removed = await server.command("delete_ticks", removal);
    expect(removed.body).toMatchObject({ warnings: meant, removed: 0 });
    const strict = await server.command("delete_ticks", { ...removal, strict: true });
    expect([strict.status, strict.body.error]).toEqual([400, meant[0]]);
  });
}

test("a strict save with a misnamed parameter stores nothing; without strict it stores and warns", async () => {
  await using server = await startServer();
  const save = {
    ticker: "S",
    index_col: "date",
    data: [{ date: "2024-01-02", close: 1 }],
    on_duplicates: "keep",
  };
  const meant = '"on_duplicates" is no parameter of save_stock_data, did you mean on_duplicate?';
  const strict = await server.command("save_stock_data", { ...save, strict: true });
  expect([strict.status, strict.body.error]).toEqual([400, meant]);
  expect((await server.command<Answer>("get_stock_data", { ticker: "S" })).body.data).toEqual([]);
  const { body } = await server.command<Answer>("save_stock_data", save);
  expect(body).toMatchObject({ warnings: [meant], message: "Aggregated data saved successfully." });
  expect((await server.command<Answer>("get_stock_data", { ticker: "S" })).body.data).toHaveLength(1);
});

test("what clients have always sent, and null, is no mistake; what is missing is named", async () => {
  await using server = await startServer();
  const data = [{ date: "2024-01-02", close: 1 }];
  const averages = { ma_periods: null, ema_periods: [8], on_duplicate: "ignore" };
  for (const [command, params] of [
    ["save_stock_data", { ticker: "A", index_col: "date", data, ...averages }],
    ["get_latest_price", { ticker: "A", use_market_time: true }],
    ["get_stock_data", { ticker: "A", start_datetime: null }],
  ] as const) {
    const { status, body } = await server.command(command, { ...params, strict: true });
    expect({ command, status, body }).toMatchObject({ command, status: 200 });
  }
  const { body } = await server.command("get_stock_data", { symbol: "A" });
  expect(body).toEqual({
    error: "Missing 'ticker'",
    details: '"symbol" is no parameter of get_stock_data, did you mean ticker?',
  });
  const odd = await server.command("get_stock_data", { ticker: "A", strict: "yes" });
  expect(odd.body.error).toBe('strict: got "yes", expected true or false');
});

test("many and long unknown names give a short answer; a name near to none is told with all", async () => {
  await using server = await startServer();
  const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`z${i}${"y".repeat(200)}`, 1]));
  const { body } = await server.command<Answer>("get_stock_data", { ticker: "A", ...many });
  expect(body.warnings).toHaveLength(11);
  expect(JSON.stringify(body).length).toBeLessThan(5_000);
  expect(body.warnings?.at(-1)).toBe("9990 more are no parameters of get_stock_data either");
  const one = await server.command<Answer>("get_latest_price", {
    ticker: "A",
    colour: "red",
    constructor: 1,
  });
  expect(one.body.warnings?.[0]).toBe('"colour" is no parameter of get_latest_price; it takes ticker');
  expect(one.body.warnings).toHaveLength(2);
});

test("SQL in a URL warns as well", async () => {
  await using server = await startServer();
  const ask = async (query: string) => await (await fetch(`${server.url}/api/execute_sql?${query}`)).json();
  const meant = '"query_parms" is no parameter of a URL with SQL, did you mean query_params?';
  expect(await ask("sql=SELECT+1+AS+one&query_parms=[]")).toEqual({ warnings: [meant], data: [{ one: 1 }] });
  expect(await ask("sql=SELECT+1+AS+one&query_parms=[]&strict=true")).toEqual({ error: meant });
});
