import { describe, expect, test } from "bun:test";
import { readStatement } from "./user-sql-statement.ts";

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

describe("its first word", () => {
  const words: [sql: string, firstWord: string, isExplained: boolean][] = [
    ["select 1", "SELECT", false],
    ["/* a */ -- b\n insert into t values (1)", "INSERT", false],
    ["explain delete from t", "DELETE", true],
    ["explain query plan vacuum", "VACUUM", true],
    ["(select 1)", "", false],
    ["vacuum", "VACUUM", false],
    ["vacuum MAIN", "VACUUM", false],
  ];
  test.each(words)("of %j is %j", (sql, firstWord, isExplained) => {
    expect(readStatement(sql)).toMatchObject({ firstWord, isExplained });
  });

  test.each([
    "vacuum into 'x.db'",
    "vacuum main /* */ into 'x.db'",
    "vacuum\ninto('x.db')",
    "explain vacuum into 'x.db'",
    "vacuum \"main\" into 'x.db'",
    "vacuum temp",
  ])("%j is refused", (sql) => {
    expect(() => readStatement(sql)).toThrow("VACUUM INTO is not allowed");
  });
});
