/**
 * Large reads on a streaming replica: which go there, that none of them lacks what was committed
 * before, and who answers when the replica is paused, killed, in the way of a VACUUM or another.
 */
import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { SQL } from "bun";
import type { Durability } from "../../src/config/settings.ts";
import type { ReplicaFigures } from "../../src/storage/contract.ts";
import type { ColumnQuery } from "../../src/storage/model/columns.ts";
import { openPostgres, type PostgresDatabase } from "../../src/storage/postgres/open.ts";
import { rowsOf } from "../support/answered.ts";
import { OWN_CLUSTER, schemaOf, usePostgres } from "../support/postgres.ts";
import { stampOf, ticks, upTo } from "../support/saves.ts";
import { waitUntil } from "../support/server.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(240_000);

/** Longer than any test waits: only looks, not the bound, leave a replica out. */
const FAR_MS = 60_000;
/** More than what is on its way to a reader that has stopped. */
const MANY = 400_000;

const postgres = usePostgres("autovacuum=off", "max_standby_streaming_delay=100ms");
const another = usePostgres(OWN_CLUSTER);
let port = 0;
let standby: SQL;

beforeAll(async () => {
  port = await postgres.startStandby();
  standby = new SQL(`postgresql://postgres@127.0.0.1:${port}/postgres`, { max: 2 });
});

beforeEach(async () => {
  await standby`SELECT pg_wal_replay_resume()`;
});

afterAll(async () => {
  await standby.close({ timeout: 0 });
});

interface Opened extends AsyncDisposable {
  db: PostgresDatabase;
  schema: string;
  /** What was told, in order; null: it is used. */
  told: (string | null)[];
  figures(): ReplicaFigures;
  byPrimary(): number;
}

async function open({
  maxLagMs = FAR_MS,
  url = replicaUrl(),
  durability = "full" as Durability,
  hosts = `127.0.0.1:${postgres.port}`,
  schema = "",
} = {}): Promise<Opened> {
  const own = schema === "" ? await postgres.freshSchema() : postgres.url(`search_path=${schema}`);
  const dbFile = own.replace(`127.0.0.1:${postgres.port}`, hosts);
  const told: (string | null)[] = [];
  const replicas = {
    urls: [url],
    maxLagMs,
    onState: (_: string, reason: string | null) => told.push(reason),
  };
  const db = await openPostgres({ dbFile, durability, dbPoolSize: 6, replicas });
  return {
    db,
    schema: schemaOf(own),
    told,
    figures: () => db.replicas!().replicas[0]!,
    byPrimary: () => db.replicas!().by_primary,
    [Symbol.asyncDispose]: () => db.close(),
  };
}

function replicaUrl(): string {
  return `postgresql://postgres@127.0.0.1:${port}/postgres`;
}

const trade = (n: number) => ticks("A", [[stampOf(n), n]]);
const RANGE = { kind: "ticks", ticker: "A", part: "trade", from: null, to: null } as const;
const WALK: ColumnQuery = {
  ...{ kind: "ticks", tickers: ["A"], parts: ["trade"], from: null, to: null },
  columns: ["timestamp", "price"],
};

async function walked(db: PostgresDatabase, query: ColumnQuery = WALK): Promise<number> {
  let rows = 0;
  for await (const batch of db.reader.columns(query)) rows += batch.rows;
  return rows;
}

async function answered(db: PostgresDatabase, sql: string): Promise<Record<string, unknown>> {
  const request = { sql, params: [], mode: "read" as const, maxRows: 10 };
  const outcome = await db.sql.run(request, { timeoutMs: 120_000 });
  if (outcome.status !== "rows") throw new Error(JSON.stringify(outcome));
  return JSON.parse(Buffer.concat(outcome.parts).toString())[0];
}

/** The port of the server that answers. */
async function whoAnswers(db: PostgresDatabase): Promise<unknown> {
  return (await answered(db, "SELECT inet_server_port() AS port")).port;
}

async function fill(schema: string, rows: number): Promise<void> {
  await postgres.admin.unsafe(
    `INSERT INTO ${schema}.realtime_data (ticker, "timestamp", type, seq, price, size)
     SELECT 'A', timestamptz '2024-01-02' + n * interval '1 ms', 'trade', 0, n, 1
     FROM generate_series(1, ${rows}) n`,
  );
}

