/**
 * What SQL of users may do to a file of the server: nothing to its tables but change rows of the
 * three that hold prices.
 */
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { UserSqlEngine, UserSqlOutcome } from "../user-sql-contract.ts";
import { createSqliteUserSql } from "./user-sql.ts";
import { StatementCheck, type StatementKind } from "./user-sql-check.ts";
import { readStatement } from "./user-sql-statement.ts";
import { SqliteWriter } from "./writer.ts";

const DATA = ["daily_prices", "hourly_prices", "realtime_data"];
const BOOKS = ["daily_checkpoints", "update_log", "update_log_index", "update_positions", "update_log_state"];

let folder = "";
let path = "";
let writer: SqliteWriter;
let engine: UserSqlEngine;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "user-sql-check-"));
  path = join(folder, "stock.db");
  writer = new SqliteWriter(path, "normal", null);
  engine = createSqliteUserSql({ path, durability: "normal" });
  for (const sql of [
    "create table own (id integer primary key autoincrement, ticker text)",
    "create view own_view as select ticker from own",
    "insert into own (ticker) values ('A')",
    "analyze",
  ])
    expect(raw(sql)).toMatchObject({ status: "rows" });
});

afterAll(() => {
  engine.close();
  writer.close();
  rmSync(folder, { recursive: true });
});

/** As execute_sql does: reading first, then writing. */
function raw(sql: string): UserSqlOutcome {
  const request = { sql, params: [], maxRows: 1_000 };
  const read = engine.run({ ...request, mode: "read" }, () => {});
  return read.status === "needs-write" ? engine.run({ ...request, mode: "write" }, () => {}) : read;
}

function contents(): string {
  using db = new Database(path, { readonly: true });
  const rows = [...DATA, ...BOOKS, "own", "sqlite_sequence", "sqlite_stat1", "sqlite_schema"].map((table) => [
    table,
    db.query(`SELECT * FROM ${table}`).values(),
  ]);
  return JSON.stringify([rows, db.query("PRAGMA user_version").values()]);
}

