import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SqlMode, SqlParam, UserSqlEngine, UserSqlOutcome } from "../user-sql-contract.ts";
import { createSqliteUserSql } from "./user-sql.ts";

let folder = "";
let owner: Database;
let engine: UserSqlEngine;
let commits = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "user-sql-"));
  const path = join(folder, "stock.db");
  owner = new Database(path);
  owner.run("PRAGMA journal_mode = WAL");
  owner.run("CREATE TABLE t(id INTEGER PRIMARY KEY, price REAL, name TEXT, data BLOB)");
  owner.run("INSERT INTO t VALUES (1, 1.5, 'a', x'00ff'), (9007199254740993, 2.0, null, null)");
  engine = createSqliteUserSql({ path, durability: "full" });
  commits = 0;
});

afterEach(() => {
  engine.close();
  owner.close(true);
  rmSync(folder, { recursive: true });
});

function run(sql: string, params: SqlParam[] = [], mode: SqlMode = "read", maxRows = 100): UserSqlOutcome {
  return engine.run({ sql, params, mode, maxRows }, () => commits++);
}

function textOf(outcome: UserSqlOutcome): string {
  if (outcome.status !== "rows") throw new Error(JSON.stringify(outcome));
  const text = Buffer.concat(outcome.parts).toString();
  expect(Buffer.byteLength(text)).toBe(outcome.bytes);
  expect((JSON.parse(text) as unknown[]).length).toBe(outcome.rows);
  return text;
}

const rows = (sql: string, params: SqlParam[] = []): string => textOf(run(sql, params));
const count = (): unknown => owner.query("SELECT count(*) AS n FROM t").get();

describe("values", () => {
  test("integers keep 64 bits, also beside NULL; REAL, TEXT, NULL and BLOB their types", () => {
    expect(rows("select * from t")).toBe(
      '[{"id":1,"price":1.5,"name":"a","data":"AP8="},{"id":9007199254740993,"price":2,"name":null,"data":null}]',
    );
    expect(rows("select 9223372036854775807 a, -9223372036854775808 b")).toBe(
      '[{"a":9223372036854775807,"b":-9223372036854775808}]',
    );
  });

  test("what isn't finite is null", () => {
    expect(rows("select 9e999 a, -9e999 b, 1e300 c, 1e-7 d")).toBe(
      '[{"a":null,"b":null,"c":1e+300,"d":1e-7}]',
    );
  });

  test("of columns with one name the last is kept; odd names are names", () => {
    expect(JSON.parse(rows("select 1 as a, 2 as b, 3 as a"))).toEqual([{ a: 3, b: 2 }]);
    expect(rows(`select 1 as "q""u\\o", 2 as "__proto__", 3 as ""`)).toBe(
      '[{"q\\"u\\\\o":1,"__proto__":2,"":3}]',
    );
  });

  test("text of any kind is JSON", () => {
    const odd = 'é "quoted" \\ \n \u2028 😀';
    expect(JSON.parse(rows("select ? as a, char(0, 1) as b", [odd]))).toEqual([{ a: odd, b: "\0\u0001" }]);
  });

  test("no rows, or a statement that has none, is an empty list", () => {
    expect(rows("select * from t where 0")).toBe("[]");
    expect(textOf(run("delete from t where 0", [], "write"))).toBe("[]");
  });
});

