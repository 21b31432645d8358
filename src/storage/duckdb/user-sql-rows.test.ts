import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { escapedBytes } from "./escaped-bytes.ts";
import { encodeRows } from "./user-sql-rows.ts";

setDefaultTimeout(120_000);

const MB = 2 ** 20;

let instance: DuckDBInstance;
let connection: DuckDBConnection;

beforeAll(async () => {
  instance = await DuckDBInstance.create(":memory:");
  connection = await instance.connect();
});

afterAll(() => {
  connection.closeSync();
  instance.closeSync();
});

async function encode(sql: string, { maxBytes = 64 * MB, check = (): void => {} } = {}): Promise<string> {
  const result = await connection.run(sql);
  const { parts, bytes } = await encodeRows(result, {
    names: result.columnNames(),
    maxRows: Number.POSITIVE_INFINITY,
    maxBytes,
    check,
  });
  const text = Buffer.concat(parts).toString();
  expect(Buffer.byteLength(text)).toBe(bytes);
  return text;
}

test.each([
  ["select [[1, null], null, []] a", '[{"a":[[1,null],null,[]]}]'],
  [
    "select [1, 2]::int[2] a, [[1, 2], [3, 4]]::int[2][2] b, null::int[2] c",
    '[{"a":[1,2],"b":[[1,2],[3,4]],"c":null}]',
  ],
  [
    "select {a: {b: [{c: 'x'}, null]}} s, null::struct(a int) n",
    '[{"s":{"a":{"b":[{"c":"x"},null]}},"n":null}]',
  ],
  ["select {'2': 1, '1': 2} s", '[{"s":{"2":1,"1":2}}]'],
  ["select map(['k', 'l'], [[1], null]) m, null::map(int, int) n", '[{"m":{"k":[1],"l":null},"n":null}]'],
  [
    "select map([date '2024-01-02', date '2024-01-03'], [1.50, 2]) m",
    '[{"m":{"2024-01-02":1.5,"2024-01-03":2}}]',
  ],
  [
    "select union_value(k := 1) u, '101'::bit b, '123456789012345678901234567890'::bignum n",
    '[{"u":"1","b":"101","n":123456789012345678901234567890}]',
  ],
  [
    "select 5::variant v, uuid '00000000-0000-0000-0000-000000000001' i, 'b'::enum('a', 'b') e",
    '[{"v":"5","i":"00000000-0000-0000-0000-000000000001","e":"b"}]',
  ],
])("%s", async (sql, json) => {
  expect(await encode(sql)).toBe(json);
});

test("every type of DuckDB has a form, also as NULL", async () => {
  const rows = JSON.parse(await encode("from test_all_types()")) as Record<string, unknown>[];
  expect(rows).toHaveLength(3);
  for (const value of Object.values(rows[2]!)) expect(value).toBeNull();
});

test("long texts and BLOBs are the same as short ones, wherever their blocks end", async () => {
  const unit = `aé"\\\n\u0001\u007f𝄞`;
  const [row] = JSON.parse(
    await encode(`select repeat('${unit}', 60000) a, repeat('xy', 250001)::blob b, null::varchar c`),
  ) as [{ a: string; b: string; c: null }];
  expect(row.a === unit.repeat(60_000)).toBe(true);
  expect(row.b === Buffer.from("xy".repeat(250_001)).toString("base64")).toBe(true);
  expect(row.c).toBeNull();
});

test("NULLs between long texts are NULL", async () => {
  const sql = "select case when range % 2 = 0 then repeat('x', 300000) end a from range(5)";
  const lengths = (JSON.parse(await encode(sql)) as { a: string | null }[]).map(({ a }) => a?.length ?? null);
  expect(lengths).toEqual([300_000, null, 300_000, null, 300_000]);
});

test("every byte is escaped as JSON.stringify does", () => {
  const text = Array.from({ length: 0x80 }, (_, code) => String.fromCharCode(code)).join("");
  expect(Buffer.from(escapedBytes(Buffer.from(text))).toString()).toBe(JSON.stringify(text).slice(1, -1));
});

test.each([
  "select list(range) a from range(3000000)",
  "select [repeat('x', 1000)] a, list(repeat('y', 1000)) b from range(3000)",
  "select repeat('x', 3000000) a",
  "select repeat('x', 3000000)::blob a",
  "select repeat('x', 1000) a from range(3000)",
])("%s is refused when it is too large", async (sql) => {
  await expect(encode(sql, { maxBytes: 2 * MB })).rejects.toThrow("more than 2 MB of JSON");
});

test.each([
  "select repeat('1', 2000000)::bit a",
  "select list(range)::variant a from range(10000)",
  "select union_value(k := [1, 2]) a",
  "select map([[1]], [2]) a",
])("%s needs a cast", async (sql) => {
  await expect(encode(sql)).rejects.toThrow("can't be answered as it is");
  const cast = sql.replace(/^select (.*?) a\b/, "select ($1)::varchar a");
  expect(await encode(cast)).toStartWith('[{"a":"');
});

test("the loop has its turns within one cell, and the statement can be stopped there", async () => {
  let checks = 0;
  const stopping = encode("select list(range) a from range(3000000)", {
    check() {
      checks++;
      if (checks === 3) throw new Error("stopped");
    },
  });
  await expect(stopping).rejects.toThrow("stopped");
  expect(checks).toBe(3);
});
