/**
 * What SQL of users may do with the server's own tables on PostgreSQL, and what others have put on
 * them before.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { openPostgres, type PostgresDatabase } from "../../src/storage/postgres/open.ts";
import type { SaveUpdate } from "../../src/storage/update-contract.ts";
import type { UserSqlOutcome } from "../../src/storage/user-sql-contract.ts";
import { schemaOf, usePostgres } from "../support/postgres.ts";
import { daily, logged, ticks } from "../support/saves.ts";

setDefaultTimeout(180_000);

const postgres = usePostgres();
const TABLES =
  "daily_prices, hourly_prices, realtime_data, interval_prices, options_data, financial_info, corporate_actions, daily_checkpoints, update_log, update_positions, update_log_parts, update_epoch, stock_db_schema".split(
    ", ",
  );

interface Fixture {
  db: PostgresDatabase;
  schema: string;
}

async function open(role: "superuser" | "owner"): Promise<Fixture> {
  const superuser = await postgres.freshSchema();
  const schema = schemaOf(superuser);
  let dbFile = superuser;
  if (role === "owner") {
    await postgres.admin.unsafe(
      `CREATE ROLE ${schema}_desk LOGIN; GRANT CREATE ON DATABASE postgres TO ${schema}_desk; ALTER SCHEMA ${schema} OWNER TO ${schema}_desk`,
    );
    dbFile = superuser.replace("postgres@", `${schema}_desk@`);
  }
  const db = await openPostgres({ dbFile, durability: "full", dbPoolSize: 4 });
  await save(db, "AAPL", 1);
  return { db, schema };
}

const update = (frame: string): SaveUpdate => logged(crypto.randomUUID(), frame);

async function save(db: PostgresDatabase, ticker: string, price: number): Promise<void> {
  const [tick, bar] = await db.writer.commit([
    ticks(ticker, [["2024-01-02 15:00:00.000000", price]], "match", update(`{"seq":0,"price":${price}}`)),
    daily(ticker, [["2024-01-02", price]], "replace", update(`{"seq":0,"bar":${price}}`)),
  ]);
  expect(tick).toMatchObject({ ok: true, stored: 1 });
  expect(bar).toMatchObject({ ok: true });
}

function raw(db: PostgresDatabase, sql: string): Promise<UserSqlOutcome> {
  return db.sql.run({ sql, params: [], mode: "write", maxRows: 100 }, { timeoutMs: 30_000 });
}

/** Everything that another program sees of the server's tables, in its own words. */
async function stateOf(schema: string): Promise<string> {
  const list = TABLES.map((name) => `'${schema}.${name}'::regclass`).join(", ");
  const parts = await Promise.all(
    [
      `SELECT oid::regclass::text, relkind, relowner, relacl::text, relrowsecurity, reloptions::text FROM pg_class WHERE oid IN (${list}) ORDER BY 1`,
      `SELECT table_name, column_name, data_type, column_default, is_nullable, generation_expression FROM information_schema.columns WHERE table_schema = '${schema}' AND table_name IN (${TABLES.map((name) => `'${name}'`)}) ORDER BY 1, 2`,
      `SELECT tgrelid::regclass::text, pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE tgrelid IN (${list}) ORDER BY 1, 2`,
      `SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid IN (${list}) OR confrelid IN (${list}) ORDER BY 1`,
      `SELECT indexdef FROM pg_indexes WHERE schemaname = '${schema}' AND tablename IN (${TABLES.map((name) => `'${name}'`)}) ORDER BY 1`,
      `SELECT rulename FROM pg_rules WHERE schemaname = '${schema}'`,
      `SELECT policyname FROM pg_policies WHERE schemaname = '${schema}'`,
      `SELECT inhrelid FROM pg_inherits WHERE inhparent IN (${list})`,
      `SELECT prosrc, proowner, prosecdef, proconfig::text, proacl::text FROM pg_proc WHERE proname = 'stock_db_drop_checkpoints' AND pronamespace = '${schema}'::regnamespace`,
      `SELECT oid::regprocedure::text FROM pg_proc WHERE proname IN ('unnest', 'count', 'to_json') ORDER BY 1`,
      `SELECT count(*) FROM pg_operator`,
      `SELECT count(*) FROM pg_cast`,
      ...TABLES.filter((name) => !/prices|realtime|checkpoints/.test(name)).map(
        (name) => `SELECT t::text FROM ${schema}.${name} t ORDER BY 1`,
      ),
    ].map((sql) => postgres.admin.unsafe(sql)),
  );
  return JSON.stringify(parts);
}

