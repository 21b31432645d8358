/** A server of several workers with a streaming replica: what its clients, figures and log see. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { SQL } from "bun";
import { failingStart } from "../support/failing-start.ts";
import { usePostgres } from "../support/postgres.ts";
import { command, get, saveTrade } from "../support/requests.ts";
import { runCli } from "../support/run-cli.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(240_000);

const SECRET = "hunter2Xyz";
/** A machine that is busy must not make the primary answer. */
const FAR = ["--replica-max-lag", "60"];

const postgres = usePostgres();
let port = 0;
let standby: SQL;

beforeAll(async () => {
  port = await postgres.startStandby();
  standby = new SQL(`postgresql://postgres@127.0.0.1:${port}/postgres`, { max: 1 });
});

afterAll(async () => {
  await standby.close({ timeout: 0 });
});

function replicaUrl(): string {
  return `postgresql://postgres:${SECRET}@127.0.0.1:${port}/postgres`;
}

/** What `/metrics` tells, of all workers. */
async function metrics({ url }: RunningServer): Promise<Map<string, number>> {
  const text = await (await fetch(`${url}/metrics`, { headers: { connection: "close" } })).text();
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

/** Of scans of the tables of the server there. */
async function scansOnReplica(): Promise<number> {
  const [row] = await standby.unsafe(
    "SELECT sum(coalesce(seq_scan, 0) + coalesce(idx_scan, 0))::int AS n FROM pg_stat_user_tables WHERE relname = 'realtime_data'",
  );
  return row.n;
}

const leftOut = (): string => `stock_db_replica_left_out{replica="127.0.0.1:${port}"}`;

test("whichever worker is asked, a read has the save before it, and comes from the replica", async () => {
  const dbFile = await postgres.freshSchema();
  const env = { STOCK_DB_READ_REPLICAS: replicaUrl() };
  await using server = await startServer({ dbFile, workers: 2, env, flags: FAR });
  await until(async () => {
    const told = await metrics(server);
    return told.get("stock_db_workers") === 2 && told.get(leftOut()) === 0;
  });
  await server.logged(`Replica 127.0.0.1:${port}: large reads go to it`);
  const scans = await scansOnReplica();
  await using subscriber = await Subscriber.open(server.wsUrl, "A");
  for (let n = 1; n <= 15; n++) {
    expect((await saveTrade(server.url, "A", n)).status).toBe(200);
    const rows = await command(server.url, "get_realtime_data", { ticker: "A", data_type: "trade" });
    expect(rows.body.data.length).toBe(n);
    expect((await get(`${server.url}/v1/trades?symbol=A`)).body.trades.A.length).toBe(n);
    await subscriber.until("its update", () => subscriber.updates.length >= n);
    const sql = "SELECT count(*)::int AS n, inet_server_port() AS port FROM realtime_data";
    const counted = await command(server.url, "execute_sql", { sql_query: sql, query_type: "select" });
    expect(counted.body.data).toEqual([{ n, port }]);
  }
  await until(async () => (await scansOnReplica()) > scans);
  const { body } = await get(`${server.url}/stats/pool`);
  expect(body.read_replicas.replicas).toMatchObject([
    { replica: `127.0.0.1:${port}`, used: true, reason: null, reads: expect.any(Number) },
  ]);
  await until(async () => {
    const told = await metrics(server);
    return told.get(`stock_db_replica_reads_total{replica="127.0.0.1:${port}"}`)! >= 45;
  });

  await standby`SELECT pg_wal_replay_pause()`;
  expect((await saveTrade(server.url, "A", 16)).status).toBe(200);
  expect((await get(`${server.url}/v1/trades?symbol=A`)).body.trades.A.length).toBe(16);
  await server.logged(`Replica 127.0.0.1:${port}: it is left out: its replay is paused`);
  await until(async () => (await metrics(server)).get(leftOut()) === 1);
  await standby`SELECT pg_wal_replay_resume()`;
  await until(async () => (await metrics(server)).get(leftOut()) === 0);
  expect(JSON.stringify(body) + server.log()).not.toContain(SECRET);
});

test("doctor looks at replicas as at the database", async () => {
  const dbFile = await postgres.freshSchema();
  const doctor = (url: string) => runCli(["doctor", "--db-file", dbFile, "--read-replicas", url]);
  const name = `replica 127.0.0.1:${port}`;
  const well = await doctor(replicaUrl());
  expect(well.stdout).toContain(`${name}: it is level with the primary`);
  expect(well.stdout).toContain(`${name}: hot_standby_feedback is off`);
  expect(well.code).toBe(0);
  await standby`SELECT pg_wal_replay_pause()`;
  expect((await doctor(replicaUrl())).stdout).toContain(`${name}: its replay is paused`);
  await standby`SELECT pg_wal_replay_resume()`;
  const itself = await doctor(postgres.url());
  expect(itself.stdout).toContain(`replica 127.0.0.1:${postgres.port}: it is no replica any more`);
  expect(itself.code).toBe(1);
  const nowhere = await doctor(`postgresql://desk:${SECRET}@127.0.0.1:1/postgres`);
  expect(nowhere.stdout).toContain("replica 127.0.0.1:1: ");
  expect(nowhere.code).toBe(1);
  expect(nowhere.stdout + nowhere.stderr).not.toContain(SECRET);
});

test("what can't be a replica is wrong usage", async () => {
  const secret = `postgresql://desk:${SECRET}@db2/stocks`;
  const database = "postgresql://desk@db1/stocks";
  for (const [dbFile, replicas, reason] of [
    ["data/x.db", secret, "--read-replicas: expected PostgreSQL in --db-file"],
    [
      database,
      `postgresql://desk:${SECRET}@db2,db3/stocks`,
      "--read-replicas: expected one host in each URL",
    ],
    [
      database,
      `postgresql://desk:${SECRET}@db2/other`,
      "--read-replicas: expected the database of --db-file",
    ],
    [database, `db2:5432:stocks:desk:${SECRET}`, "--read-replicas: expected URLs such as"],
    [database, `${secret}?sslmode=maybe`, "--read-replicas: expected an sslmode of"],
  ] as const) {
    const { code, output } = await failingStart([
      "--port",
      "0",
      "--db-file",
      dbFile,
      "--read-replicas",
      replicas,
    ]);
    expect(output).toContain(reason);
    expect(output).not.toContain(SECRET);
    expect(code).not.toBe(0);
  }
});

test("a standby that is a replica and another host of the database is promoted: all of it goes on", async () => {
  const schema = await postgres.freshSchema();
  const hosts = `127.0.0.1:${postgres.port},127.0.0.1:${port}`;
  const dbFile = schema.replace(`127.0.0.1:${postgres.port}`, hosts);
  const env = { STOCK_DB_READ_REPLICAS: replicaUrl() };
  await using server = await startServer({ dbFile, env, flags: FAR });
  await until(async () => (await metrics(server)).get(leftOut()) === 0);
  expect((await saveTrade(server.url, "A", 1)).status).toBe(200);
  expect((await get(`${server.url}/v1/trades?symbol=A`)).body.trades.A.length).toBe(1);

  await postgres.crash();
  await until(async () => (await get(`${server.url}/ready`)).status === 503);
  await standby`SELECT pg_promote()`;
  await until(async () => (await saveTrade(server.url, "A", 2)).status === 200);
  expect((await get(`${server.url}/v1/trades?symbol=A`)).body.trades.A.length).toBe(2);
  await until(async () => (await metrics(server)).get(leftOut()) === 1);
  await until(async () => {
    const { body } = await get(`${server.url}/stats/pool`);
    return body.read_replicas.replicas[0].reason === "it is no replica any more: it takes writes";
  });
  await until(async () => (await get(`${server.url}/ready`)).status === 200);
});