async function delayReplay(by: string): Promise<void> {
  await standby.unsafe(`ALTER SYSTEM SET recovery_min_apply_delay = '${by}'`);
  await standby`SELECT pg_reload_conf()`;
}

test("rows, columns and reading SQL come from the replica, and have each save before them", async () => {
  await using opened = await open();
  const { db, figures, byPrimary, told } = opened;
  await until(() => figures().used);
  const before = byPrimary();
  for (const n of upTo(30)) {
    await db.writer.commit([trade(n)]);
    expect((await rowsOf(db.reader.rows(RANGE))).length).toBe(n);
    expect(await walked(db)).toBe(n);
    const counted = "SELECT count(*)::int AS n, inet_server_port() AS port FROM realtime_data";
    expect(await answered(db, counted)).toEqual({ n, port });
  }
  expect(figures().reads).toBe(90);
  expect(byPrimary()).toBe(before);
  expect(told).toEqual([null]);
  // More rows than one text has come through a cursor.
  await fill(opened.schema, 5_000);
  expect((await rowsOf(db.reader.rows(RANGE))).length).toBe(5_030);
  // What the server reads for itself, and what has positions, stays on the primary.
  const reads = figures().reads;
  let position: number | undefined;
  const onPositions: ColumnQuery["onPositions"] = ({ positions }) => {
    position = positions.get("A");
  };
  expect(await walked(db, { ...WALK, onPositions })).toBe(5_030);
  expect(position).toBe(30);
  expect(await walked(db, { ...WALK, line: "server" })).toBe(5_030);
  await db.reader.newest({ ...RANGE, limit: 2 });
  expect(figures().reads).toBe(reads);
});

test("so it is where a commit is answered before it is on the disk", async () => {
  await using opened = await open({ durability: "normal" });
  const { db, figures } = opened;
  await until(() => figures().used);
  for (const n of upTo(10)) {
    await db.writer.commit([trade(n)]);
    expect(await walked(db)).toBe(n);
    expect(await whoAnswers(db)).toBe(port);
  }
});

test("what a statement writes by itself is read by the next one", async () => {
  await using opened = await open();
  const { db, figures } = opened;
  await until(() => figures().used);
  const write = (sql: string) =>
    db.sql.run({ sql, params: [], mode: "write", maxRows: 1 }, { timeoutMs: 60_000 });
  await write("CREATE TABLE notes (n int)");
  for (const n of upTo(10)) {
    await write(`INSERT INTO notes VALUES (${n})`);
    expect(await answered(db, "SELECT max(n) AS n, inet_server_port() AS port FROM notes")).toEqual({
      n,
      port,
    });
  }
  // Only the primary has its rows.
  await write("CREATE UNLOGGED TABLE passing AS SELECT 7 AS n");
  expect(await answered(db, "SELECT n FROM passing")).toEqual({ n: 7 });
});

test("a replica that stands still answers nothing that it lacks, and comes back when it goes on", async () => {
  await using opened = await open();
  const { db, figures, told } = opened;
  await until(() => figures().used);
  await standby`SELECT pg_wal_replay_pause()`;
  for (const n of upTo(10)) {
    await db.writer.commit([trade(n)]);
    expect((await rowsOf(db.reader.rows(RANGE))).length).toBe(n);
    expect(await walked(db)).toBe(n);
    expect(await whoAnswers(db)).toBe(postgres.port);
  }
  expect(figures()).toMatchObject({ used: false, reason: "its replay is paused" });
  await until(() => figures().behind_bytes! > 0 && figures().lag_seconds! > 0);
  await standby`SELECT pg_wal_replay_resume()`;
  await until(() => figures().used);
  expect(await walked(db)).toBe(10);
  expect(await whoAnswers(db)).toBe(port);
  // Once when it went, once when it came.
  expect(told).toEqual([null, "its replay is paused", null]);
});

