/** Cells as this process writes them, held against DuckDB's own texts. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import {
  type WriteCells,
  writeCounts,
  writeDates,
  writeNumbers,
  writeOffsetStamps,
  writeStamps,
} from "./wire-cells.ts";

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

/** The cells of the first column, and the texts of the second. */
async function both(write: WriteCells, sql: string): Promise<{ cells: string[]; texts: unknown[] }> {
  const result = await connection.run(sql);
  const cells: string[] = [];
  const texts: unknown[] = [];
  for (let at = 0; at < result.chunkCount; at++) {
    const chunk = result.getChunk(at);
    const parts: string[] = [];
    write(chunk.getColumnVector(0), { parts, first: 0, step: 1 });
    cells.push(...parts);
    if (chunk.columnCount > 1) texts.push(...chunk.getColumnValues(1));
  }
  return { cells, texts };
}

test("days of the years 1 to 9999 are those that DuckDB writes", async () => {
  const { cells, texts } = await both(
    writeDates,
    `SELECT d, '"' || d::VARCHAR || 'T00:00:00.000000Z"' FROM (
       SELECT (DATE '0001-01-01' + i::INTEGER)::DATE AS d FROM range(0, 3652059, 13) r(i)
         UNION ALL SELECT (DATE '1999-01-01' + i::INTEGER)::DATE FROM range(1000) r(i))`,
  );
  expect(cells.length).toBe(281_928);
  expect(cells.findIndex((cell, i) => cell !== texts[i])).toBe(-1);
});

describe("stamps", () => {
  const STAMPS = `SELECT TIMESTAMP '0001-01-01' + to_microseconds(i * 31556951999003) AS t FROM range(9999) r(i)
    UNION ALL SELECT TIMESTAMP '1969-12-31 23:59:58.999998' + to_microseconds(i * 7) FROM range(3000) r(i)
    UNION ALL SELECT NULL`;

  test("with a Z, to the microsecond, before 1684 and after 2255 too", async () => {
    const { cells, texts } = await both(
      writeStamps,
      `SELECT t, coalesce(strftime(t, '"%Y-%m-%dT%H:%M:%S.%fZ"'), 'null') FROM (${STAMPS})`,
    );
    expect(cells.findIndex((cell, i) => cell !== texts[i])).toBe(-1);
  });

  test("with an offset", async () => {
    const { cells, texts } = await both(
      writeOffsetStamps,
      `SELECT t, coalesce('"' || strftime(t, '%Y-%m-%d %H:%M:%S.%f') || '+00:00"', 'null') FROM (${STAMPS})`,
    );
    expect(cells.findIndex((cell, i) => cell !== texts[i])).toBe(-1);
  });

  test("that no four digits of a year can tell are still JSON", async () => {
    const { cells } = await both(
      writeStamps,
      "SELECT unnest(['infinity'::TIMESTAMP, '-infinity', '0044-03-15 (BC) 12:00:00', '10000-01-01'])",
    );
    expect(cells.map((cell) => typeof JSON.parse(cell))).toEqual(["string", "string", "string", "string"]);
  });
});

test("counts keep every digit, whatever the type of their column", async () => {
  const integers = [
    "9223372036854775807",
    "-9223372036854775808",
    "9007199254740993",
    "-9007199254740993",
    "0",
    "-1",
    "4294967296",
  ];
  const listed = integers.map((digits) => `'${digits}'`).join(", ");
  for (const type of ["BIGINT", "HUGEINT", "DECIMAL(38,18)"]) {
    const { cells } = await both(writeCounts, `SELECT unnest([${listed}, NULL])::${type}`);
    expect(cells).toEqual([...integers, "null"]);
  }
  expect((await both(writeCounts, "SELECT unnest([0.5, 1e15, 2^60, 'nan', NULL])::DOUBLE")).cells).toEqual([
    "0.5",
    "1000000000000000",
    "1152921504606846976",
    "null",
    "null",
  ]);
  expect((await both(writeCounts, "SELECT 0.000000000000000001::DECIMAL(38,18)")).cells).toEqual([
    "0.000000000000000001",
  ]);
});

test("prices read back as the same doubles, and what JSON has no form for is null", async () => {
  const { cells, texts } = await both(
    writeNumbers,
    `SELECT x, x FROM (SELECT random() * 10 ** (i % 40 - 20) AS x FROM range(5000) r(i))
     UNION ALL SELECT unnest([5e-324, 1.7976931348623157e308, 0.1, 5])::DOUBLE, unnest([5e-324, 1.7976931348623157e308, 0.1, 5])::DOUBLE`,
  );
  expect(cells.map(Number)).toEqual(texts as number[]);
  const { cells: odd } = await both(writeNumbers, "SELECT unnest(['nan', 'inf', '-inf', NULL])::DOUBLE");
  expect(odd).toEqual(["null", "null", "null", "null"]);
});

test("text that users put into a column of another type is a JSON string", async () => {
  const { cells } = await both(writeNumbers, `SELECT unnest(['a"b', NULL])`);
  expect(cells).toEqual(['"a\\"b"', "null"]);
});
