import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { refuseFunctions } from "./refused-functions.ts";

setDefaultTimeout(120_000);

let instance: DuckDBInstance;
let connection: DuckDBConnection;

beforeAll(async () => {
  instance = await DuckDBInstance.create(":memory:", { enable_external_access: "false" });
  connection = await instance.connect();
});

afterAll(() => {
  connection.closeSync();
  instance.closeSync();
});

function isRefused(sql: string): boolean {
  try {
    refuseFunctions(sql);
    return false;
  } catch {
    return true;
  }
}

/** Whether DuckDB reads a call of its function `query`. */
async function isCall(sql: string): Promise<boolean> {
  try {
    const prepared = await (await connection.extractStatements(sql)).prepare(0);
    const answersOne = prepared.columnCount === 1 && prepared.columnName(0) === "called";
    prepared.destroySync();
    return answersOne;
  } catch {
    return false; // no call that it understands
  }
}

test("no character between a name and its parenthesis hides a call", async () => {
  let calls = 0;
  for (let code = 1; code < 0x1_0000; code++) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const character = String.fromCharCode(code);
    const sql = `from query${character}('select 1 as called')`;
    if (!isRefused(sql)) expect({ code, isCall: await isCall(sql) }).toEqual({ code, isCall: false });
    else if (code > 127 && code < 0x3100 && (await isCall(sql))) calls++;
  }
  expect(calls).toBeGreaterThan(10);
});

test("no character within a name leaves the name as it is", async () => {
  for (let code = 1; code < 0x3100; code++) {
    const sql = `from qu${String.fromCharCode(code)}ery('select 1 as called')`;
    expect({ code, isCall: await isCall(sql) }).toEqual({ code, isCall: false });
  }
});

test.each([
  "from query('select 1')",
  "from QUERY ('select 1')",
  "from query\u200b('select 1')",
  "from query\u2060('select 1')",
  "from query --\r('a' || 'b')",
  "from query -- x\n('a')",
  "from query /* /* */ */ ('a')",
  "from query/**/('a')",
  "from query\n\t /* */ --\r\n('a')",
  `from "query"('a')`,
  `from "query" \u3000('a')`,
  "from main.query('a')",
  `from system."main"."query"('a')`,
  "create macro m(x) as table from query (x)",
  "create view v as from query\u00a0('a')",
  "explain analyze from query\f('a')",
  "checkpoint\u200b()",
  "from checkpoint\u2028()",
  "from glob('/tmp/*')",
  "from enable_logging()",
  'from "enable_logging"()',
  "from Enable_Logging\u200b()",
  "/* enable_logging */ select 1",
  "from sniff_csv('x')",
  "from read_csv_auto('x')",
  "from parquet_scan('x')",
  "from disable_peg_parser()",
])("%j is refused", (sql) => {
  expect(isRefused(sql)).toBe(true);
});

test.each([
  "select query from t",
  "select query, checkpoint from t",
  "select query\nfrom t where query = 'x' and t.checkpoint<>1",
  `select "query" from t`,
  "select max(query) from t",
  "from query_table('t')",
  "select 1 as query",
  "select query - 1, query / 2 from t",
  "select * from t where name glob 'a*'",
  "select my_query(1), query_2(1)",
  "insert into t(query) values ('x')",
  "select read_at, enabled_logging from t",
])("%j is not", (sql) => {
  expect(isRefused(sql)).toBe(false);
});

test("every function that gives rows is known: refused, or one that only reads the database and its settings", async () => {
  const allowed =
    /^(check_peg_parser|duckdb_(?!secrets).*|generate_series|histogram|histogram_values|icu_calendar_names|json_each|json_tree|pg_timezone_names|pragma_.*|query_table|range|repeat|repeat_row|seq_scan|sql_auto_complete|summary|test_all_types|test_vector_types|unnest)$/;
  const result = await connection.runAndReadAll(
    "select distinct function_name from duckdb_functions() where function_type in ('table', 'table_macro') or function_name = 'write_log'",
  );
  const names = result.getRows().map(([name]) => String(name));
  expect(names.length).toBeGreaterThan(50);
  for (const name of names) {
    expect({ name, refused: isRefused(`from ${name}()`) }).toEqual({ name, refused: !allowed.test(name) });
  }
});

test.skipIf(process.platform !== "linux")(
  "what reads the database's own file would give up its lock: that is why it is refused",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "refused-functions-"));
    const path = join(folder, "stock.duckdb");
    const own = await DuckDBInstance.create(path, { enable_external_access: "false" });
    const session = await own.connect();
    await session.run("create table t as select 1 as a");
    const locks = (): number =>
      readFileSync("/proc/locks", "utf8")
        .split("\n")
        .filter((line) => line.includes(` ${process.pid} `)).length;
    const before = locks();
    for (const allowed of [
      `from '${path}'`,
      `from "${path}"`,
      "from duckdb_databases()",
      "from pragma_storage_info('t')",
    ]) {
      expect(isRefused(allowed)).toBe(false);
      await session.run(allowed).catch(() => null);
      expect({ allowed, locks: locks() }).toEqual({ allowed, locks: before });
    }
    session.closeSync();
    own.closeSync();
    rmSync(folder, { recursive: true });
  },
);
