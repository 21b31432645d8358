/**
 * Databases that speak PostgreSQL's language and lack something of it: a real one, in which
 * functions of the lacking kind stand in front of its own, and an event trigger refuses what
 * changes tables.
 */
import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { parseSettings } from "../../src/config/settings.ts";
import type { SaveRows, SaveTicks } from "../../src/storage/contract.ts";
import {
  openPostgres,
  type PostgresDatabase,
  type PostgresSettings,
} from "../../src/storage/postgres/open.ts";
import { failingStart } from "../support/failing-start.ts";
import { schemaOf, usePostgres } from "../support/postgres.ts";
import { runCli } from "../support/run-cli.ts";
import { daily, dateOf } from "../support/saves.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(60_000);

// Only so may an extension be pretended.
const postgres = usePostgres("allow_system_table_mods=on");

beforeAll(async () => {
  await postgres.admin.unsafe(`
    CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
      IF current_query() ~ current_setting('test.refused', true) THEN
        RAISE EXCEPTION 'not supported here' USING ERRCODE = '0A000';
      END IF;
    END $$;
    CREATE EVENT TRIGGER refuse ON ddl_command_start EXECUTE FUNCTION public.refuse();`);
});

const open = (dbFile: string, more: Partial<PostgresSettings> = {}): Promise<PostgresDatabase> =>
  openPostgres({ ...parseSettings([], {}).settings, dbFile, startWaitMs: 60_000, ...more });

/** A database whose functions are the given ones where they stand in front of PostgreSQL's. */
async function shadowed(functions: string[]): Promise<{ dbFile: string; schema: string }> {
  const dbFile = await postgres.freshSchema();
  const schema = schemaOf(dbFile);
  for (const definition of functions) await postgres.admin.unsafe(`CREATE FUNCTION ${schema}.${definition}`);
  return { dbFile: `${dbFile},pg_catalog`, schema };
}

const UNSUPPORTED = "BEGIN RAISE EXCEPTION 'not supported here' USING ERRCODE = '0A000'; END";
const WITHOUT_CATALOG = [
  "version() RETURNS text LANGUAGE sql AS $$ SELECT 'PostgreSQL 12.3, QuestDB' $$",
  `to_regclass(text) RETURNS regclass LANGUAGE plpgsql AS $$ ${UNSUPPORTED} $$`,
];

test("one that lacks what the server needs is named at once, with what it lacks and what to do", async () => {
  const { dbFile, schema } = await shadowed(WITHOUT_CATALOG);
  const complaint =
    /QuestDB \("PostgreSQL 12.3, QuestDB"\) can't hold this server's data: it lacks PostgreSQL's catalog/;
  await expect(open(dbFile)).rejects.toThrow(complaint);
  for (const workers of ["1", "2"]) {
    const { code, output } = await failingStart(["--db-file", dbFile, "--port", "0", "--workers", workers]);
    expect(code).toBe(1);
    const complaints = output.split("\n").filter((line) => /WARNING|ERROR|CRITICAL/.test(line));
    expect(complaints).toHaveLength(1);
    expect(complaints[0]).toMatch(complaint);
    expect(complaints[0]).toContain("name a PostgreSQL 12 or later");
  }
  const diagnosis = await runCli(["doctor", "--db-file", dbFile]);
  expect(diagnosis.code).toBe(1);
  expect(diagnosis.stdout).toMatch(complaint);
  expect(diagnosis.stdout).toContain("→ name a PostgreSQL 12 or later");
  expect(await postgres.admin`SELECT 1 FROM pg_tables WHERE schemaname = ${schema}`).toHaveLength(0);
});

/** A ticker's saves that depend on each other: each day's averages on all before. */
const day = (index: number): SaveRows => daily("A", [[dateOf(index), index]]);

async function bars(db: PostgresDatabase): Promise<string> {
  const rows = await db.reader.rows({ kind: "daily", part: null, ticker: "A", from: null, to: null });
  return JSON.stringify(rows).replaceAll(/\\"write_timestamp\\":\\"[^"]*\\"/g, "");
}

for (const [name, lock] of [
  ["lock nothing", "RETURNS void LANGUAGE sql AS ''"],
  ["are refused", `RETURNS void LANGUAGE plpgsql AS $$ ${UNSUPPORTED} $$`],
] as const) {
  test(`where advisory locks ${name}, writers of one ticker still leave what one writer leaves, and the log is trimmed`, async () => {
    const { dbFile, schema } = await shadowed([`pg_advisory_xact_lock(int, int) ${lock}`]);
    const refused: string[] = [];
    const trims = {
      updateLogBytes: 1_000,
      trimPauseMs: 50,
      onTrimRefused: (reason: string) => refused.push(reason),
    };
    await using one = await open(dbFile, trims);
    await using two = await open(dbFile, trims);
    expect([one.capabilities.advisoryLocks, two.capabilities.advisoryLocks]).toEqual([false, false]);
    const diagnosis = await runCli(["doctor", "--db-file", dbFile]);
    expect(diagnosis.stdout).toContain("warning locks: no advisory locks");
    await using plain = await open(await postgres.freshSchema());
    expect(plain.capabilities.advisoryLocks).toBe(true);
    for (let index = 0; index < 60; index += 2) {
      const outcomes = await Promise.all([
        one.writer.commit([day(index)]),
        two.writer.commit([day(index + 1)]),
      ]);
      expect(outcomes.flat()).toMatchObject([{ ok: true }, { ok: true }]);
    }
    for (let index = 0; index < 60; index++) await plain.writer.commit([day(index)]);
    expect(await bars(one)).toBe(await bars(plain));
    expect((await one.reader.updates.positions(["A"])).get("A")).toBe(60);
    await until(async () => {
      const rows = await postgres.admin.unsafe(`SELECT 1 FROM ${schema}.update_log`);
      return rows.length < 30;
    });
    expect(refused).toEqual([]);
  });
}

