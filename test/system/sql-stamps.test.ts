/** Users' SQL finds the same rows by the stamps that answers print, on every engine. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { usePostgres } from "../support/postgres.ts";
import type { RunningServer } from "../support/server.ts";
import { type Backend, DUCKDB, FRONT, postgresBackend, SQLITE } from "../wire/backends.ts";

setDefaultTimeout(180_000);

const BACKENDS: Backend[] = [SQLITE, DUCKDB, postgresBackend(usePostgres()), FRONT];

const SECOND = "2024-01-02T15:00:01.000000Z";
const LATER = "2024-01-02T15:00:02.500000Z";
const DAY = "2024-01-02T00:00:00.000000Z";
const HOUR = "2024-01-02T15:00:00.000000Z";

/** How many rows a condition on a table must find, with its parameters. */
const CONDITIONS: [table: string, where: string, found: number, params?: string[]][] = [
  ["realtime_data", `timestamp >= '${SECOND}'`, 2],
  ["realtime_data", `timestamp > '${SECOND}'`, 1],
  ["realtime_data", `'${SECOND}' < timestamp`, 1],
  ["realtime_data", `timestamp = '${SECOND}'`, 1],
  ["realtime_data", `timestamp <> '${SECOND}'`, 1],
  ["realtime_data", "timestamp = '2024-01-02T15:00:02.5Z'", 1],
  ["realtime_data", "timestamp = '2024-01-02 15:00:01'", 1],
  ["realtime_data", "timestamp >= '2024-01-02T15:00'", 2],
  ["realtime_data", "timestamp < '2024-01-02 15:01'", 2],
  ["realtime_data", "timestamp <= '2024-01-02T15:00:01.000000000Z'", 1],
  ["realtime_data", "timestamp > ? AND timestamp <= ?", 1, ["2024-01-02T15:00", SECOND]],
  ["realtime_data", `timestamp BETWEEN '${SECOND}' AND '${LATER}'`, 2],
  ["realtime_data", `timestamp NOT BETWEEN '${SECOND}' AND '${SECOND}'`, 1],
  ["realtime_data", `timestamp IN ('${LATER}', '${SECOND}', '${DAY}')`, 2],
  ["realtime_data", `timestamp NOT IN ('${LATER}')`, 1],
  ["realtime_data", `realtime_data."timestamp" = '${SECOND}'`, 1],
  ["realtime_data", `(timestamp) = '${SECOND}' AND price > 0`, 1],
  [
    "realtime_data r",
    `r.timestamp = (SELECT max(q.timestamp) FROM realtime_data q) AND r.timestamp >= '${LATER}'`,
    1,
  ],
  ["(SELECT ticker, timestamp FROM realtime_data) q", `q.timestamp >= '${SECOND}'`, 2],
  [
    "realtime_data",
    `EXISTS (SELECT 1 FROM daily_prices WHERE date = '${DAY}') AND timestamp = '${LATER}'`,
    1,
  ],
  ["realtime_data", "timestamp >= ?", 2, [SECOND]],
  ["realtime_data", "timestamp BETWEEN ? AND ?", 1, [SECOND, SECOND]],
  ["realtime_data", "ticker = ? AND ? = timestamp AND price IN (101, 102)", 1, ["SQ", LATER]],
  ["daily_prices", `date >= '${DAY}'`, 2],
  ["daily_prices", "date < '2024-01-03T00:00:00Z'", 1],
  ["daily_prices", "date = ?", 1, [DAY]],
  ["daily_prices", "date IN (?, ?)", 2, [DAY, "2024-01-03T00:00:00.000000Z"]],
  ["hourly_prices", `datetime >= '${HOUR}'`, 1],
  ["hourly_prices", `datetime < '${HOUR}'`, 1],
  ["hourly_prices", "datetime = ?", 1, [HOUR]],
  ["hourly_prices", "datetime > '2024-01-02T14:00:00.5Z'", 1],
  ["hourly_prices", "datetime = '2024-01-02 15:00'", 1],
  ["daily_prices", "date = '2024-01-02T00:00'", 1],
  ["interval_prices", `datetime = '${HOUR}'`, 1],
  ["hourly_prices h JOIN interval_prices i ON i.datetime = h.datetime", `h.datetime = '${HOUR}'`, 1],
];