describe("refused, and nothing has happened", () => {
  const everywhere = [...DATA, ...BOOKS].flatMap((table) => [
    `drop table ${table}`,
    `drop table if exists main."${table.toUpperCase()}"`,
    `alter table ${table} rename to moved`,
    `alter table [${table}] rename column ticker to t`,
    `alter table ${table} add column g`,
    `alter table ${table} add column g as (length(hex(zeroblob(400000000))))`,
    `alter table ${table} drop column seq`,
    `create trigger evil after insert on ${table} begin select 1; end`,
    `create trigger main.evil before update on "${table}" begin select raise(rollback, 'no'); end`,
    `create trigger if not exists evil instead of delete on ${table} begin select 1; end`,
    `create temp trigger evil after insert on main.${table} begin select 1; end`,
    `create trigger temp.evil after insert on main.${table} begin select 1; end`,
    `create index evil on ${table} (1)`,
    `create unique index if not exists main.evil on ${table} (rowid)`,
    `create index evil on ${table} (length(hex(zeroblob(150000000))))`,
    `create table temp.${table} (x)`,
    `create temp view ${table} as select 1`,
    `create view temp.${table} as select 1`,
    `create table child (x references ${table} on delete cascade on update cascade)`,
    `create table child (x, foreign key (x) references "${table.toUpperCase()}" (ticker))`,
    `alter table own add column parent references ${table} on delete cascade`,
  ]);
  const books = BOOKS.flatMap((table) => [
    `delete from ${table}`,
    `insert into ${table} default values`,
    `update ${table} set rowid = 1`,
    `replace into main.${table} select * from ${table}`,
    `with x as (select 1) delete from ${table}`,
    `insert or ignore into "${table.toUpperCase()}" select * from ${table} returning *`,
  ]);
  const others = [
    "drop trigger daily_checkpoints_insert",
    "drop trigger if exists main.DAILY_CHECKPOINTS_UPDATE",
    "delete from sqlite_sequence",
    "update sqlite_sequence set seq = 9223372036854775807",
    "update sqlite_stat1 set stat = '1 1'",
    "insert into sqlite_stat1 values ('realtime_data', null, '9 9 9')",
    "drop table sqlite_stat1",
    "update sqlite_schema set sql = 'x'",
    "insert into sqlite_master values ('table', 'a', 'a', 2, 'create table a(x)')",
    "delete from sqlite_master where name = 'daily_prices'",
    "create virtual table realtime using fts5(x)",
    "create virtual table 'Update_Log' using fts5(x)",
    "pragma user_version = 9",
    "pragma main.schema_version = 9",
    "pragma recursive_triggers = 1",
    "pragma writable_schema = 1",
    "pragma 'writable_schema'(reset)",
    "pragma legacy_alter_table = 1",
    "pragma application_id = 5",
    "pragma auto_vacuum(1)",
    "pragma journal_mode(delete)",
    "pragma wal_autocheckpoint = 0",
    "pragma foreign_keys = 1",
    "pragma ignore_check_constraints = 1",
    "pragma defer_foreign_keys = 1",
    "pragma cell_size_check = 0",
    "pragma trusted_schema = 1",
    "pragma mmap_size = 1",
    "pragma nonsense",
    "explain pragma journal_mode = delete",
    "explain attach 'x.db' as x",
    "explain drop table daily_prices",
    "/**/attach/**/'x.db' as x",
    "attach database char(120) as x",
    "detach main",
    "end",
    "end transaction",
    "release s",
    "select \"load_extension\" /**/ ('x')",
    "select ticker from own where [LOAD_EXTENSION]('x')",
    "create view evil as select 1; drop table daily_prices",
  ];
  test.each([...everywhere, ...books, ...others])("%s", (sql) => {
    const before = contents();
    const files = readdirSync(folder).sort();
    expect(raw(sql)).toMatchObject({ status: "error", httpStatus: 400 });
    expect(contents()).toBe(before);
    expect(readdirSync(folder).sort()).toEqual(files);
    expect(writer.isEmpty()).toBe(true);
  });

  test("the reason names what is refused", () => {
    const reasons: [sql: string, reason: string][] = [
      ["drop table daily_prices", "DROP TABLE daily_prices is not allowed: the table is the server's"],
      ["delete from update_log", "writing to update_log is not allowed: the server keeps its books in it"],
      ["create index i on realtime_data (ticker)", "CREATE INDEX on realtime_data is not allowed"],
      ["begin immediate", "BEGIN is not allowed: each request is one transaction of its own"],
      ["savepoint s", "SAVEPOINT is not allowed"],
      ["pragma user_version = 3", "PRAGMA user_version with a value is not allowed"],
      ["attach 'x' as x", "ATTACH is not allowed"],
      [
        "create table child (x references daily_prices)",
        "a foreign key of child to daily_prices is not allowed",
      ],
    ];
    for (const [sql, reason] of reasons)
      expect([sql, raw(sql)]).toEqual([
        sql,
        expect.objectContaining({ error: expect.stringContaining(reason) }),
      ]);
  });

  test("a trigger of the user's own tables that writes the books is refused when it would", () => {
    expect(
      raw("create trigger own_t after insert on own begin delete from update_log_state; end"),
    ).toMatchObject({
      status: "rows",
    });
    const before = contents();
    expect(raw("insert into own (ticker) values ('B')")).toMatchObject({ httpStatus: 400 });
    expect(contents()).toBe(before);
    expect(raw("drop trigger own_t")).toMatchObject({ status: "rows" });
  });
});

