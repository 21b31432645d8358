/** Opening a PostgreSQL: what is there already, what fits, and what is told when it doesn't. */
import { expect, setDefaultTimeout, test } from "bun:test";
import type { SaveTicks } from "../../src/storage/contract.ts";
import {
  openPostgres,
  type PostgresDatabase,
  type PostgresSettings,
} from "../../src/storage/postgres/open.ts";
import { LOCK_CLASS, SCHEMA_LOCK } from "../../src/storage/postgres/schema.ts";
import { failingStart } from "../support/failing-start.ts";
import { schemaOf, usePostgres } from "../support/postgres.ts";
import { runCli } from "../support/run-cli.ts";
import { daily, dateOf, upTo } from "../support/saves.ts";
import { startServer } from "../support/server.ts";

setDefaultTimeout(180_000);

const postgres = usePostgres();

const open = (dbFile: string, more: Partial<PostgresSettings> = {}): Promise<PostgresDatabase> =>
  openPostgres({ dbFile, durability: "full", dbPoolSize: 2, startWaitMs: 0, ...more });

function tick(size: number): SaveTicks {
  return {
    kind: "ticks",
    ticker: "A",
    part: "trade",
    rows: [["2024-01-02 10:00:00.000000", 1, size, null, null, null, null, null]],
    onDuplicate: "match",
  };
}

async function setting(db: PostgresDatabase, name: string): Promise<string> {
  const request = { sql: `show ${name}`, params: [], mode: "read" as const, maxRows: 1 };
  const outcome = await db.sql.run(request, { timeoutMs: 30_000 });
  if (outcome.status !== "rows") throw new Error(JSON.stringify(outcome));
  const [row] = JSON.parse(Buffer.concat(outcome.parts).toString()) as Record<string, string>[];
  return Object.values(row!)[0]!;
}

test("the tables are made once, with the types that fit", async () => {
  const dbFile = await postgres.freshSchema();
  await using first = await open(dbFile);
  expect(first.preparation).toBe("created the tables");
  await using second = await open(dbFile);
  expect(second.preparation).toBeNull();
  const columns = await postgres.admin.unsafe<{ name: string; type: string }[]>(
    `SELECT table_name || '.' || column_name AS name, data_type AS type FROM information_schema.columns
     WHERE table_schema = $1 AND column_name IN ('date', 'datetime', 'timestamp', 'close', 'volume', 'size') ORDER BY 1`,
    [schemaOf(dbFile)],
  );
  expect(columns.map(({ name, type }) => `${name} ${type}`)).toEqual([
    "daily_checkpoints.date date",
    "daily_prices.close double precision",
    "daily_prices.date date",
    "daily_prices.volume numeric",
    "hourly_prices.close double precision",
    "hourly_prices.datetime timestamp with time zone",
    "hourly_prices.volume numeric",
    "interval_prices.close double precision",
    "interval_prices.datetime timestamp with time zone",
    "interval_prices.volume numeric",
    "realtime_data.size numeric",
    "realtime_data.timestamp timestamp with time zone",
  ]);
});

async function narrow(dbFile: string): Promise<void> {
  await postgres.admin.unsafe(
    `ALTER TABLE ${schemaOf(dbFile)}.realtime_data ALTER COLUMN size TYPE bigint, ALTER COLUMN ask_size TYPE bigint`,
  );
}

test("columns of an older server make room for fractions, in every server, and keep 64 bits", async () => {
  const dbFile = await postgres.freshSchema();
  await (await open(dbFile)).close();
  await narrow(dbFile);
  await using db = await open(dbFile);
  await using other = await open(dbFile);
  const large: SaveTicks = { ...tick(1), ticker: "L" };
  large.rows[0]![2] = "9007199254740993";
  expect(await db.writer.commit([large])).toMatchObject([{ ok: true, stored: 1 }]);
  // Both read and write on plans for the columns that were.
  for (const each of [db, other]) {
    await each.writer.commit([{ ...tick(7), ticker: "W" }]);
    await each.reader.rows({ kind: "ticks", ticker: "W", part: "trade", from: null, to: null });
  }
  expect(
    await Promise.all(
      [db, other].map((each) => each.writer.commit([tick(0.25), { ...tick(1), ticker: "B" }])),
    ),
  ).toMatchObject([
    [{ ok: true }, { ok: true }],
    [{ ok: true }, { ok: true }],
  ]);
  expect(await other.writer.commit([tick(0.25), { ...tick(1e19), ticker: "H" }])).toMatchObject([
    { ok: true, stored: 0 },
    { ok: true, stored: 1 },
  ]);
  for (const each of [db, other]) {
    const textOf = async (ticker: string) =>
      JSON.stringify(await each.reader.rows({ kind: "ticks", ticker, part: "trade", from: null, to: null }));
    expect(await textOf("A")).toContain('\\"size\\":0.25,');
    expect(await textOf("L")).toContain('\\"size\\":9007199254740993,');
    expect(await textOf("H")).toContain('\\"size\\":10000000000000000000,');
    expect(await textOf("W")).toContain('\\"size\\":7,');
  }
});