async function save(server: RunningServer, command: string, params: object): Promise<void> {
  expect(await server.command(command, { ticker: "SQ", ...params })).toMatchObject({ status: 200 });
}

async function fill(server: RunningServer): Promise<void> {
  const trades = [
    { timestamp: SECOND, price: 101, size: 1 },
    { timestamp: LATER, price: 102, size: 1 },
  ];
  await save(server, "save_realtime_data", { data_type: "trade", index_col: "timestamp", data: trades });
  const days = ["2024-01-02", "2024-01-03"].map((date) => ({ date, close: 1 }));
  await save(server, "save_stock_data", { index_col: "date", data: days });
  const hours = ["2024-01-02T14:00:00Z", HOUR].map((datetime) => ({ datetime, close: 1 }));
  await save(server, "save_stock_data", { index_col: "datetime", interval: "hourly", data: hours });
  await save(server, "save_stock_data", { index_col: "datetime", interval: "5min", data: [hours[1]] });
}

async function sql(
  server: RunningServer,
  query_type: string,
  sql_query: string,
  query_params: unknown[] = [],
) {
  const { status, body } = await server.command<
    Record<string, unknown> & { data: Record<string, unknown>[] }
  >("execute_sql", { query_type, sql_query, query_params });
  expect({ sql_query, status, error: body.error }).toEqual({ sql_query, status: 200, error: undefined });
  return body;
}

for (const backend of BACKENDS) {
  test(`comparisons with stamps as answers print them: ${backend.name}`, async () => {
    await using stack = new AsyncDisposableStack();
    const server = await backend.start({ flags: [], workers: 1 }, stack);
    await fill(server);
    const wrong: unknown[] = [];
    for (const [table, where, found, params] of CONDITIONS) {
      const query = `SELECT count(*) AS n FROM ${table} WHERE ${where}`;
      const { data } = await sql(server, "select", query, params);
      if (Number(data[0]?.n) !== found) wrong.push([query, data[0]?.n, found]);
    }
    expect(wrong).toEqual([]);
    const having = "SELECT ticker FROM realtime_data GROUP BY ticker HAVING max(timestamp) = ?";
    expect((await sql(server, "select", having, [LATER])).data).toHaveLength(1);
  });

  test(`what writes finds them too, and tells how many rows it changed: ${backend.name}`, async () => {
    await using stack = new AsyncDisposableStack();
    const server = await backend.start({ flags: [], workers: 1 }, stack);
    await fill(server);
    const changed = async (statement: string, params: unknown[] = []): Promise<unknown> =>
      (await sql(server, "raw", statement, params)).rows_changed;
    expect(await changed(`UPDATE realtime_data SET price = 7 WHERE timestamp = '${SECOND}'`)).toBe(1);
    expect(await changed("UPDATE realtime_data SET price = 8 WHERE ticker = ?", ["SQ"])).toBe(2);
    expect(await changed("UPDATE realtime_data SET price = 8 WHERE ticker = 'NONE'")).toBe(0);
    expect(await changed("CREATE TABLE mine (a INTEGER, b TEXT)")).toBe(0);
    expect(await changed("INSERT INTO mine VALUES (1, 'x'), (2, 'y'), (3, 'z')")).toBe(3);
    const returning = await sql(server, "raw", "DELETE FROM mine WHERE a > 1 RETURNING a");
    expect([returning.rows_changed, returning.data.length]).toEqual([2, 2]);
    expect(await changed("DELETE FROM realtime_data WHERE timestamp >= ?", [LATER])).toBe(1);
    expect(await sql(server, "raw", "SELECT a FROM mine")).toEqual({
      message: "Raw SQL query executed.",
      data: [{ a: 1 }],
    });
    expect(await sql(server, "select", "SELECT a FROM mine")).toEqual({ data: [{ a: 1 }] });
  });
}
