import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { changeDuckDbFile } from "../../../test/support/duckdb-file.ts";
import type { RequestError } from "../../protocol/errors.ts";
import type { Save } from "../contract.ts";
import type { SqlMode, SqlParam, UserSqlOutcome } from "../user-sql-contract.ts";
import { type OpenDuckDb, openDuckDb } from "./open.ts";

setDefaultTimeout(120_000);

/** Long enough never to end by itself. */
const ENDLESS = "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range + b.range = 7";
const PATIENT_MS = 60_000;

let folder = "";
let db: OpenDuckDb;

const path = (): string => join(folder, "stock.duckdb");
const open = (): Promise<OpenDuckDb> =>
  openDuckDb({ path: path(), memoryLimitMb: 256, threads: 2, onFatal() {} });

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "user-sql-"));
  db = await open();
  await run("create table t(id BIGINT, price DOUBLE, name VARCHAR, data BLOB)", [], "write");
  await run(
    String.raw`insert into t values (1, 1.5, 'a', '\x00\xff'::BLOB), (9007199254740993, 2.0, null, null)`,
    [],
    "write",
  );
});

afterEach(async () => {
  await db.close();
  rmSync(folder, { recursive: true });
});

function run(sql: string, params: SqlParam[] = [], mode: SqlMode = "read", maxRows = 100) {
  return db.sql.run({ sql, params, mode, maxRows }, { timeoutMs: PATIENT_MS });
}

function textOf(outcome: UserSqlOutcome): string {
  if (outcome.status !== "rows") throw new Error(JSON.stringify(outcome));
  const text = Buffer.concat(outcome.parts).toString();
  expect(Buffer.byteLength(text)).toBe(outcome.bytes);
  expect((JSON.parse(text) as unknown[]).length).toBe(outcome.rows);
  return text;
}

const rows = async (sql: string, params: SqlParam[] = []): Promise<string> => textOf(await run(sql, params));
const count = (): Promise<string> => rows("select count(*) n from t");

function tick(price: number, second = 1): Save {
  const stamp = `2024-01-02 10:00:${String(second).padStart(2, "0")}.000000`;
  return {
    kind: "ticks",
    ticker: "A",
    part: "trade",
    rows: [[stamp, price, 1, null, null, null, null, null]],
    onDuplicate: "match",
  };
}

function daily(close: number): Save {
  const rows: Save["rows"] = [["2024-01-02", close, close, close, close, null, null, 1]];
  return { kind: "daily", part: null, ticker: "A", rows, onDuplicate: "replace" } as Save;
}

/** What the statement was refused with. */
async function failure(running: Promise<UserSqlOutcome>): Promise<RequestError> {
  return running.then(
    (outcome) => Promise.reject(new Error(`expected a failure, got ${JSON.stringify(outcome)}`)),
    (error: RequestError) => error,
  );
}

describe("values", () => {
  test("integers keep 64 bits and more; DOUBLE, VARCHAR, NULL and BLOB their types", async () => {
    expect(await rows("select * from t order by id")).toBe(
      '[{"id":1,"price":1.5,"name":"a","data":"AP8="},{"id":9007199254740993,"price":2,"name":null,"data":null}]',
    );
    expect(await rows("select 9223372036854775807 a, 170141183460469231731687303715884105727 b")).toBe(
      '[{"a":9223372036854775807,"b":170141183460469231731687303715884105727}]',
    );
  });

  test("what isn't finite is null; decimals have no needless zeros", async () => {
    expect(
      await rows(
        "select 'inf'::double a, 'nan'::double b, 1e300 c, 1.50::decimal(18,4) d, 100::decimal(38,18) e, 0::decimal(9,2) f",
      ),
    ).toBe('[{"a":null,"b":null,"c":1e+300,"d":1.5,"e":100,"f":0}]');
  });

  test("lists, structs, maps and stamps", async () => {
    expect(
      await rows(
        "select [1, null] a, {x: 'y', z: [1.5]} b, map {'k': 1} c, date '2024-01-02' d, timestamp '2024-01-02 10:00:00.5' e, true f",
      ),
    ).toBe(
      '[{"a":[1,null],"b":{"x":"y","z":[1.5]},"c":{"k":1},"d":"2024-01-02","e":"2024-01-02 10:00:00.5","f":true}]',
    );
  });

  test("of columns with one name the last is kept; odd names are names", async () => {
    expect(JSON.parse(await rows("select 1 as a, 2 as b, 3 as a"))).toEqual([{ a: 3, b: 2 }]);
    expect(await rows(`select 1 as "q""u\\o", 2 as "__proto__"`)).toBe('[{"q\\"u\\\\o":1,"__proto__":2}]');
  });

  test("no rows, or a statement that has none, is an empty list", async () => {
    expect(await rows("select * from t where false")).toBe("[]");
    expect(textOf(await run("delete from t where false", [], "write"))).toBe("[]");
  });

  test("rows come in the order asked for, also many", async () => {
    const outcome = await run("select range as n from range(30000) order by n desc", [], "read", 30_000);
    const list = (JSON.parse(textOf(outcome)) as { n: number }[]).map(({ n }) => n);
    expect(list).toEqual(Array.from({ length: 30_000 }, (_, i) => 29_999 - i));
  });

  test.each([
    "show tables;",
    "describe t",
    "pragma table_info('t')",
    "from t -- the end;",
    "explain select 1",
  ])("%s has rows", async (sql) => {
    expect(await run(sql)).toMatchObject({ status: "rows" });
  });
});