test("a replica that is further behind than its bound is left out, and nothing waits for it", async () => {
  await using opened = await open({ maxLagMs: 300 });
  const { db, figures, told } = opened;
  await until(() => figures().used);
  await delayReplay("30s");
  for (const n of upTo(5)) {
    await db.writer.commit([trade(n)]);
    expect(await walked(db)).toBe(n);
    expect(await whoAnswers(db)).toBe(postgres.port);
  }
  expect(figures().used).toBe(false);
  expect(told.at(-1)).toMatch(/^it is \S+ s behind, more than --replica-max-lag allows \(0\.30 s\)$/);
  await delayReplay("0");
  await until(() => figures().used);
  await until(async () => (await whoAnswers(db)) === port);
});

test("a primary that has nothing to do leaves its replica level", async () => {
  await using opened = await open();
  const { db, figures } = opened;
  await until(() => figures().used);
  await postgres.admin.unsafe("SELECT pg_switch_wal()");
  expect(await whoAnswers(db)).toBe(port);
  await until(() => figures().behind_bytes === 0);
  // Full pages go to the disk, and the rest of a record waits for a commit.
  using open_ = await postgres.admin.reserve();
  const inPart = `SELECT pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn()
    AND (pg_current_wal_flush_lsn() - '0/0') % 8192 = 0 AS is`;
  await until(async () => {
    await open_`ROLLBACK`;
    await open_`BEGIN`;
    await open_.unsafe(`INSERT INTO ${opened.schema}.server_notes VALUES ('wide', repeat(md5('x'), 30000))`);
    await Bun.sleep(1_000);
    return (await postgres.admin.unsafe(inPart))[0].is;
  });
  expect(await whoAnswers(db)).toBe(port);
  await open_`ROLLBACK`;
});

test("a walk on a replica that dies is an error, and the next one is the primary's", async () => {
  await using opened = await open();
  const { db, schema, figures, told } = opened;
  await fill(schema, MANY);
  await until(() => figures().used);
  const walk = db.reader.columns(WALK)[Symbol.asyncIterator]();
  const chunks = db.reader.rows(RANGE);
  const streamed = await chunks;
  expect((await walk.next()).done).toBe(false);
  expect(figures().reads).toBe(3);
  await postgres.crashStandby(port);
  const rest = async (): Promise<void> => {
    while ((await walk.next()).done !== true) {}
  };
  await expect(rest()).rejects.toThrow("read: the connection to the database was lost");
  await expect(rowsOf(streamed)).rejects.toThrow("read: the connection to the database was lost");
  expect(await walked(db)).toBe(MANY);
  expect(await whoAnswers(db)).toBe(postgres.port);
  await until(() => !figures().used);
  await postgres.restartStandby(port);
  await until(() => figures().used);
  expect(await whoAnswers(db)).toBe(port);
  expect(told.map((reason) => reason === null)).toEqual([true, false, true]);
});

test("a walk that a VACUUM ends on the replica behind its first rows is an error", async () => {
  await using opened = await open();
  const { db, schema, figures } = opened;
  await fill(schema, MANY);
  await until(() => figures().used);
  const walk = db.reader.columns(WALK)[Symbol.asyncIterator]();
  expect((await walk.next()).done).toBe(false);
  await postgres.admin.unsafe(`DELETE FROM ${schema}.realtime_data WHERE price > 1000`);
  await postgres.admin.unsafe(`VACUUM ${schema}.realtime_data`);
  const rest = async (): Promise<void> => {
    while ((await walk.next()).done !== true) {}
  };
  // Its reader has stopped until the replay has gone on.
  await until(async () => (await whoAnswers(db)) === port);
  await expect(rest()).rejects.toThrow("read: ");
  expect(await walked(db)).toBe(1_000);
});

test("a replica that gives no answer is not waited for", async () => {
  await using opened = await open({ maxLagMs: 500 });
  const { db, figures } = opened;
  await until(() => figures().used);
  await db.writer.commit([trade(1)]);
  await postgres.freezeStandby(port);
  for (let n = 0; n < 3; n++) {
    expect(await walked(db)).toBe(1);
    expect((await rowsOf(db.reader.rows(RANGE))).length).toBe(1);
    expect(await whoAnswers(db)).toBe(postgres.port);
  }
  expect(figures()).toMatchObject({ used: false, reason: "it gave no answer in time (NoAnswerError)" });
  await postgres.thawStandby(port);
  await until(() => figures().used);
  await until(async () => (await whoAnswers(db)) === port);
});