/** With the server's schema as the first of the search path. */
const FORBIDDEN = [
  "drop table realtime_data",
  "drop table if exists nothing, update_log cascade",
  "alter table daily_prices rename to dp2",
  "alter table daily_prices rename column close to c",
  "alter table realtime_data add column note text",
  "alter table realtime_data drop column write_timestamp",
  "alter table realtime_data alter column price type real",
  "alter table realtime_data alter column price set default 1",
  "alter table realtime_data alter column price set not null",
  "alter table realtime_data add column g double precision generated always as (price * 2) stored",
  "alter table realtime_data add check (price < 5)",
  "alter table realtime_data add unique (ticker)",
  "alter table daily_prices disable trigger user",
  "alter table realtime_data enable row level security",
  "alter table realtime_data force row level security",
  "alter table realtime_data set (fillfactor = 10)",
  "alter table realtime_data set unlogged",
  "alter table realtime_data owner to current_user, add column z int",
  "alter table realtime_data replica identity nothing, add column z int",
  "alter table own inherit realtime_data",
  "alter table realtime_data inherit own",
  "alter table realtime_data set schema elsewhere",
  "alter table update_log alter column id restart with 5",
  "alter sequence update_log_id_seq restart with 9000000",
  "alter sequence update_log_id_seq maxvalue 5000000",
  "drop sequence update_log_id_seq cascade",
  "create trigger t before insert on realtime_data for each row execute function nothing()",
  "create constraint trigger t after insert on own deferrable initially deferred for each row execute function nothing()",
  "create rule r as on insert to realtime_data do instead nothing",
  "create policy p on realtime_data using (false)",
  "create index i on realtime_data (price)",
  "create unique index i on realtime_data (ticker)",
  "create index i on realtime_data ((price / 0)) where ticker = 'EVIL'",
  "drop index update_log_id",
  "drop index concurrently update_log_id",
  "drop index concurrently THESCHEMA.update_log_id",
  "alter index update_log_id rename to other",
  "create table child () inherits (realtime_data)",
  "create table fk (ticker text, date date, foreign key (ticker, date) references daily_prices on delete cascade)",
  "alter table own add foreign key (ticker, date) references daily_prices",
  "drop trigger daily_checkpoints_insert on daily_prices",
  "drop function stock_db_drop_checkpoints() cascade",
  "create or replace function stock_db_drop_checkpoints() returns trigger language plpgsql as 'begin return null; end'",
  "alter function stock_db_drop_checkpoints() rename to other",
  "alter function stock_db_drop_checkpoints() set search_path = elsewhere",
  "alter function stock_db_drop_checkpoints() security invoker",
  "drop schema THESCHEMA cascade",
  "alter schema THESCHEMA rename to taken_away",
  "revoke all on realtime_data from public, current_user",
  "grant all on update_log to public",
  "revoke all on all tables in schema THESCHEMA from current_user",
  "insert into update_log (ticker, seq, type, saved_at, save_id, frame) values ('X', 1, 'trade', 1, 'x', '{}')",
  "insert into update_log (id, ticker, seq, type, saved_at, save_id, frame) overriding system value values (9223372036854775807, 'X', 1, 't', 1, '', '')",
  "update update_log set frame = 'not json'",
  "delete from update_log",
  "truncate update_log",
  "truncate own, update_positions",
  "update update_positions set seq = 9223372036854775807",
  "delete from update_positions where ticker = 'AAPL'",
  "merge into update_positions p using own o on p.ticker = o.ticker when not matched then insert values ('X', 1, 1)",
  "do $x$ begin perform setval('update_log' || '_id_seq', 9223372036854775807); end $x$",
  "delete from update_epoch",
  "update stock_db_schema set version = 99",
  "insert into daily_checkpoints select 'AAPL', '2030-01-01', 1, 1, 1, 1, 1, 1",
  "with x as (delete from update_epoch returning *) select * from x",
  "explain analyze delete from update_epoch",
  "insert into throughview (epoch) values ('taken')",
  "create function unnest(text[]) returns setof text language sql as 'select ''no''::text'",
  "create function count(text) returns bigint language sql as 'select 0::bigint'",
  "create function to_json(text[]) returns json language sql as 'select ''[]''::json'",
  "create function pg_catalog.unnest(text[]) returns setof text language sql as 'select ''no''::text'",
  "create aggregate max(bigint) (sfunc = int8larger, stype = bigint)",
  "create operator = (leftarg = text, rightarg = text, function = texteq)",
];