describe("parameters", () => {
  test("keep their value and type", async () => {
    expect(await rows("select ? a, ? b, ? c, ? d, ? e", [9007199254740993n, 1.5, true, null, 'x"'])).toBe(
      '[{"a":9007199254740993,"b":1.5,"c":true,"d":null,"e":"x\\""}]',
    );
    expect(await rows("select ? as a", [1])).toBe('[{"a":1}]');
    expect(await rows("select $2 as x, $1 as y", [1, 2])).toBe('[{"x":2,"y":1}]');
  });

  test.each([[[]], [[1]], [[1, 2, 3]]])("%j for two are refused with both counts", async (params) => {
    const outcome = await run("select ?::int, ?::int", params);
    expect(outcome).toMatchObject({ status: "error", httpStatus: 400 });
    expect(JSON.stringify(outcome)).toContain(`expects 2 parameters, got ${params.length}`);
  });
});

describe("limits", () => {
  test("as many rows as allowed are answered, one more is refused", async () => {
    expect(await run("from range(100)")).toMatchObject({ status: "rows", rows: 100 });
    const outcome = await run("from range(100000000)", []);
    expect(outcome).toMatchObject({ status: "error", httpStatus: 400 });
    expect(JSON.stringify(outcome)).toContain("query returned more than 100 rows");
  });

  test("too many rows of a writing statement undo it", async () => {
    const outcome = await run("insert into t(id) select range from range(101) returning id", [], "write");
    expect(outcome).toMatchObject({ status: "error", httpStatus: 400 });
    expect(await count()).toBe('[{"n":2}]');
  });

  test("a statement is stopped at its time limit, and has done nothing", async () => {
    const limits = { timeoutMs: 1_500 };
    const read = db.sql.run({ sql: ENDLESS, params: [], mode: "read", maxRows: 1 }, limits);
    expect(await failure(read)).toMatchObject({ status: 504 });
    const sql = `insert into t(id) ${ENDLESS}`;
    const write = db.sql.run({ sql, params: [], mode: "write", maxRows: 1 }, limits);
    expect(await failure(write)).toMatchObject({ status: 504 });
    expect(await count()).toBe('[{"n":2}]');
  });

  test("a statement is stopped when its client goes", async () => {
    const client = new AbortController();
    const running = db.sql.run(
      { sql: ENDLESS, params: [], mode: "read", maxRows: 1 },
      { timeoutMs: PATIENT_MS, signal: client.signal },
    );
    setTimeout(() => client.abort(), 50);
    expect(await failure(running)).toMatchObject({ status: 499 });
  });

  test("a statement that takes too much memory is 400, and harms nobody", async () => {
    const outcome = await run("select length(list(range)) n from range(10000000000)");
    expect(outcome).toMatchObject({ status: "error", httpStatus: 400 });
    expect(JSON.stringify(outcome)).toContain("memory");
    expect(await db.writer.commit([tick(1)])).toMatchObject([{ ok: true, stored: 1 }]);
  });

  test("more statements than may run wait their turn, and no longer than their time", async () => {
    const limits = { timeoutMs: 1_000 };
    const statements = Array.from({ length: 8 }, () =>
      failure(db.sql.run({ sql: ENDLESS, params: [], mode: "read", maxRows: 1 }, limits)),
    );
    const statuses = (await Promise.all(statements)).map(({ status }) => status);
    expect(statuses.every((status) => status === 504 || status === 503)).toBe(true);
    expect(await count()).toBe('[{"n":2}]');
  });
});

