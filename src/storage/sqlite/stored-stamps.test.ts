import { expect, test } from "bun:test";
import type { SqlParam } from "../user-sql-contract.ts";
import { StampColumns, withStoredStamps } from "./stored-stamps.ts";

const T = "'2024-01-02T15:00:01.5Z'";
const STORED = "'2024-01-02 15:00:01.500000'";

/** @param used tables and columns that the statement uses. */
function rewritten(where: string, params: SqlParam[] = [], used = "realtime_data.timestamp"): string {
  const columns = new StampColumns();
  for (const column of used.split(" ")) columns.add(...(column.split(".") as [string, string]));
  return withStoredStamps(`SELECT 1 FROM t WHERE ${where}`, params, columns).slice(
    "SELECT 1 FROM t WHERE ".length,
  );
}

test("a stamp beside a column of the server's gets the form of that column", () => {
  const cases: [used: string, stored: string][] = [
    ["realtime_data.timestamp", "timestamp = '2024-01-02 15:00:01.500000'"],
    ["hourly_prices.datetime", "datetime = '2024-01-02 15:00:01.5'"],
    ["interval_prices.datetime", "datetime = '2024-01-02 15:00:01.5'"],
    ["daily_prices.date", "date = '2024-01-02'"],
    ["realtime_data.write_timestamp", "write_timestamp = '2024-01-02 15:00:01.500000'"],
    ["daily_prices.write_timestamp", "write_timestamp = '2024-01-02 15:00:01.500000+00:00'"],
  ];
  for (const [used, stored] of cases)
    expect(rewritten(`${used.split(".")[1]} = ${T}`, [], used)).toBe(stored);
  expect(rewritten("datetime < '2024-01-02T15:00:00.000Z'", [], "hourly_prices.datetime")).toBe(
    "datetime < '2024-01-02 15:00:00'",
  );
});

test("a stamp may lack its seconds, or have digits beyond a microsecond", () => {
  expect(rewritten("timestamp = '2024-01-02T15:00'")).toBe("timestamp = '2024-01-02 15:00:00.000000'");
  expect(rewritten("datetime = '2024-01-02 15:00'", [], "hourly_prices.datetime")).toBe(
    "datetime = '2024-01-02 15:00:00'",
  );
  expect(rewritten("timestamp > ?", ["2024-01-02T15:00"])).toBe(
    "timestamp > (replace(substr(?, 1, 16), 'T', ' ') || ':00.000000')",
  );
  expect(rewritten("timestamp = '2024-01-02T15:00:01.123456789Z'")).toBe(
    "timestamp = '2024-01-02 15:00:01.123456'",
  );
});

test("wherever SQL compares it", () => {
  for (const where of [
    "timestamp >= #",
    "# < timestamp",
    "r.[timestamp] != #",
    'main.realtime_data."timestamp" == #',
    "`timestamp`<>#",
    "((timestamp)) = #",
    "max(timestamp) > #",
    "timestamp IS NOT #",
    "timestamp IS NOT DISTINCT FROM #",
    "timestamp BETWEEN # AND #",
    "timestamp NOT BETWEEN datetime('now', (1 AND 2)) AND #",
    "timestamp IN (#, # ,#)",
    "timestamp NOT IN (#, 'x', lower(price))",
    "price = 1 AND/* why */timestamp/**/=--\n# OR timestamp<#",
  ])
    expect(rewritten(where.replaceAll("#", T))).toBe(where.replaceAll("#", STORED));
  expect(rewritten('timestamp = "2024-01-02T15:00:01.5Z"')).toBe(`timestamp = ${STORED}`);
});

test("a parameter keeps its number and is brought to the form by SQL", () => {
  const stamp = "2024-01-02T15:00:01.5Z";
  const form = (name: string): string => `(replace(substr(${name}, 1, 21), 'T', ' ') || '00000')`;
  expect(rewritten("timestamp > ?", [stamp])).toBe(`timestamp > ${form("?")}`);
  expect(rewritten("price = ? AND timestamp > ? AND ? < timestamp", [1, stamp, stamp])).toBe(
    `price = ? AND timestamp > ${form("?")} AND ${form("?")} < timestamp`,
  );
  expect(rewritten("price = ?2 AND timestamp = ?1", [stamp, 1])).toBe(
    `price = ?2 AND timestamp = ${form("?1")}`,
  );
  expect(rewritten("price = :p AND timestamp IN (:t, @u, $v, :t)", [1, stamp, "x", stamp])).toBe(
    `price = :p AND timestamp IN (${form(":t")}, @u, ${form("$v")}, ${form(":t")})`,
  );
  const both = rewritten("date = ?1 OR timestamp = ?1", [stamp], "daily_prices.date realtime_data.timestamp");
  expect(both).toBe(`date = (replace(substr(?1, 1, 10), 'T', ' ') || '') OR timestamp = ${form("?1")}`);
});

test("all else stays as it is", () => {
  for (const where of [
    `note = ${T}`,
    `price > 1 AND 'timestamp' = ${T}`,
    `timestamp LIKE ${T}`,
    `date(timestamp) = ${T}`,
    `${T} = datetime(timestamp)`,
    `timestamp || 'x' = ${T}`,
    `'x' || timestamp = ${T}`,
    `timestamp = ${T} || 'x'`,
    `timestamp = ${T} COLLATE NOCASE`,
    `timestamp >> ${T}`,
    "timestamp = '2024-01-02'",
    "timestamp = '2024-01-02T15:00:01.5+01:00'",
    "timestamp = '2024-01-02T15:00Z'",
    `-- timestamp = ${T}`,
    `note = 'timestamp = ''2024-01-02T15:00:01.5Z'''`,
  ])
    expect(rewritten(where)).toBe(where);
  // Names that may be those of users' tables and views are left alone.
  const where = `timestamp = ${T}`;
  expect(rewritten(where, [], "mine.timestamp")).toBe(where);
  expect(rewritten(where, [], "realtime_data.timestamp mine.timestamp")).toBe(where);
  expect(
    rewritten(`write_timestamp = ${T}`, [], "realtime_data.write_timestamp daily_prices.write_timestamp"),
  ).toBe(`write_timestamp = ${T}`);
  expect(rewritten(where, [], "realtime_data.price")).toBe(where);
});