const ALLOWED = [
  "insert into realtime_data (ticker, type, timestamp, price) values ('U', 'trade', now(), 1)",
  "update realtime_data set price = price + 1 where ticker = 'U'",
  "delete from realtime_data where ticker = 'U'",
  "update daily_prices set close = close + 1",
  "delete from daily_prices where ticker = 'nobody'",
  "truncate hourly_prices",
  "truncate daily_prices",
  "create view mine as select ticker, count(*) as n from realtime_data group by 1",
  "create materialized view mine_too as select * from daily_prices",
  "refresh materialized view mine_too",
  "create table copied as select * from realtime_data",
  "create table shaped (like realtime_data including all)",
  "create index on copied (price)",
  "create table archive_of (realtime_data int)",
  "create function double(x float8) returns float8 language sql as 'select x * 2'",
  "create function round(x float8, n int) returns numeric language sql as 'select pg_catalog.round(x::numeric, n)'",
  "create trigger t before insert on copied for each row execute function nothing()",
  "drop table copied",
  "vacuum realtime_data",
  "analyze realtime_data",
  "reindex table realtime_data",
  "cluster realtime_data using realtime_data_pkey",
  "create index concurrently on own (a)",
  "reindex table concurrently own",
  "vacuum full own",
  "do $$ begin insert into realtime_data (ticker, type, timestamp, price) values ('D', 'trade', now(), 1); end $$",
  "create type mood as enum ('ok')",
  "create domain price as double precision check (value > 0)",
  "create type span as range (subtype = double precision)",
];