describe("beside a long query", () => {
  test("saves and reads go on", async () => {
    const client = new AbortController();
    const running = Array.from({ length: 4 }, () =>
      failure(
        db.sql.run(
          { sql: ENDLESS, params: [], mode: "read", maxRows: 1 },
          { timeoutMs: PATIENT_MS, signal: client.signal },
        ),
      ),
    );
    for (let i = 0; i < 10; i++) {
      expect(await db.writer.commit([tick(i, i)])).toMatchObject([{ ok: true, stored: 1 }]);
      expect(await db.reader.latestPrice("A")).toBe(i);
    }
    client.abort();
    for (const error of await Promise.all(running)) expect(error).toMatchObject({ status: 499 });
  });

  test("a save wins over a user's transaction in the same row", async () => {
    await db.writer.commit([daily(1)]);
    // Changes the row with its first rows from the range, which never ends.
    const sql =
      "update daily_prices set close = 7 from range(1000000000000) r where ticker = 'A' and r.range % 7 = 0";
    const slow = failure(
      db.sql.run({ sql, params: [], mode: "write", maxRows: 1 }, { timeoutMs: PATIENT_MS }),
    );
    let stopped = false;
    void slow.finally(() => {
      stopped = true;
    });
    for (let close = 2; !stopped; close++) {
      expect(await db.writer.commit([daily(close)])).toMatchObject([{ ok: true, replaced: 1 }]);
    }
    const error = await slow;
    expect(error).toMatchObject({ status: 503 });
    expect(error.message).toContain("a save needed the same rows");
    expect(await db.writer.commit([daily(1)])).toMatchObject([{ ok: true, replaced: 1 }]);
    expect(await db.reader.latestPrice("A")).toBe(1);
  });
});

describe("reading mode", () => {
  const writing = [
    "insert into t(id) values (5)",
    "insert into t(id) values (5) returning *",
    "with x as (select 5 as i) insert into t(id) select i from x",
    "update t set name = 'b'",
    "delete from t",
    "truncate t",
    "merge into t using (select 1 as id) s on t.id = s.id when matched then delete",
    "create table n(a int)",
    "create view v as select 1",
    "create macro m(a) as a + 1",
    "create sequence s",
    "drop table t",
    "alter table t add column c int",
    "vacuum",
    "explain analyze delete from t",
  ];
  test.each(writing)("%j needs to write, and has done nothing", async (sql) => {
    expect(await run(sql)).toEqual({ status: "needs-write" });
    expect(await count()).toBe('[{"n":2}]');
  });

  test("a query that would write needs to write", async () => {
    await run("create sequence s", [], "write");
    expect(await run("select nextval('s') as n")).toEqual({ status: "needs-write" });
    expect(textOf(await run("select nextval('s') as n", [], "write"))).toBe('[{"n":1}]');
  });

  test("a mistake in a writing statement is told at once", async () => {
    expect(await run("insert into nope values (1)")).toMatchObject({
      status: "error",
      httpStatus: 400,
      error: "execute_sql: Table with name nope does not exist!",
    });
  });
});

