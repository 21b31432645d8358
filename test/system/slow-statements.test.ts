/** `--slow-request`: statements are told in the log, with their plan where they only read. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { usePostgres } from "../support/postgres.ts";
import { command, get, runSql, saveTrade } from "../support/requests.ts";
import { startServer, waitUntil } from "../support/server.ts";

setDefaultTimeout(120_000);

const postgres = usePostgres();
/** Every statement takes longer. */
const FLAGS = ["--slow-request", "0.0001"];
const ENGINES: Record<string, { dbFile(): string | Promise<string>; plan: RegExp }> = {
  SQLite: {
    dbFile: () => "a.db",
    plan: /SEARCH realtime_data USING PRIMARY KEY \(ticker=\?\) \| USE TEMP B-TREE FOR ORDER BY/,
  },
  DuckDB: { dbFile: () => "a.duckdb", plan: /ORDER_BY.* \| .*> .*HASH_GROUP_BY/ },
  PostgreSQL: {
    dbFile: () => postgres.freshSchema(),
    plan: /Sort \(cost=[\d.]+ rows=\d+ width=\d+\) \| .* > .*Filter: \(price > \?::double precision\)/,
  },
};
const SLOW_SELECT = `SELECT type, count(*) AS n FROM realtime_data
  WHERE ticker = 'hush-hush' AND price > 4711 GROUP BY type ORDER BY n`;

test.each(Object.keys(ENGINES))("%s tells the plan of a slow SELECT, and no value of it", async (engine) => {
  const { dbFile, plan } = ENGINES[engine]!;
  await using server = await startServer({ dbFile: await dbFile(), flags: FLAGS });
  expect((await saveTrade(server.url, "hush-hush", 5_000)).status).toBe(200);
  const asked = { sql_query: SLOW_SELECT, query_type: "select" };
  expect((await command(server.url, "execute_sql", asked)).status).toBe(200);
  await server.logged("Slow: a statement of 127.0.0.1 took ");
  const line = server
    .log()
    .split("\n")
    .find((each) => each.includes("Slow: a statement"))!;
  expect(line).toContain("ms: SELECT type, count(*) AS n FROM realtime_data WHERE ticker = ? AND price > ? ");
  expect(line).toContain("; plan: ");
  expect(line.split("; plan: ")[1]).toMatch(plan);
  for (const value of ["hush-hush", "4711"]) expect(line).not.toContain(value);
  // With parameters, and over GET.
  const sql = encodeURIComponent("SELECT max(price) AS newest FROM realtime_data WHERE ticker = $1");
  expect((await get(`${server.url}/v1/sql?sql=${sql}&params=["A"]`)).status).toBe(200);
  await server.logged(/SELECT max\(price\) AS newest FROM .*; plan: \S/);
});

test("what isn't surely a plain SELECT has no plan, and nothing runs twice", async () => {
  await using server = await startServer({ flags: FLAGS });
  const statements = [
    "CREATE TABLE own (n INTEGER)",
    "WITH one AS (SELECT 1 AS n) INSERT INTO own SELECT n FROM one",
    "EXPLAIN SELECT 1",
    "/* a SELECT */ VALUES (1)",
  ];
  for (const sql of statements) expect((await runSql(server.url, sql)).body.error).toBeUndefined();
  const lines = (): string[] =>
    server
      .log()
      .split("\n")
      .filter((line) => line.includes("Slow: a statement"));
  await waitUntil("all are told", () => lines().length === statements.length);
  for (const line of lines()) expect(line).toEndWith("; no plan, as it is no plain SELECT");
  const { body } = await get(`${server.url}/v1/sql?sql=SELECT+count(*)+AS+n+FROM+own`);
  expect(body.data).toEqual([{ n: 1 }]);
  // Also one that was stopped: it is what somebody wants to know most.
  const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
  const leave = new AbortController();
  const asked = command(
    server.url,
    "execute_sql",
    { sql_query: endless, query_type: "select" },
    leave.signal,
  );
  await waitUntil(
    "it runs",
    async () => (await get(`${server.url}/v1/connections?kind=sql`)).body.connections[0],
  );
  leave.abort();
  await expect(asked).rejects.toThrow();
  await server.logged(/WITH RECURSIVE n\(i\).*; plan: \S/);
});