describe.each(["superuser", "owner"] as const)("as %s", (role) => {
  let fixture: Fixture;

  beforeAll(async () => {
    fixture = await open(role);
    const { db, schema } = fixture;
    for (const sql of [
      "create table own (a int, ticker text, date date)",
      "insert into own values (1, 'NEW', '2024-01-02')",
      "create function nothing() returns trigger language plpgsql as 'begin return new; end'",
      "create view throughview as select * from update_epoch",
      `create schema elsewhere_of_${schema}`,
    ])
      expect(await raw(db, sql)).toMatchObject({ status: "rows" });
  });
  afterAll(() => fixture.db.close());

  const named = (sql: string): string =>
    sql.replaceAll("THESCHEMA", fixture.schema).replaceAll("elsewhere", `elsewhere_of_${fixture.schema}`);

  test.each(FORBIDDEN)("%s: refused, and all is as before", async (sql) => {
    const { db, schema } = fixture;
    const before = await stateOf(schema);
    for (const statement of [
      named(sql),
      `do $do$ begin execute $x$${named(sql).replace(/^explain analyze |^with x as \((.*) returning .*$/, "$1")}$x$; end $do$`,
    ]) {
      expect({ statement, outcome: await raw(db, statement) }).toMatchObject({
        outcome: { status: "error", httpStatus: 400 },
      });
      expect(await stateOf(schema)).toBe(before);
    }
  });

  test.each(ALLOWED)("%s: allowed", async (sql) => {
    const { db } = fixture;
    expect(await raw(db, named(sql))).toMatchObject({ status: "rows" });
    await save(db, `A${ALLOWED.indexOf(sql)}`, 7);
  });

  test("a function that changes them is found out, by whatever way it is called", async () => {
    const { db, schema } = fixture;
    const before = await stateOf(schema);
    const body = `language plpgsql as $f$ begin execute 'alter table realtime' || '_data add column hidden int'; return NULL; end $f$`;
    expect(await raw(db, `create function sneak() returns int ${body}`)).toMatchObject({ status: "rows" });
    expect(await raw(db, `create function sneak_trigger() returns trigger ${body}`)).toMatchObject({
      status: "rows",
    });
    for (const sql of [
      "select sneak()",
      "insert into own (a) values (sneak())",
      "with x as (insert into own (a) values (1) returning sneak()) select * from x",
      "create table made as select sneak()",
      "explain analyze select sneak()",
    ])
      expect(await raw(db, sql)).toMatchObject({ status: "error", httpStatus: 400 });
    await raw(
      db,
      "create trigger sneaking after insert on own for each row execute function sneak_trigger()",
    );
    expect(await raw(db, "insert into own (a) values (1)")).toMatchObject({ httpStatus: 400 });
    expect(await stateOf(schema)).toBe(before);
  });

  test("an index that is built outside of a transaction runs no function of a user's", async () => {
    const { db, schema } = fixture;
    for (const sql of [
      `create function harm() returns float8 language plpgsql as $f$ begin execute 'delete from ${schema}.update_' || 'log'; return 1; end $f$`,
      `create function apart(a float8, b float8) returns float8 immutable language plpgsql as $f$ begin return ${schema}.harm(); end $f$`,
      "create type wide as range (subtype = float8, subtype_diff = apart)",
      "create table ranges (r wide)",
      `insert into ranges select ${schema}.wide(n, n + 1) from generate_series(1, 2000) n`,
    ])
      expect(await raw(db, sql)).toMatchObject({ status: "rows" });
    const before = await stateOf(schema);
    expect(await raw(db, "create index concurrently on ranges using gist (r)")).toMatchObject({
      httpStatus: 400,
    });
    expect(await stateOf(schema)).toBe(before);
    expect(await raw(db, "create index concurrently on ranges (r)")).toMatchObject({ status: "rows" });
    expect(await stateOf(schema)).toBe(before);
  });

  test("a cursor that the commit carries out does nothing", async () => {
    const { db, schema } = fixture;
    const before = await stateOf(schema);
    for (const [i, harm] of [
      "delete from update_log",
      "execute 'drop table daily_checkpoints'",
      "perform setval('update_log_id_seq', 1)",
    ].entries()) {
      await raw(
        db,
        `create function late${i}() returns int language plpgsql as $f$ begin ${harm}; return 1; end $f$`,
      );
      const cursor = `declare c${i} cursor with hold for select late${i}()`;
      expect(await raw(db, `do $$ begin execute '${cursor}'; end $$`)).toMatchObject({ status: "rows" });
      expect(await stateOf(schema)).toBe(before);
    }
    await save(db, "HELD", 1);
  });

  test("functions of indexes write nothing outside of a transaction", async () => {
    const { db, schema } = fixture;
    const of = (body: string): string =>
      `create or replace function keyed(a int) returns int language plpgsql immutable as $f$ begin ${body} return a; end $f$`;
    for (const sql of [
      `create function wiped() returns int language plpgsql as $f$ begin delete from ${schema}.update_log; return 1; end $f$`,
      of(""),
      "create table indexed as select a from generate_series(1, 400) a",
      "create index by_key on indexed (keyed(a))",
      of(`perform ${schema}.wiped();`),
    ])
      expect(await raw(db, sql)).toMatchObject({ status: "rows" });
    const before = await stateOf(schema);
    for (const sql of [
      "vacuum (analyze) indexed",
      "vacuum full indexed",
      "reindex table concurrently indexed",
      "create index concurrently again on indexed (keyed(a))",
      "create index concurrently again on indexed (a) where keyed(a) > 0",
    ]) {
      expect({ sql, outcome: await raw(db, sql) }).toMatchObject({ outcome: { httpStatus: 400 } });
      expect(await stateOf(schema)).toBe(before);
    }
    expect(await raw(db, "drop table indexed")).toMatchObject({ status: "rows" });
  });

  test.each([
    "alter role current_user set default_transaction_read_only = on",
    "alter role current_user set statement_timeout = 1",
    "alter role current_user password 'taken'",
    "alter role current_user in database postgres set search_path = elsewhere",
  ])("%s within a function: refused, and nothing of it was kept", async (sql) => {
    const { db } = fixture;
    const settings = async (): Promise<string> =>
      JSON.stringify(
        await postgres.admin.unsafe(
          "select (select array_agg(s::text) from pg_db_role_setting s) s, (select array_agg(concat(rolname, rolpassword) order by oid) from pg_authid) p",
        ),
      );
    const before = await settings();
    expect(await raw(db, `do $do$ begin execute $x$${sql}$x$; end $do$`)).toMatchObject({
      httpStatus: 400,
      error: expect.stringContaining("changes roles, databases, their settings"),
    });
    expect(await settings()).toBe(before);
    await save(db, `ROLE${sql.length}`, 1);
  });

  test("the sequence of the update log isn't set", async () => {
    const { db, schema } = fixture;
    for (const sql of [
      "select setval('update_log_id_seq', 9223372036854775807)",
      `select pg_catalog.setval('${schema}.update_log_id_seq'::regclass, 9223372036854775807)`,
    ])
      expect(await raw(db, sql)).toMatchObject({ status: "error", httpStatus: 400 });
    for (const number of ["9223372036854775807", "1"]) {
      await raw(db, `do $$ begin perform setval('update_log' || '_id_seq', ${number}); end $$`);
      await raw(db, `do $$ begin perform setval('update_log' || '_id_seq', ${number}) / 0; end $$`);
      await save(db, `SEQ${number}`, 1);
    }
    const [ids] = await postgres.admin.unsafe(
      `SELECT count(*) = count(DISTINCT id) AS own, max(id) AS newest FROM ${schema}.update_log`,
    );
    expect(ids).toMatchObject({ own: true });
    expect(Number(ids.newest)).toBeLessThan(1_000_000);
  });

  test("what is refused names what it was", async () => {
    const { db } = fixture;
    expect(await raw(db, "drop table realtime_data")).toMatchObject({
      error:
        "execute_sql: a change of realtime_data is not allowed: the server's own tables are not to be changed; ask whoever runs the database",
    });
    expect(await raw(db, "delete from update_log")).toMatchObject({
      error: "execute_sql: writing into update_log is not allowed: it is the server's bookkeeping",
    });
    expect(await raw(db, "do $$ begin execute 'drop table hourly_prices'; end $$")).toMatchObject({
      error:
        "execute_sql: the statement changes the server's own tables, what hangs on them, or what their names lead to; nothing of it was kept",
    });
    expect(await raw(db, "do $$ begin delete from update_epoch; end $$")).toMatchObject({
      error: "execute_sql: the statement writes into the server's bookkeeping; nothing of it was kept",
    });
  });
});