const refusing = (dbFile: string, pattern: string): string =>
  `${dbFile}&options=${encodeURIComponent(`-c test.refused=${pattern}`)}`;

test("triggers that are refused are done without, and the log says so", async () => {
  const dbFile = await postgres.freshSchema();
  await using db = await open(refusing(dbFile, "TRIGGER"));
  expect(db.preparation).toBe(
    "created the tables; the database takes no triggers of this kind: closes changed by other programs keep their averages (not supported here)",
  );
  expect(await db.writer.commit([day(1)])).toMatchObject([{ ok: true }]);
  await using again = await open(dbFile);
  expect(again.preparation).toBeNull();
});

test("where columns take no collation, the order of bytes is that of the database", async () => {
  await using db = await open(refusing(await postgres.freshSchema(), "COLLATE"));
  expect(db.preparation).toMatch(/^created the tables; .*collat/i);
  expect(await db.writer.commit([day(1)])).toMatchObject([{ ok: true }]);
});

test("tables that are refused altogether end the start with what the database says", async () => {
  const dbFile = refusing(await postgres.freshSchema(), "IDENTITY");
  await expect(open(dbFile)).rejects.toThrow(
    /this database \("PostgreSQL .*"\) can't hold this server's data: it lacks what the tables need \(it says: not supported here\)/,
  );
});

test("a key that another program took first is found also under the name that a part of a hypertable gives it", async () => {
  const dbFile = await postgres.freshSchema();
  const schema = schemaOf(dbFile);
  await using db = await open(dbFile);
  // Sequences are not undone with a transaction: the third try gets through.
  await postgres.admin.unsafe(`
    CREATE SEQUENCE ${schema}.tries;
    CREATE FUNCTION ${schema}.collide() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF nextval('${schema}.tries') <= 2 THEN
        RAISE EXCEPTION 'duplicate key value violates unique constraint "7_3_realtime_data_pkey"' USING ERRCODE = '23505';
      END IF;
      RETURN NEW;
    END $$;
    CREATE TRIGGER collide BEFORE INSERT ON ${schema}.realtime_data FOR EACH ROW EXECUTE FUNCTION ${schema}.collide();`);
  const save: SaveTicks = {
    kind: "ticks",
    ticker: "A",
    part: "trade",
    rows: [["2024-01-02 10:00:00.000000", 1, 1, null, null, null, null, null]],
    onDuplicate: "match",
  };
  expect(await db.writer.commit([save])).toMatchObject([{ ok: true, stored: 1 }]);
});

/**
 * As TimescaleDB would be in a schema that the tables' search_path doesn't have; what is asked of
 * it is noted.
 */
async function withHypertables(
  definitions: string[],
  use: (dbFile: string) => Promise<void>,
): Promise<string[]> {
  const { admin } = postgres;
  await admin.unsafe('CREATE SCHEMA "Time Series"; CREATE TABLE "Time Series".asked (of text)');
  await admin.unsafe(
    `INSERT INTO pg_extension SELECT 999999, 'timescaledb', 10, oid, false, '2' FROM pg_namespace WHERE nspname = 'Time Series'`,
  );
  try {
    for (const definition of definitions) await admin.unsafe(`CREATE FUNCTION "Time Series".${definition}`);
    await use(await postgres.freshSchema());
    const rows = await admin.unsafe<{ of: string }[]>('SELECT of FROM "Time Series".asked');
    return rows.map((row) => row.of);
  } finally {
    await admin.unsafe("DELETE FROM pg_extension WHERE oid = 999999");
    await admin.unsafe('DROP SCHEMA "Time Series" CASCADE');
  }
}

const noting = (parameters: string, noted: string): string =>
  `create_hypertable(relation regclass, ${parameters}, if_not_exists boolean, migrate_data boolean) RETURNS void LANGUAGE sql
   AS $$ INSERT INTO "Time Series".asked VALUES (relation::text || ' ${noted} ' || if_not_exists || ' ' || migrate_data) $$`;

test("hypertables are asked for in the schema of the extension, in the form that it knows", async () => {
  const expectMade = async (dbFile: string): Promise<void> => {
    await using db = await open(dbFile);
    expect(db.preparation).toBe("created the tables; realtime_data is a hypertable");
  };
  expect(await withHypertables([noting("time_column_name name", "by name")], expectMade)).toEqual([
    "realtime_data by name true true",
  ]);
  const byRange = "by_range(name) RETURNS interval LANGUAGE sql AS $$ SELECT interval '7 days' $$";
  expect(await withHypertables([byRange, noting("dimension interval", "by range")], expectMade)).toEqual([
    "realtime_data by range true true",
  ]);
});

test("where TimescaleDB refuses, the table stays as it is, and the log says why", async () => {
  await withHypertables(
    [
      `create_hypertable(regclass, name, if_not_exists boolean, migrate_data boolean) RETURNS void LANGUAGE plpgsql AS $$ ${UNSUPPORTED} $$`,
    ],
    async (dbFile) => {
      await using db = await open(dbFile);
      expect(db.preparation).toBe(
        "created the tables; TimescaleDB refused to make realtime_data a hypertable (not supported here)",
      );
      expect(await db.writer.commit([day(1)])).toMatchObject([{ ok: true }]);
    },
  );
});
