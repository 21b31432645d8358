/**
 * Behind PgBouncer in transaction mode, with fewer connections than the server asks for. Skipped
 * where it is not installed.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { CountingClients } from "../support/counting-clients.ts";
import { PGBOUNCER, startPgBouncer } from "../support/pgbouncer.ts";
import { usePostgres } from "../support/postgres.ts";
import { command, get, runSql } from "../support/requests.ts";
import { startServer, waitUntil } from "../support/server.ts";

setDefaultTimeout(180_000);

const postgres = usePostgres();
const OWN_SETTINGS =
  "statement_timeout, idle_in_transaction_session_timeout, tcp_keepalives_idle, tcp_keepalives_interval, tcp_keepalives_count, synchronous_commit";

if (PGBOUNCER === null) console.log("pgbouncer.test.ts: skipped, as no pgbouncer is installed");

for (const [name, database, settings] of [
  ["one that refuses the settings of a session", "refusing", []],
  ["one that swallows them", "swallowing", [`ignore_startup_parameters = ${OWN_SETTINGS}`]],
] as const) {
  test.skipIf(PGBOUNCER === null)(`behind PgBouncer, ${name}`, async () => {
    await postgres.admin.unsafe(`CREATE DATABASE ${database}`);
    await using bouncer = await startPgBouncer(postgres.port, "default_pool_size = 4", ...settings);
    const dbFile = `postgresql://desk@127.0.0.1:${bouncer.port}/${database}`;
    await using server = await startServer({ dbFile, workers: 2, flags: ["--sql-timeout", "8"] });
    const clients = new CountingClients();
    clients.start(server.url);
    await waitUntil("saves are answered", () => clients.answeredSaves > 300);

    const inserted = await runSql(
      server.url,
      "INSERT INTO realtime_data (ticker, timestamp, type, price) SELECT 'MANY', '2024-01-02Z'::timestamptz + n * interval '1 ms', 'trade', n FROM generate_series(1, ?) AS n",
      [20_000],
    );
    expect(inserted.status).toBe(200);
    const many = await command(server.url, "get_realtime_data", { ticker: "MANY", data_type: "trade" });
    expect(many.body.data.length).toBe(20_000);
    const written = await command(server.url, "execute_sql", {
      sql_query: "DELETE FROM realtime_data",
      query_type: "select",
    });
    expect(written.status).toBe(400);
    const slow = await runSql(server.url, "SELECT pg_sleep(30)");
    expect(slow.status).toBe(504);

    await postgres.crash();
    await waitUntil("/ready says so", async () => (await get(`${server.url}/ready`)).status === 503);
    await postgres.start();
    const before = clients.answeredSaves;
    await waitUntil("saves are answered again", () => clients.answeredSaves > before + 100);
    await clients.stop();

    expect(clients.wrong).toEqual([]);
    expect(clients.staleReads).toEqual([]);
    for (const compared of [await clients.compareTicks(), await clients.compareBars()])
      expect(compared).toMatchObject({ missing: [], twice: [], unknown: [] });
  });
}