describe("let through", () => {
  test.each([
    "insert into daily_prices (ticker, date, close) values ('R', '2020-01-01', 1), ('R', '2020-01-02', 2)",
    "update daily_prices set close = 3 where ticker = 'R'",
    "delete from daily_prices where ticker = 'R'",
    "insert into hourly_prices (ticker, datetime, close) values ('R', '2020-01-01 00:00:00', 1) returning *",
    "delete from hourly_prices",
    "insert into realtime_data (ticker, type, timestamp, price) values ('R', 'trade', '2020-01-01', 1)",
    "with x as (select 'R' as t) delete from realtime_data where ticker in (select t from x)",
    "select * from update_log, update_positions, sqlite_schema",
    "explain query plan delete from daily_prices",
    "create table notes (id integer primary key autoincrement, ticker text, closes as (id + 1))",
    "create index notes_by_ticker on notes (lower(ticker))",
    "create trigger notes_t after insert on notes begin update daily_prices set close = 1 where ticker = new.ticker; end",
    "insert into notes (ticker) values ('R')",
    "alter table notes rename column ticker to symbol",
    "alter table notes rename to jottings",
    "create table child (x references jottings on delete cascade)",
    "create view closes as select ticker, date, close from daily_prices",
    "select * from closes",
    "drop view closes",
    "drop table child",
    "drop index notes_by_ticker",
    "drop table jottings",
    "create virtual table words using fts5(x)",
    "insert into words values ('a b')",
    "select * from words where words match 'a'",
    "drop table words",
    "pragma table_info(daily_prices)",
    "pragma integrity_check",
    "select * from pragma_table_list",
    "analyze",
    "reindex",
    "vacuum",
    "vacuum main",
  ])("%s", (sql) => {
    expect(raw(sql)).toMatchObject({ status: "rows" });
  });

  test("what another program has hung on the server's tables may be taken away", () => {
    using other = new Database(path, { readwrite: true });
    other.run("PRAGMA busy_timeout = 5000");
    other.run("CREATE INDEX foreign_i ON realtime_data (price)");
    other.run("CREATE TRIGGER foreign_t AFTER INSERT ON realtime_data BEGIN SELECT 1; END");
    expect(raw("drop index foreign_i")).toMatchObject({ status: "rows" });
    expect(raw("drop trigger foreign_t")).toMatchObject({ status: "rows" });
  });
});

test("a schema that others change is known at once, to every kind of statement", () => {
  using other = new Database(path, { readwrite: true });
  other.run("PRAGMA busy_timeout = 5000");
  for (let round = 0; round < 3; round++) {
    expect(raw("select 1")).toMatchObject({ status: "rows" });
    other.run("CREATE TABLE zz (a)");
    expect(raw("create index zi on zz (a)")).toMatchObject({ status: "rows" });
    expect(raw("create index zi on zz (a)")).toMatchObject({ error: "execute_sql: index zi already exists" });
    other.run("DROP INDEX zi");
    expect(raw("create index zi on zz (a)")).toMatchObject({ status: "rows" });
    expect(raw("create table zz (a)")).toMatchObject({ error: "execute_sql: table zz already exists" });
    other.run("DROP TABLE zz");
    expect(raw("select * from zz")).toMatchObject({ error: "execute_sql: no such table: zz" });
  }
});

describe("kinds", () => {
  const kinds: [sql: string, kind: StatementKind][] = [
    ["select 1", "query"],
    ["VALUES (1)", "query"],
    ["explain query plan delete from own", "query"],
    ["select attach, vacuum from (select 1 attach, 2 vacuum)", "query"],
    ["insert into own values (1, 2) returning *", "write"],
    ["with x as (select 1 i) insert into own select i, i from x", "write"],
    ["create table t(a)", "write"],
    ["analyze", "write"],
    ["reindex", "write"],
    ["vacuum", "maintenance"],
    ["pragma wal_checkpoint(truncate)", "maintenance"],
    ["pragma optimize", "maintenance"],
    ["pragma table_info = own", "pragma"],
    ["PRAGMA main.table_info('own')", "pragma"],
    ['pragma "journal_mode"', "pragma"],
    ["pragma user_version", "pragma"],
  ];
  test.each(kinds)("%s is a %s", (sql, kind) => {
    const check = new StatementCheck(path, 1000);
    expect(check.check(readStatement(sql))?.kind).toBe(kind);
    check.close();
  });
});
