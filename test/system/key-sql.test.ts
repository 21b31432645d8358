/** SQL and keys: none for those of some tickers, by no way; and no key keeps another's waiting. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { addKey, bearer } from "../support/keys.ts";
import { get, type Json } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

const SELECT = "SELECT ticker FROM realtime_data";

async function post(url: string, body: object, key: string, signal?: AbortSignal): Promise<number> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", connection: "close", ...bearer(key) },
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
  await response.arrayBuffer();
  return response.status;
}

/** Every way to a statement. */
const WAYS: [name: string, ask: (server: RunningServer, key: string) => Promise<number>][] = [
  ...["/v1/sql?sql=", "/api/execute_sql?sql=", "/api/sql_query?sql=", "/api/sql_query?sql_query="].map(
    (door): (typeof WAYS)[number] => [
      `GET ${door}`,
      async ({ url }, key) => (await get(`${url}${door}${encodeURIComponent(SELECT)}`, bearer(key))).status,
    ],
  ),
  ["POST /v1/sql", ({ url }, key) => post(`${url}/v1/sql`, { sql: SELECT }, key)],
  ...["select", "raw"].map((type): (typeof WAYS)[number] => [
    `execute_sql, ${type}`,
    ({ url }, key) => {
      const params = { sql_query: SELECT, query_type: type };
      return post(`${url}/db_command`, { command: "execute_sql", params }, key);
    },
  ]),
];

test("a key of some tickers gets no SQL by any way, whatever its file says", async () => {
  using dir = tempDir();
  const path = join(dir.path, "some.keys");
  const everything = "read,write,stream,metrics";
  const some = await addKey(path, "some", everything, ["--tickers", "*"]);
  const admin = await addKey(path, "chief", "admin");
  await using server = await startServer({ flags: ["--keys", path, "--sql", "raw", "--sql-get", "on"] });
  for (const [name, ask] of WAYS) {
    expect([name, await ask(server, some)]).toEqual([name, 403]);
    expect([name, await ask(server, admin)]).toEqual([name, 200]);
  }
  // Whoever writes the scope into the file gets no such key: the file is refused as a whole.
  const file = JSON.parse(readFileSync(path, "utf8")) as Json;
  for (const scope of ["sql", "sql:write", "admin"]) {
    file.keys[0].may = ["read", scope];
    writeFileSync(path, JSON.stringify(file));
    await waitUntil("it is told", () => server.log().includes("null, as sql and admin are of all tickers"));
    for (const [name, ask] of WAYS) expect([name, await ask(server, some)]).toEqual([name, 403]);
  }
});

test("ten slow statements of a key keep no other key's waiting, behind one address", async () => {
  using dir = tempDir();
  const path = join(dir.path, "some.keys");
  const [greedy, modest] = [await addKey(path, "greedy", "sql"), await addKey(path, "modest", "sql")];
  const metrics = await addKey(path, "watch", "metrics");
  await using server = await startServer({
    flags: ["--keys", path, "--db-pool-size", "4", "--sql-timeout", "100"],
    workers: 2,
  });
  const leave = new AbortController();
  // It ends when its client leaves, long before it is done.
  const slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
  let ended = 0;
  const running = Array.from({ length: 10 }, () =>
    post(`${server.url}/v1/sql`, { sql: slow }, greedy, leave.signal)
      .catch(() => 0)
      .finally(() => ended++),
  );
  const statements = async (): Promise<Json> =>
    (await get(`${server.url}/stats/pool`, bearer(metrics))).body.sql.statements;
  await waitUntil("it has as many as it may have", async () => {
    const { running: now, max_per_address: max } = await statements();
    return now === max;
  });
  for (let i = 0; i < 5; i++)
    expect(await post(`${server.url}/v1/sql`, { sql: "SELECT 1" }, modest)).toBe(200);
  expect(ended).toBe(0);
  leave.abort();
  await Promise.all(running);
});