test("a role without any rights on the cluster does", async () => {
  await postgres.admin.unsafe("CREATE ROLE desk LOGIN");
  await using opened = await open({ url: `postgresql://desk@127.0.0.1:${port}/postgres` });
  const { db, schema, figures } = opened;
  await postgres.admin.unsafe(`GRANT USAGE ON SCHEMA ${schema} TO desk`);
  await postgres.admin.unsafe(`GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO desk`);
  await until(() => figures().used);
  await db.writer.commit([trade(1)]);
  expect(await walked(db)).toBe(1);
  expect(await whoAnswers(db)).toBe(port);
  expect(opened.told).toEqual([null]);
});

test("a statement that a VACUUM ends on the replica is answered by the primary", async () => {
  await using opened = await open();
  const { db, schema, figures } = opened;
  await fill(schema, 2_000);
  await until(() => figures().used);
  const slow =
    "SELECT sum(a.price * b.price) > 0 AS found FROM realtime_data a, realtime_data b, generate_series(1, 30) c";
  const found = answered(db, slow);
  const underWay = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'FETCH%user_rows%'";
  await until(async () => (await standby.unsafe(underWay)).length > 0);
  await postgres.admin.unsafe(`DELETE FROM ${schema}.realtime_data WHERE price > 1000`);
  await postgres.admin.unsafe(`VACUUM ${schema}.realtime_data`);
  expect(await found).toEqual({ found: true });
  const conflicts =
    "SELECT 1 FROM pg_stat_database_conflicts WHERE datname = 'postgres' AND confl_snapshot > 0";
  await until(async () => (await standby.unsafe(conflicts)).length > 0);
  expect(figures().used).toBe(true);
});

test("another cluster, and one that takes writes, are never asked", async () => {
  for (const [url, reason] of [
    [another.url(), "it is of another cluster or database than the primary"],
    [postgres.url(), "it is no replica any more: it takes writes"],
    ["postgresql://postgres@127.0.0.1:1/postgres", "Failed to connect"],
  ] as const) {
    await using opened = await open({ url });
    await opened.db.writer.commit([trade(1)]);
    await until(() => opened.told.length > 0);
    expect(opened.told[0]).toContain(reason);
    expect(await walked(opened.db)).toBe(1);
    expect(opened.figures()).toMatchObject({ used: false, reads: 0 });
    expect(opened.byPrimary()).toBe(1);
  }
});

test("after a failover a replica is left out until it follows the new primary", async () => {
  const second = await postgres.startStandby();
  await using follower = new SQL(`postgresql://postgres@127.0.0.1:${second}/postgres`, { max: 1 });
  const follow = async (of: number): Promise<void> => {
    await follower.unsafe(`ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=${of} user=postgres'`);
    await follower`SELECT pg_reload_conf()`;
  };
  const url = (role: string) => `postgresql://${role}@127.0.0.1:${second}/postgres`;
  const hosts = `127.0.0.1:${postgres.port},127.0.0.1:${port}`;
  await using opened = await open({ url: url("postgres"), hosts });
  const { db, schema, figures } = opened;
  await postgres.admin.unsafe(`GRANT USAGE ON SCHEMA ${schema} TO desk`);
  await postgres.admin.unsafe(`GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO desk`);
  await until(() => figures().used);
  await db.writer.commit([trade(1)]);
  const there = `SELECT 1 FROM ${schema}.realtime_data`;
  await waitUntil("the standby has it", async () => (await standby.unsafe(there)).length === 1);
  expect(await whoAnswers(db)).toBe(second);

  await postgres.crash();
  await standby`SELECT pg_promote()`;
  // It has all that the new primary has, but follows the one that is gone.
  await until(() => figures().reason === "it is on timeline 00000001, the primary on 00000002");
  expect(await whoAnswers(db)).toBe(port);
  await follow(port);
  await until(() => figures().used);
  await db.writer.commit([trade(2)]);
  expect(await walked(db)).toBe(2);
  expect(await whoAnswers(db)).toBe(second);

  // A role that may not see the receiver hears of it with a restart point at the latest.
  await using weaker = await open({ url: url("desk"), hosts: `127.0.0.1:${port}`, schema });
  await standby`CHECKPOINT`;
  await until(async () => {
    await follower`CHECKPOINT`;
    return weaker.figures().used;
  });
  expect(await whoAnswers(weaker.db)).toBe(second);
});
