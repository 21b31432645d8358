/** SQL that users write, on PostgreSQL. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { openPostgres, type PostgresDatabase } from "../../src/storage/postgres/open.ts";
import type { SqlMode, SqlParam, UserSqlOutcome } from "../../src/storage/user-sql-contract.ts";
import { hasPgBouncer, usePostgres } from "../support/postgres.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(180_000);

const postgres = usePostgres();
let db: PostgresDatabase;

beforeAll(async () => {
  db = await openPostgres({ dbFile: await postgres.freshSchema(), durability: "full", dbPoolSize: 4 });
  await run("create table t (id bigint primary key, name text, price double precision)", [], "write");
  await run("insert into t values (1, 'one', 1.5), (2, null, null)", [], "write");
});
afterAll(() => db.close());

interface Options {
  maxRows?: number;
  timeoutMs?: number;
  signal?: AbortSignal;
}

function run(
  sql: string,
  params: SqlParam[] = [],
  mode: SqlMode = "read",
  { maxRows = 100, timeoutMs = 30_000, signal }: Options = {},
): Promise<UserSqlOutcome> {
  return db.sql.run({ sql, params, mode, maxRows }, { timeoutMs, signal });
}

async function rows(
  sql: string,
  params: SqlParam[] = [],
  mode: SqlMode = "read",
  maxRows = 100,
): Promise<string> {
  const outcome = await run(sql, params, mode, { maxRows });
  if (outcome.status !== "rows") throw new Error(`${sql}: ${JSON.stringify(outcome)}`);
  const bytes = Buffer.concat(outcome.parts);
  expect(bytes.length).toBe(outcome.bytes);
  return bytes.toString();
}

describe("rows", () => {
  test("are JSON, and the same the second time", async () => {
    const sql = `select 1::int4 a, 2::int8 b, 9223372036854775807 c, 1.50 d, 0.1::real e, 'NaN'::float8 f, true g, null h,
      '2024-01-02 10:00:00.5+01'::timestamptz i, '2024-01-02'::date j, '{"k": [1]}'::jsonb k, array[1, 2] l, '\\x00ff'::bytea m,
      'é "q" \\ ' || chr(10) n, interval '90 minutes' o`;
    const expected = `[{"a":1,"b":2,"c":9223372036854775807,"d":1.50,"e":0.1,"f":null,"g":true,"h":null,"i":"2024-01-02 09:00:00.500000","j":"2024-01-02","k":{"k": [1]},"l":"{1,2}","m":"AP8=","n":"é \\"q\\" \\\\ \\n","o":"01:30:00"}]`;
    for (let i = 0; i < 3; i++) expect(await rows(sql)).toBe(expected);
    for (let i = 0; i < 3; i++) expect(await rows(`${sql} where $1 = 1`, [1])).toBe(expected);
    for (let i = 0; i < 3; i++) expect(await rows(sql, [], "write")).toBe(expected);
  });

  test("of RETURNING are the same as those of SELECT", async () => {
    const sql = "insert into t values ($1, $2, $3) returning id, price, name, now() is null as x";
    expect(await rows(sql, [50n, "n", 2.5], "write")).toBe('[{"id":50,"price":2.5,"name":"n","x":false}]');
    expect(await rows("delete from t where id = 50 returning *", [], "write")).toBe(
      '[{"id":50,"name":"n","price":2.5}]',
    );
  });

  test("of columns with one name hold the last", async () => {
    expect(await rows("select 1 a, 2 b, 3 a")).toBe('[{"a":3,"b":2}]');
  });

  test("are none for a statement that has none", async () => {
    expect(await rows("select * from t where false")).toBe("[]");
    expect(await rows("delete from t where false", [], "write")).toBe("[]");
  });

  test("in any number up to the limit, one more is refused", async () => {
    expect(JSON.parse(await rows("select generate_series(1, 5000) n", [], "read", 5_000))).toHaveLength(
      5_000,
    );
    expect(await run("select generate_series(1, 5001) n", [], "read", { maxRows: 5_000 })).toMatchObject({
      httpStatus: 400,
      error: "execute_sql: query returned more than 5000 rows",
    });
  });

  test("too many of a writing statement undo it", async () => {
    const sql = "insert into t (id) select generate_series(1000, 1200) returning id";
    expect(await run(sql, [], "write")).toMatchObject({ httpStatus: 400 });
    expect(await rows("select count(*) n from t")).toBe('[{"n":2}]');
  });
});

describe("reading mode", () => {
  test.each([
    "insert into t (id) values (5)",
    "insert into t (id) values (5) returning *",
    "with x as (insert into t (id) values (5) returning *) select * from x",
    "update t set name = 'b'",
    "delete from t",
    "truncate t",
    "create table n (a int)",
    "select * into n from t",
    "select * from t for update",
    "explain analyze delete from t",
    "vacuum",
    "create index concurrently i on t (name)",
    "select nextval('s')",
  ])("%s needs to write, and has done nothing", async (sql) => {
    if (sql.includes("nextval")) await run("create sequence s", [], "write");
    expect(await run(sql)).toEqual({ status: "needs-write" });
    expect(await rows("select count(*) n, max(name) m from t")).toBe('[{"n":2,"m":"one"}]');
  });

  test.each(["direct", "sessions that a pool in between has"])(
    "%s: nothing that a function has left in its session reaches the next request",
    async (way) => {
      const isDirect = way === "direct";
      await using own = await openPostgres({
        dbFile: `${await postgres.freshSchema()}${isDirect ? "" : "&pgbouncer=true"}`,
        durability: "full",
        dbPoolSize: 2,
      });
      const send = async (sql: string, mode: SqlMode): Promise<string> => {
        const outcome = await own.sql.run({ sql, params: [], mode, maxRows: 100 }, { timeoutMs: 30_000 });
        if (outcome.status !== "rows") throw new Error(`${sql}: ${JSON.stringify(outcome)}`);
        return Buffer.concat(outcome.parts).toString();
      };
      const made = [
        "set_config('search_path', 'nowhere', false)",
        "set_config('statement_timeout', '5000', false)",
        "set_config('role', 'pg_monitor', false)",
        "set_config('my.own', 'left', false)",
        "pg_advisory_lock(4711)",
      ];
      for (const [i, call] of made.entries())
        await send(
          `create function leave${i}() returns int language plpgsql as $f$ begin perform ${call}; return 1; end $f$`,
          "write",
        );
      await send(
        `create function leave_prepared() returns int language plpgsql as $f$ begin execute 'prepare left_over as select 1';
       execute 'listen left_over'; execute 'declare held cursor with hold for select 1'; return 1; end $f$`,
        "write",
      );
      const state = `select (select count(*) from pg_prepared_statements where from_sql) p, (select count(*) from pg_listening_channels()) l,
      (select count(*) from pg_cursors where name <> 'user_rows') c, coalesce(current_setting('my.own', true), '') o, current_user::text u,
      current_setting('search_path') ~ 'nowhere' s, (select count(*) from pg_locks where locktype = 'advisory' and objid = 4711) a`;
      for (const mode of ["read", "write"] as const) {
        for (const name of [...made.keys()].map((i) => `leave${i}`).concat("leave_prepared")) {
          for (let i = 0; i < 4; i++) await send(`select ${name}()`, mode);
          await until(async () => (await send(state, "read")).includes('"a":0'));
          for (let i = 0; i < 6; i++)
            expect(JSON.parse(await send(state, "read"))).toEqual([
              { p: 0, l: 0, c: 0, o: "", u: "postgres", s: false, a: 0 },
            ]);
        }
      }
    },
  );

  test("settings made by a function are gone with the request", async () => {
    await run(
      "create function loosen() returns text language sql as $$ select set_config('work_mem', '77MB', false) $$",
      [],
      "write",
    );
    for (let i = 0; i < 8; i++) await run("select loosen()", [], i % 2 === 0 ? "read" : "write");
    for (let i = 0; i < 8; i++) expect(await rows("show work_mem")).not.toContain("77MB");
  });
});

describe.each(["direct", "behind PgBouncer"])("%s: locks of the session", (way) => {
  const isBehind = way !== "direct";
  test.skipIf(isBehind && !hasPgBouncer)("are gone with the request, whatever came of it", async () => {
    const dbFile = isBehind ? await postgres.freshDatabaseBehindPgBouncer() : await postgres.freshSchema();
    await using shared = await openPostgres({ dbFile, durability: "full", dbPoolSize: 2 });
    const send = (sql: string, mode: SqlMode): Promise<UserSqlOutcome> =>
      shared.sql.run({ sql, params: [], mode, maxRows: 100 }, { timeoutMs: 30_000 });
    const definition = "language plpgsql as $$ begin perform pg_advisory_lock(n); return n; end $$";
    await send(`create function hold(n int) returns int ${definition}`, "write");
    const held = () =>
      postgres.admin`SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid IN (77, 78)`;
    for (const mode of ["read", "write"] as const) {
      expect(await send("select hold(77)", mode)).toMatchObject({ status: "rows" });
      if (isBehind || mode === "read") expect(await held()).toHaveLength(0);
      await until(async () => (await held()).length === 0);
      expect(await send("select hold(77) / 0", mode)).toMatchObject({ status: "error", httpStatus: 400 });
      await until(async () => (await held()).length === 0);
    }
    const block =
      "do $$ begin perform pg_advisory_lock(78); perform set_config('work_mem', '77MB', false); end $$";
    expect(await send(block, "read")).toEqual({ status: "needs-write" });
    expect(await held()).toHaveLength(0);
    expect(await send(block, "write")).toMatchObject({ status: "rows" });
    await until(async () => (await held()).length === 0);
    for (let i = 0; i < 4; i++) {
      const outcome = await send("show work_mem", "read");
      expect(outcome).toMatchObject({ status: "rows" });
      if (outcome.status === "rows") expect(Buffer.concat(outcome.parts).toString()).not.toContain("77MB");
    }
  });
});

test("large rows come one by one, and one beyond the answer's bound is refused before it is text", async () => {
  const sizes = (await rows("select n, repeat('x', n * 1000000) t from generate_series(1, 9) n")).length;
  expect(sizes).toBeGreaterThan(45_000_000);
  expect(sizes).toBeLessThan(45_001_000);
  // The fifth fails if it is ever made.
  expect(
    await run("select repeat('x', 100000000) t, 1 / (5 - n) d from generate_series(1, 12) n"),
  ).toMatchObject({ httpStatus: 400, error: "execute_sql: query returned more than 256 MB of JSON" });
});

describe("mistakes are 400 with PostgreSQL's own words", () => {
  test.each([
    ["selct 1", 'syntax error at or near "selct"', "at character 1 of the statement"],
    ["select nope from t", 'column "nope" does not exist', "at character 8 of the statement"],
    ["select * from nope", 'relation "nope" does not exist', "at character 15 of the statement"],
    ["select 1 / 0", "division by zero", undefined],
  ])("%s", async (sql, words, details) => {
    for (const mode of ["read", "write"] as const) {
      const outcome = await run(sql, [], mode);
      expect(outcome).toMatchObject({ status: "error", httpStatus: 400, error: `execute_sql: ${words}` });
      expect((outcome as { details?: string }).details).toBe(details);
    }
  });

  test("a broken rule names it", async () => {
    expect(await run("insert into t values (1)", [], "write")).toMatchObject({
      httpStatus: 400,
      error: 'execute_sql: duplicate key value violates unique constraint "t_pkey"',
      details: "Key (id)=(1) already exists.",
    });
  });
});

describe("a statement is stopped", () => {
  test.each<[SqlMode, string]>([
    ["read", ""],
    ["write", "; rolled back, nothing changed"],
  ])("in %s mode when its time is over", async (mode, effect) => {
    const sql = mode === "read" ? "select pg_sleep(60)" : "update t set name = pg_sleep(60)::text";
    await expect(run(sql, [], mode, { timeoutMs: 2_000 })).rejects.toMatchObject({
      status: 504,
      message: expect.stringMatching(
        new RegExp(`^execute_sql: stopped at the limit of 2 s(: it waited [^;]*)?${effect}$`),
      ),
    });
    expect(await rows("select name from t order by id")).toBe('[{"name":"one"},{"name":null}]');
  });

  test("between two fetches too", async () => {
    await expect(
      run("select pg_sleep(0.01) from generate_series(1, 100000)", [], "read", {
        timeoutMs: 2_000,
        maxRows: 1_000_000,
      }),
    ).rejects.toMatchObject({ status: 504 });
  });

  test("when its client has gone, also before it began", async () => {
    const gone = new AbortController();
    const running = run("select pg_sleep(60)", [], "read", { signal: gone.signal });
    setTimeout(() => gone.abort(), 50);
    await expect(running).rejects.toMatchObject({ status: 499 });
    await expect(run("select 1", [], "read", { signal: gone.signal })).rejects.toMatchObject({ status: 499 });
  });

  test("and stops no other that uses its connection afterwards", async () => {
    for (let i = 0; i < 60; i++) {
      const gone = new AbortController();
      const stopped = run("select pg_sleep(0.004)", [], "read", { signal: gone.signal }).catch(() => null);
      setTimeout(() => gone.abort(), 4);
      await stopped;
      expect(await rows("select 1 as one")).toBe('[{"one":1}]');
    }
  });
});

test("a slow statement holds up nothing else", async () => {
  const gone = new AbortController();
  const slow = run("select pg_sleep(60)", [], "read", { signal: gone.signal }).catch(() => null);
  expect(await rows("select 1 as one")).toBe('[{"one":1}]');
  gone.abort();
  await slow;
});

test("the server's own tables can be read and written by their names", async () => {
  await run("insert into daily_prices (ticker, date, close) values ('X', '2024-01-02', 5)", [], "write");
  expect(await rows("select ticker, date, close, volume from daily_prices where ticker = ?", ["X"])).toBe(
    '[{"ticker":"X","date":"2024-01-02","close":5,"volume":null}]',
  );
});