describe("writing mode", () => {
  test("commits one statement, and answers its rows", async () => {
    expect(textOf(await run("insert into t(id) values (?) returning id", [5n], "write"))).toBe('[{"id":5}]');
    expect(db.writer.changedByOthers()).toBe(true);
    expect(await count()).toBe('[{"n":3}]');
  });

  test("a failed statement changes nothing", async () => {
    await run("create unique index i on t(id)", [], "write");
    db.writer.changedByOthers();
    const outcome = await run("insert into t(id) values (5), (1)", [], "write");
    expect(outcome).toMatchObject({ status: "error", httpStatus: 400 });
    expect(await count()).toBe('[{"n":2}]');
    expect(db.writer.changedByOthers()).toBe(false);
  });

  test("a key that is stored already is refused", async () => {
    await db.writer.commit([daily(1), tick(1)]);
    for (const sql of [
      "insert into daily_prices(ticker, date) values ('A', '2024-01-02')",
      "insert into daily_prices(ticker, date) values ('B', '2024-01-02'), ('B', '2024-01-02')",
      "insert into realtime_data(ticker, timestamp, type) values ('A', '2024-01-02 10:00:01', 'trade')",
    ]) {
      expect(await run(sql, [], "write")).toMatchObject({ status: "error", httpStatus: 400 });
    }
    expect(
      await run("insert into daily_prices(ticker, date) values ('A', '2024-01-03')", [], "write"),
    ).toMatchObject({ status: "rows" });
  });

  test("rules that are in a file hold for saves, and for the save at fault alone", async () => {
    await db.close();
    await changeDuckDbFile(path(), "create unique index one_price on realtime_data(price)");
    db = await open();
    const outcomes = await db.writer.commit([tick(1, 1), tick(1, 2), tick(2, 3)]);
    expect(outcomes.map((outcome) => outcome?.ok)).toEqual([true, false, true]);
    expect(outcomes[1]).toMatchObject({ status: 409 });
    expect(await rows("select price from realtime_data order by price")).toBe('[{"price":1},{"price":2}]');
  });

  test("rows that users wrote are seen by the next save", async () => {
    await db.writer.commit([tick(1)]);
    await run(
      "insert into realtime_data(ticker, timestamp, type, price, size) values ('A', '2024-01-02 10:00:09', 'trade', 9, 1)",
      [],
      "write",
    );
    expect(
      await rows("select count(write_timestamp) as stamped from realtime_data where price = 9"),
    ).toContain('"stamped":1');
    expect(await db.writer.commit([tick(9, 9)])).toMatchObject([{ ok: true, stored: 0 }]);
    expect(await db.writer.commit([tick(8, 9)])).toMatchObject([{ ok: true, stored: 1 }]);
  });
});

test.each<SqlMode>(["read", "write"])("what is refused has no effect in %s mode", async (mode) => {
  const files = readdirSync(folder).sort();
  const other = join(folder, "other.duckdb");
  for (const sql of [
    `attach '${other}' as o`,
    "attach ':memory:' as o",
    "detach stock",
    `copy t to '${join(folder, "t.csv")}'`,
    `copy (select 1) to '${join(folder, "stock.duckdb.wal")}'`,
    `export database '${folder}'`,
    "select * from read_csv('/etc/passwd')",
    "select * from '/etc/passwd'",
    "from read_text('/etc/passwd')",
    `from read_blob('${join(folder, "stock.duckdb")}')`,
    "install json",
    "load json",
    "set threads = 1",
    "set global memory_limit = '1MB'",
    "reset threads",
    "set variable x = 1",
    "pragma enable_profiling",
    "call pragma_version()",
    "checkpoint",
    "force checkpoint",
    "select * from checkpoint()",
    "from query /* */ ('select 1')",
    `from "query"('select 1')`,
    "from force_checkpoint()",
    "from query\u200b('select 1')",
    "from query --\r('select ' || '1')",
    "select * from checkpoint\u200b()",
    `from sniff_csv('${join(folder, "stock.duckdb")}')`,
    `from read_csv('${join(folder, "stock.duckdb.wal")}')`,
    "create\u200btemp table x(a int)",
    "from enable_logging(storage = 'file', storage_path = '/tmp/nope')",
    "begin",
    "commit",
    "rollback",
    "use main",
    "prepare p as select 1",
    "create temp table x(a int)",
    "create or replace temporary view x as select 1",
    "create secret (type s3)",
    "select 1; delete from t",
    "delete from t; select 1",
    "",
    "-- delete from t",
    "select 1 \0; drop table t",
  ]) {
    expect({ sql, ...(await run(sql, [], mode)) }).toMatchObject({ sql, status: "error", httpStatus: 400 });
  }
  expect(await count()).toBe('[{"n":2}]');
  expect(readdirSync(folder).sort()).toEqual(files);
});

test("mistakes are 400 with DuckDB's own words", async () => {
  expect(await run("selct 1")).toMatchObject({
    httpStatus: 400,
    error: 'execute_sql: syntax error at or near "selct"',
  });
  expect(await run("select nope from t")).toMatchObject({ httpStatus: 400 });
  expect(await run("select error('boom') from t")).toMatchObject({
    httpStatus: 400,
    error: "execute_sql: boom",
  });
});
