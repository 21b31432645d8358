import { describe, expect, test } from "bun:test";
import { readStatement, type StatementKind } from "./user-sql-statement.ts";

describe("finding the one statement", () => {
  const TRIGGER =
    "create trigger g after insert on t begin update t set b = case when 1 then 2 end; select ';'; end";
  const whole: [sql: string, text: string][] = [
    ["select 1", "select 1"],
    ["  ;; select 1 ;; -- end ; of it", "select 1"],
    [
      "/* one; two */ select ';' as \"a;b\", `c;d`, [e;f] from t -- ;\n;",
      "select ';' as \"a;b\", `c;d`, [e;f] from t",
    ],
    ["select 'it''s; fine'", "select 'it''s; fine'"],
    ["\ufeffselect 1", "select 1"],
    ["select 1 /* not closed; select 2", "select 1"],
    [`${TRIGGER};`, TRIGGER],
    [`explain ${TRIGGER}`, `explain ${TRIGGER}`],
    ["select 'not closed; select 2", "select 'not closed; select 2"],
  ];
  test.each(whole)("%j", (sql, text) => {
    expect(readStatement(sql).text).toBe(text);
  });

  const several = [
    "select 1; select 2",
    "select 1;x",
    "select ';'; select 2",
    "create table t(a); drop table t",
    "select 1 -- c\n; drop table t",
    "select case when 1 then 2 end; select 2",
    `${TRIGGER}; select 1`,
  ];
  test.each(several)("%j is more than one", (sql) => {
    expect(() => readStatement(sql)).toThrow("one statement per request");
  });

  test.each(["", "  ", ";", "-- nothing", "/* nothing */ ;", "\n\t"])("%j is none", (sql) => {
    expect(() => readStatement(sql)).toThrow("no statement");
  });

  test("a NUL would hide what is behind it", () => {
    expect(() => readStatement("select 1\0; drop table t")).toThrow("NUL");
  });

  test("megabytes of text are read in a moment", () => {
    const long = "x''".repeat(1_000_000);
    expect(readStatement(`select '${long}'`).text.length).toBe(long.length + 9);
  });
});

describe("judging it", () => {
  const kinds: [sql: string, kind: StatementKind][] = [
    ["select 1", "query"],
    ["VALUES (1)", "query"],
    ["with x as (select 1) insert into t select * from x", "query"],
    ["explain query plan delete from t", "query"],
    ["selct 1", "query"],
    ["(select 1)", "query"],
    ["select attach, vacuum, into from t", "query"],
    ["insert into t values (1) returning *", "write"],
    ["REPLACE into t values (1)", "write"],
    ["update t set a = 1", "write"],
    ["delete from t", "write"],
    ["create table t(a)", "write"],
    ["create index if not exists i on t(a)", "write"],
    ["drop table t", "write"],
    ["alter table t add b", "write"],
    ["analyze", "write"],
    ["reindex", "write"],
    ["vacuum", "maintenance"],
    ["pragma wal_checkpoint(truncate)", "maintenance"],
    ["pragma optimize", "maintenance"],
    ["pragma table_info(t)", "pragma"],
    ["pragma table_info = t", "pragma"],
    ["PRAGMA main.table_info('t')", "pragma"],
    ["pragma user_version", "pragma"],
    ['pragma "journal_mode"', "pragma"],
    ["pragma integrity_check", "pragma"],
  ];
  test.each(kinds)("%j is a %s", (sql, kind) => {
    expect(readStatement(sql).kind).toBe(kind);
  });

  const refused: [sql: string, reason: string][] = [
    ["attach 'x.db' as x", "ATTACH is not allowed"],
    ["/**/ DETACH x", "DETACH is not allowed"],
    ["explain attach 'x.db' as x", "ATTACH is not allowed"],
    ["begin", "BEGIN is not allowed"],
    ["commit", "COMMIT is not allowed"],
    ["end", "END is not allowed"],
    ["rollback", "ROLLBACK is not allowed"],
    ["savepoint s", "SAVEPOINT is not allowed"],
    ["release s", "RELEASE is not allowed"],
    ["vacuum into 'x.db'", "VACUUM INTO is not allowed"],
    ["vacuum main /* */ into 'x.db'", "VACUUM INTO is not allowed"],
    ["select load_extension('x')", "load_extension is not allowed"],
    ["select \"LOAD_extension\" /* */ ('x')", "load_extension is not allowed"],
    ["pragma writable_schema = 1", "PRAGMA writable_schema is not allowed"],
    ["pragma journal_mode = delete", "PRAGMA journal_mode with a value is not allowed"],
    ["pragma journal_mode(delete)", "PRAGMA journal_mode with a value is not allowed"],
    ["pragma main.journal_mode = delete", "PRAGMA journal_mode with a value is not allowed"],
    ["pragma 'journal_mode' = delete", "PRAGMA journal_mode with a value is not allowed"],
    ["pragma locking_mode = exclusive", "PRAGMA locking_mode is not allowed"],
    ["pragma user_version = 3", "PRAGMA user_version with a value is not allowed"],
    ["pragma query_only = 0", "PRAGMA query_only with a value is not allowed"],
    ["pragma temp_store_directory = '/'", "PRAGMA temp_store_directory is not allowed"],
    ["pragma nonsense", "PRAGMA nonsense is not allowed"],
    ["pragma", "PRAGMA  is not allowed"],
    ["explain pragma journal_mode = delete", "EXPLAIN PRAGMA is not allowed"],
    ["create temp table t(a)", "CREATE TEMP is not allowed"],
    ["create temporary view v as select 1", "CREATE TEMP is not allowed"],
    ["create table if not exists temp.t(a)", "CREATE TEMP is not allowed"],
    ['create table "temp".t(a)', "CREATE TEMP is not allowed"],
  ];
  test.each(refused)("%j is refused", (sql, reason) => {
    expect(() => readStatement(sql)).toThrow(reason);
  });
});