describe("parameters", () => {
  test.each(["?,?,?", "?1,?2,?3", ":a,:b,:c", "@a,@b,@c", "$a,$b,$c", ":a,?,@c"])(
    "%s take the list in order",
    (list) => {
      const [x, y, z] = list.split(",");
      expect(rows(`select ${x} as x, ${y} as y, ${z} as z`, [1, "two", null])).toBe(
        '[{"x":1,"y":"two","z":null}]',
      );
    },
  );

  test("keep their value and type", () => {
    expect(
      rows("select ? a, ? b, ? c, ? d, typeof(?1) e, typeof(?2) f", [9007199254740993n, 1.5, true, false]),
    ).toBe('[{"a":9007199254740993,"b":1.5,"c":1,"d":0,"e":"integer","f":"real"}]');
  });

  test.each([[[]], [[1]], [[1, 2, 3]]])("%j for two are refused with both counts", (params) => {
    const outcome = run("select ?, ?", params);
    expect(outcome).toMatchObject({ status: "error", httpStatus: 400 });
    expect(JSON.stringify(outcome)).toContain(`expects 2 parameters, got ${params.length}`);
  });

  test("none are expected, one is given", () => {
    expect(JSON.stringify(run("select 1", [1]))).toContain("expects 0 parameters, got 1");
    expect(JSON.stringify(run("delete from t where id = ?", []))).toContain("expects 1 parameter, got 0");
  });
});

describe("limits", () => {
  const NUMBERS = "with recursive c(x) as (select 1 union all select x + 1 from c where x < ?) ";

  test("as many rows as allowed are answered, one more is refused", () => {
    expect(run(`${NUMBERS}select x from c`, [100])).toMatchObject({ status: "rows", rows: 100 });
    const outcome = run(`${NUMBERS}select x from c`, [101]);
    expect(outcome).toMatchObject({ status: "error", httpStatus: 400 });
    expect(JSON.stringify(outcome)).toContain("query returned more than 100 rows");
  });

  test("too many rows of a writing statement undo it", () => {
    const outcome = run(`insert into t(id) ${NUMBERS} select 1000 + x from c returning id`, [101], "write");
    expect(outcome).toMatchObject({ status: "error", httpStatus: 400 });
    expect(count()).toEqual({ n: 2 });
  });

  test("more bytes than an answer may have are refused", () => {
    expect(JSON.stringify(run("select zeroblob(300000000) as z"))).toContain("more than 256 MB");
  });
});

describe("reading mode", () => {
  const writing = [
    "insert into t(id) values (5)",
    "insert into t(id) values (5) returning *",
    "with x as (select 5 as i) insert into t(id) select i from x",
    "with x as (select 5 as i) insert into t(id) select i from x returning *",
    "update t set name = 'b'",
    "delete from t",
    "replace into t(id) values (1)",
    "create table n(a)",
    "create view v as select 1",
    "create trigger g after insert on t begin delete from t; end",
    "drop table t",
    "alter table t add column c",
    "analyze",
    "reindex",
    "vacuum",
    "pragma optimize",
    "pragma wal_checkpoint",
  ];
  test.each(writing)("%j needs to write, and has done nothing", (sql) => {
    const before = owner.serialize();
    expect(run(sql)).toEqual({ status: "needs-write" });
    expect(owner.serialize().equals(before)).toBe(true);
  });

  test("explaining a writing statement only reads", () => {
    expect(run("explain query plan delete from t")).toMatchObject({ status: "rows" });
    expect(count()).toEqual({ n: 2 });
  });

  test("a mistake in a writing statement is told at once", () => {
    expect(run("insert into nope values (1)")).toMatchObject({
      status: "error",
      httpStatus: 400,
      error: "execute_sql: no such table: nope",
    });
  });

  test("sees what others have committed, and leaves nothing open", () => {
    rows("select * from t");
    owner.run("INSERT INTO t(id) VALUES (7)");
    expect(rows("select count(*) n from t")).toBe('[{"n":3}]');
    run("select nope from t");
    run("select x from (select 1 as x union select 2) ", [], "read", 1);
    owner.run("DROP TABLE t");
    owner.run("VACUUM");
  });

  test("a changed table shows its new columns", () => {
    rows("select * from t");
    owner.run("ALTER TABLE t ADD COLUMN extra DEFAULT 4");
    expect(rows("select * from t where id = 1")).toContain('"extra":4');
  });
});

