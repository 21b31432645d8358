import { beforeEach, describe, expect, test } from "bun:test";
import { loadParser } from "./sql-parser.ts";
import {
  readStatement as readStatementOf,
  type Statement,
  type StatementKind,
} from "./user-sql-statement.ts";

beforeEach(loadParser);

function readStatement(sql: string, given: number): Statement {
  return readStatementOf(sql, given, "public");
}

function refusal(sql: string, given = 0): string {
  try {
    readStatement(sql, given);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error(`${sql} was accepted`);
}

describe("the one statement is found", () => {
  test.each([
    ["select 1", "select 1"],
    ["  ; /* a /* nested */ ; comment */ select 1 ; -- the end; really", "select 1"],
    ["select ';' || E'\\';' || U&'x' || $$;$$ || $a$ $$; $a$ as \";\"", undefined],
    ["select '\\'; -- a backslash is no escape here", "select '\\'"],
    ["select 'it''s; fine'", "select 'it''s; fine'"],
    ["select a$b$c from t", "select a$b$c from t"],
    ["select 1 -- ; drop table t\r + 1", "select 1 -- ; drop table t\r + 1"],
    ["select U&'d\\0061t', u & \"a\"", "select U&'d\\0061t', u & \"a\""],
    [
      "create function f() returns int begin atomic select case when true then 1 end; select 2; end",
      undefined,
    ],
  ])("%s", (sql, text) => {
    expect(readStatement(sql, 0).text).toBe(text ?? sql);
  });

  test.each([
    "select 1; select 2",
    "select 1; -- x\n drop table t",
    "select 1 -- x\r; drop table t",
    "select '\\'; drop table t; --'",
    "select $a$ $b$ $a$; drop table t",
    "select 1 /* /* */ ; */; drop table t",
    'select "a"; drop table t; --"',
    "select E'\\\\'; drop table t; --'",
  ])("%s is more than one", (sql) => {
    expect(refusal(sql)).toContain("more than one");
  });

  test.each(["", ";", "  -- nothing", "/* nothing */ ;;"])("%j is none", (sql) => {
    expect(refusal(sql)).toBe("execute_sql: the SQL holds no statement");
  });

  test("a NUL is refused", () => {
    expect(refusal("select 1\0; drop table t")).toContain("NUL");
  });
});

test.each<[string, StatementKind]>([
  ["select 1", "query"],
  ["(select 1) union select 2", "query"],
  ["values (1)", "query"],
  ["table t", "query"],
  ["with x as (select 1) select * from x", "query"],
  ["with x as (insert into t values (1) returning *) select * from x", "query"],
  ["select * into n from t", "write"],
  ["select (select 1 into_it) from t", "query"],
  ["show work_mem", "report"],
  ["explain analyze delete from t", "report"],
  ["insert into t values (1)", "write"],
  ["merge into t using s on true when matched then delete", "write"],
  ["truncate t", "write"],
  ["create or replace view v as select 1", "write"],
  ["alter table t alter column size type numeric", "write"],
  ["do $$ begin perform 1; end $$", "procedure"],
  ["call p(1)", "procedure"],
  ["vacuum (analyze) t", "maintenance"],
  ["create index concurrently i on t (a)", "concurrent"],
])("%s is a %s", (sql, kind) => {
  expect(readStatement(sql, 0).kind).toBe(kind);
});

test.each([
  ["begin", "each request is one transaction"],
  ["Commit", "each request is one transaction"],
  ["set search_path = x", "settings of the database"],
  ["reset all", "settings of the database"],
  ["select set_config('statement_timeout', '0', false)", "settings of the database"],
  ["select \"set_config\"('a', 'b', false)", "settings of the database"],
  ["select pg_catalog.set_config('a', 'b', false)", "settings of the database"],
  ["prepare p as select 1", "nothing of a request outlasts it"],
  ["declare c cursor for select 1", "nothing of a request outlasts it"],
  ["listen x", "nothing of a request outlasts it"],
  ["select pg_advisory_lock (1)", "nothing of a request outlasts it"],
  ["copy t to '/tmp/x'", "files"],
  ["copy t from program 'id'", "files"],
  ["select pg_read_file('/etc/passwd')", "files"],
  ["select * from pg_ls_dir('/')", "files"],
  ["select lo_import('/etc/passwd')", "files"],
  ["create database x", "administration"],
  ["drop role x", "administration"],
  ["alter system set fsync = off", "administration"],
  ["create extension plpython3u", "administration"],
  ["create or replace trusted procedural language x", "administration"],
  ["select pg_terminate_backend(1)", "administration"],
  ["select 1 --\r, pg_read_file('/etc/passwd')\n as x", "files"],
  ["select 1 --\r\n, pg_read_file('/etc/passwd')", "files"],
  ["select 1 as a\u00a0$$, pg_read_file('/etc/passwd') as b\u00a0$$", "files"],
  ["select 1 as \u00a0$$, pg_read_file('/etc/passwd') as \u00a0$$", "files"],
  ["select pg_read_file /* , */ -- (\r ('/etc/passwd')", "files"],
  ["select U&\"pg\\005fread_file\"('/etc/passwd')", "files"],
  ["select u&\"pg!005fread_file\" uescape '!' ('/etc/passwd')", "files"],
  ["select query_to_xml('select 1', true, false, '')", "runs a text as SQL"],
  ["select pg_catalog.query_to_xml_and_xmlschema('select 1', true, false, '')", "runs a text as SQL"],
  ["select cursor_to_xml('user_rows', 1, true, false, '')", "runs a text as SQL"],
  ["select table_to_xml('t', true, false, '')", "runs a text as SQL"],
  ["select database_to_xml(true, false, '')", "runs a text as SQL"],
  ["select * from ts_stat('select a from t')", "runs a text as SQL"],
  ["select ts_rewrite('a'::tsquery, 'select a, b from t')", "runs a text as SQL"],
  ["select * from dblink('dbname=x', 'select 1') as t(a int)", "only the server's own database"],
  ["select pg_advisory_xact_lock(1)", "nothing of a request outlasts it"],
  ["select pg_create_physical_replication_slot('x')", "administration"],
  ["select * from pg_hba_file_rules", "files"],
  ["select rolpassword from pg_catalog.pg_authid", "passwords"],
  ["grant pg_read_server_files to desk", "administration"],
  ["reassign owned by desk to postgres", "administration"],
  ["drop owned by desk", "administration"],
  ["alter database x set search_path = evil", "administration"],
  ["create event trigger e on ddl_command_end execute function f()", "administration"],
  ["drop extension plpgsql", "administration"],
  ["create cast (text as int) with function f(text)", "administration"],
  ["alter default privileges grant all on tables to public", "administration"],
  ["security label on table x is 'y'", "administration"],
  ["set role postgres", "settings of the database"],
  ["set session authorization postgres", "settings of the database"],
  ["set constraints all deferred", "settings of the database"],
  ["explain execute p", "nothing of a request outlasts it"],
  ["create function pg_temp.f() returns int language sql as 'select 1'", "gone with the end of the request"],
  ["create table pg_temp.x (a int)", "gone with the end of the request"],
  ["select 1 into temp x", "gone with the end of the request"],
  ["create temp view x as select 1", "gone with the end of the request"],
  ["select add_job('f', '1h')", "when the request is over"],
  ["drop table realtime_data", "the server's own tables"],
  ["drop table public.realtime_data", "the server's own tables"],
  ["with x as (delete from public.update_log returning 1) select * from x", "bookkeeping"],
  ["create temp table x (a int)", "gone with the end of the request"],
  ["create local temporary table x (a int)", "gone with the end of the request"],
])("%s is refused", (sql, reason) => {
  expect(refusal(sql)).toContain(reason);
});

describe("parameters", () => {
  test("by number, each may be used several times", () => {
    expect(readStatement("select $2 + $1 * $1", 2).parameters).toBe(2);
  });

  test("question marks count where there are as many as values, outside of texts", () => {
    expect(readStatement("select ? as \"?\", '?', a from t where b = ? -- ?", 2).text).toBe(
      "select $1 as \"?\", '?', a from t where b = $2 -- ?",
    );
  });

  test("question marks are operators where there is nothing to put in", () => {
    expect(readStatement("select j ? 'a' from t", 0).text).toBe("select j ? 'a' from t");
    expect(readStatement("select j ? $1 from t", 1).text).toBe("select j ? $1 from t");
  });

  test.each([
    ["select $1, $2", 1, "expects 2 parameters, got 1"],
    ["select 1", 1, "expects 0 parameters, got 1"],
    ["select ?, ?", 1, "has 2 question marks, got 1 parameters"],
    ["select '$1'", 1, "expects 0 parameters, got 1"],
    ["select $1", 0, "expects 1 parameter, got 0"],
  ])("%s with %d", (sql, given, reason) => {
    expect(refusal(sql, given)).toContain(reason);
  });
});

test.each([
  "drop table archive.realtime_data",
  "delete from archive.update_log",
  "create table realtime (a int)",
  "select * from update_log",
  "insert into realtime_data select * from archive.realtime_data",
  "select count(*) from daily_prices for update",
])("%s is not about the server's own tables, or may be done with them", (sql) => {
  expect(readStatement(sql, 0).text).toBe(sql);
});