test("where the server may not make room, a fraction is refused, not rounded, and nothing else", async () => {
  const dbFile = await postgres.freshSchema();
  await (await open(dbFile)).close();
  await narrow(dbFile);
  const schema = schemaOf(dbFile);
  await postgres.admin.unsafe(
    `CREATE ROLE guest LOGIN; GRANT USAGE ON SCHEMA ${schema} TO guest;
     GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO guest`,
  );
  await using db = await open(dbFile.replace("postgres@", "guest@"));
  const [refused, stored] = await db.writer.commit([tick(0.25), { ...tick(1), ticker: "B" }]);
  expect(refused).toMatchObject({ ok: false, status: 400 });
  expect(JSON.stringify(refused)).toContain("ALTER TABLE realtime_data ALTER COLUMN size TYPE numeric");
  expect(stored).toMatchObject({ ok: true, stored: 1, position: 1 });
  // Also without the rights of an administrator.
  expect(await db.reader.updates.epoch()).toMatch(/^[0-9a-f-]{36}-[0-9a-f]{8}$/);
});

test("a text that PostgreSQL can't store is a 400", async () => {
  await using db = await open(await postgres.freshSchema());
  const odd = [{ ticker: "A\0B" }, { ticker: "A\ud83d" }, { part: "\ude00" }, { ticker: "A😀" }];
  expect(await db.writer.commit(odd.map((part) => ({ ...tick(1), ...part })))).toMatchObject([
    { ok: false, status: 400 },
    { ok: false, status: 400 },
    { ok: false, status: 400 },
    { ok: true },
  ]);
});

/** Whoever wants to make the tables waits. */
async function holdSchema(): Promise<AsyncDisposable & { release(): Promise<void> }> {
  const holder = await postgres.admin.reserve();
  await holder.unsafe(`SELECT pg_advisory_lock(${LOCK_CLASS}, ${SCHEMA_LOCK})::text`);
  let released = false;
  const release = async (): Promise<void> => {
    if (released) return;
    released = true;
    await holder.unsafe(`SELECT pg_advisory_unlock(${LOCK_CLASS}, ${SCHEMA_LOCK})`);
    holder.release();
  };
  return { release, [Symbol.asyncDispose]: release };
}