describe("writing mode", () => {
  test("commits one statement, and says so before", () => {
    expect(textOf(run("insert into t(id) values (?) returning id", [5n], "write"))).toBe('[{"id":5}]');
    expect(commits).toBe(1);
    expect(count()).toEqual({ n: 3 });
  });

  test("a failed statement changes nothing", () => {
    const outcome = run("insert into t(id) values (5), (1)", [], "write");
    expect(outcome).toMatchObject({ httpStatus: 400, error: "execute_sql: UNIQUE constraint failed: t.id" });
    expect(run("insert or rollback into t(id) values (5), (1)", [], "write")).toMatchObject({
      httpStatus: 400,
    });
    expect(commits).toBe(0);
    expect(count()).toEqual({ n: 2 });
  });

  test.each(["vacuum", "pragma wal_checkpoint(truncate)", "pragma optimize", "analyze", "reindex"])(
    "%s works",
    (sql) => {
      expect(run(sql, [], "write").status).toBe("rows");
    },
  );

  test("tables, triggers and indexes can be made", () => {
    for (const sql of [
      "create table n(a)",
      "create trigger g after insert on n begin insert into t(id) values (new.a); delete from n; end;",
      "create index i on t(name)",
      "insert into n values (77)",
    ])
      expect(run(sql, [], "write").status).toBe("rows");
    expect(owner.query("SELECT name, price FROM t WHERE id = 77").get()).toEqual({ name: null, price: null });
  });

  test("a lock held by somebody else is 503, after a bounded wait", () => {
    owner.run("BEGIN IMMEDIATE");
    const outcome = run("delete from t", [], "write");
    owner.run("ROLLBACK");
    expect(outcome).toMatchObject({ status: "error", httpStatus: 503 });
    expect(run("delete from t", [], "write").status).toBe("rows");
  }, 15_000);
});

test.each<SqlMode>(["read", "write"])("what is refused has no effect in %s mode", (mode) => {
  const before = owner.serialize();
  const files = readdirSync(folder).sort();
  const other = join(folder, "other.db");
  for (const sql of [
    `attach '${other}' as o`,
    `vacuum into '${other}'`,
    `vacuum main into '${other}'`,
    "detach main",
    "select load_extension('libc.so.6')",
    "pragma writable_schema = 1",
    "pragma journal_mode = delete",
    "pragma locking_mode = exclusive",
    "pragma user_version = 9",
    "explain pragma user_version = 9",
    "begin",
    "begin exclusive",
    "commit",
    "rollback",
    "savepoint s",
    "release s",
    "create temp table x(a)",
    "select 1; delete from t",
    "delete from t; select 1",
    "",
    "-- delete from t",
  ])
    expect(run(sql, [], mode)).toMatchObject({ status: "error", httpStatus: 400 });
  expect(commits).toBe(0);
  expect(readdirSync(folder).sort()).toEqual(files);
  expect(owner.serialize().equals(before)).toBe(true);
  owner.run("INSERT INTO t(id) VALUES (8)");
});

describe("mistakes are 400 with SQLite's own words", () => {
  test.each([
    ["selct 1", 'near "selct": syntax error'],
    ["select nope from t", "no such column: nope"],
    ["select * from nope", "no such table: nope"],
    ["select abs(-9223372036854775808)", "integer overflow"],
    ["select json('{')", "malformed JSON"],
  ])("%s", (sql, words) => {
    expect(run(sql)).toMatchObject({ status: "error", httpStatus: 400, error: `execute_sql: ${words}` });
  });
});

test("a missing file is 503 and not created", () => {
  const path = join(folder, "missing.db");
  const other = createSqliteUserSql({ path, durability: "full" });
  for (const mode of ["read", "write"] as const)
    expect(other.run({ sql: "select 1", params: [], mode, maxRows: 1 }, () => {})).toMatchObject({
      httpStatus: 503,
    });
  expect(readdirSync(folder)).not.toContain("missing.db");
});