test("a connection that breaks while the tables are made is opened again", async () => {
  const dbFile = `${await postgres.freshSchema()}&application_name=breaks`;
  await using held = await holdSchema();
  const opening = open(dbFile, { startWaitMs: 60_000 });
  for (let broken = 0; broken < 3; ) {
    const rows = await postgres.admin.unsafe(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = 'breaks' AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()`,
    );
    broken += rows.length;
    await Bun.sleep(5);
  }
  await held.release();
  await using db = await opening;
  expect(db.preparation).toBe("created the tables");
  expect(await db.writer.commit([tick(1)])).toMatchObject([{ ok: true }]);
});

test("what waiting can't mend ends the start at once", async () => {
  const schema = await postgres.freshSchema();
  const elsewhere = new URL(schema);
  elsewhere.pathname = "/no_such_database";
  await expect(open(elsewhere.href, { startWaitMs: 60_000 })).rejects.toThrow("no_such_database");
  await postgres.admin.unsafe(`CREATE TABLE ${schemaOf(schema)}.daily_prices (ticker text)`);
  await expect(open(schema, { startWaitMs: 60_000 })).rejects.toThrow("daily_prices");
});

test("who may not make tables is told what to grant, in one line, by a start and doctor", async () => {
  await postgres.admin.unsafe("CREATE ROLE limited LOGIN");
  const dbFile = await postgres.freshSchema();
  const schema = schemaOf(dbFile);
  const limited = dbFile.replace("postgres@", "limited@");
  await postgres.admin.unsafe(`GRANT USAGE ON SCHEMA ${schema} TO limited`);
  for (const workers of ["1", "2"]) {
    const { code, output } = await failingStart(["--db-file", limited, "--port", "0", "--workers", workers]);
    expect(code).toBe(1);
    const complaints = output.split("\n").filter((line) => /WARNING|ERROR|CRITICAL/.test(line));
    expect(complaints).toHaveLength(1);
    expect(complaints[0]).toContain(
      `permission denied for schema ${schema} (42501); GRANT CREATE, USAGE ON SCHEMA ${schema} TO limited`,
    );
  }
  expect((await runCli(["doctor", "--db-file", limited])).stdout).toContain(
    `GRANT CREATE, USAGE ON SCHEMA ${schema} TO`,
  );
  await postgres.admin.unsafe(`REVOKE USAGE ON SCHEMA ${schema} FROM limited`);
  await expect(open(limited)).rejects.toThrow(/no schema has been selected.*; CREATE SCHEMA .*limited/);
});

test("a host that doesn't exist is said to be that, by a start and doctor", async () => {
  const dbFile = "postgresql://u:s3cret@nosuch.invalid/x";
  const finding = "there is no host named nosuch.invalid";
  await expect(open(dbFile)).rejects.toThrow(finding);
  const { code, stdout } = await runCli(["doctor", "--db-file", dbFile]);
  expect(code).toBe(1);
  expect(stdout).toContain(finding);
});

test("parameters of other clients are honoured, or told once", async () => {
  const dbFile = `${await postgres.freshSchema()}&keepalives=1&connect_timeout=20&target_session_attrs=read-write&sslsni=1`;
  await using server = await startServer({ dbFile, workers: 2 });
  await server.logged(/WARNING.*--db-file: without effect here: keepalives, sslsni/);
  expect(server.log().match(/without effect here/g)).toHaveLength(1);
  expect((await runCli(["doctor", "--db-file", dbFile])).stdout).toContain(
    "warning parameters: without effect here: keepalives, sslsni",
  );
  const readOnly = `${dbFile}&options=${encodeURIComponent("-c default_transaction_read_only=on")}`;
  await expect(open(readOnly)).rejects.toThrow("asks for a database that takes writes");
});

test("tables of a newer server are left alone", async () => {
  const dbFile = await postgres.freshSchema();
  await (await open(dbFile)).close();
  await postgres.admin.unsafe(`UPDATE ${schemaOf(dbFile)}.stock_db_schema SET version = 99`);
  await expect(open(dbFile)).rejects.toThrow("its schema version is 99");
});

test("a missing database or role is told at once; one that is away is waited for", async () => {
  const started = performance.now();
  for (const url of [
    postgres.url().replace("/postgres", "/nothing"),
    postgres.url().replace("postgres@", "nobody@"),
  ])
    await expect(open(url, { startWaitMs: 60_000 })).rejects.toThrow("does not exist");
  expect(performance.now() - started).toBeLessThan(30_000);

  const dbFile = await postgres.freshSchema();
  await postgres.stop();
  await expect(open(dbFile)).rejects.toThrow("Failed to connect");
  const opening = open(dbFile, { startWaitMs: 60_000 });
  await postgres.start();
  await (await opening).close();
});

test("durability is that of the flag, whatever the database's own setting", async () => {
  const dbFile = await postgres.freshSchema();
  await using normal = await open(dbFile, { durability: "normal" });
  expect(await setting(normal, "synchronous_commit")).toBe("off");
  await using full = await open(dbFile);
  expect(await setting(full, "synchronous_commit")).toBe("on");
  await using forced = await open(`${dbFile}&options=-c%20synchronous_commit%3Doff`);
  expect(forced.capabilities.synchronousCommit).toBe("on");
  expect(await forced.writer.commit([tick(1)])).toMatchObject([
    { ok: true, stored: 1, position: expect.any(Number) },
  ]);
});

test("the environment of the server doesn't choose another database", async () => {
  const dbFile = await postgres.freshSchema();
  const before = { ...process.env };
  Object.assign(process.env, {
    DATABASE_URL: "postgres://other:5/other",
    PGDATABASE: "other",
    PGPORT: "1",
    PGHOST: "other",
    PGUSER: "other",
  });
  try {
    await using db = await open(dbFile);
    await db.reader.probe();
  } finally {
    for (const name of ["DATABASE_URL", "PGDATABASE", "PGPORT", "PGHOST", "PGUSER"]) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
});

test("closes changed by any program, in any way, take the checkpoints behind them with them", async () => {
  const dbFile = await postgres.freshSchema();
  await using db = await open(dbFile);
  const schema = schemaOf(dbFile);
  const closes = upTo(600).map((n): [string, number] => [dateOf(n), n]);
  const save = (ticker: string) => db.writer.commit([daily(ticker, closes)]);
  const checkpoints = async (ticker: string): Promise<number> => {
    const rows = await postgres.admin.unsafe(`SELECT 1 FROM ${schema}.daily_checkpoints WHERE ticker = $1`, [
      ticker,
    ]);
    return rows.length;
  };
  await save("A");
  await save("B");
  expect([await checkpoints("A"), await checkpoints("B")]).toEqual([4, 4]);
  // From a session that has another schema in its path.
  await postgres.admin.unsafe(`UPDATE ${schema}.daily_prices SET ma_10 = 0, volume = 2`);
  expect([await checkpoints("A"), await checkpoints("B")]).toEqual([4, 4]);
  await postgres.admin.unsafe(
    `UPDATE ${schema}.daily_prices SET close = 7 WHERE ticker = 'A' AND date = '${dateOf(300)}'`,
  );
  expect([await checkpoints("A"), await checkpoints("B")]).toEqual([2, 4]);
  await postgres.admin.unsafe(
    `DELETE FROM ${schema}.daily_prices WHERE ticker = 'B' AND date = '${dateOf(200)}'`,
  );
  expect([await checkpoints("A"), await checkpoints("B")]).toEqual([2, 1]);
  await postgres.admin.unsafe(
    `UPDATE ${schema}.daily_prices SET ticker = 'C' WHERE ticker = 'B' AND date = '${dateOf(5)}'`,
  );
  expect(await checkpoints("B")).toBe(0);
  await postgres.admin.unsafe(`TRUNCATE ${schema}.daily_prices`);
  expect(await checkpoints("A")).toBe(0);
});
