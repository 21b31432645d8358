/** Every format holds every value exactly, as readers that aren't ours see it. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { RecordBatchReader, type Table, tableFromIPC } from "apache-arrow";
import { tempDir } from "../../test/support/temp-dir.ts";
import type { ColumnBatch, ColumnData } from "../storage/model/columns.ts";
import type { FormatColumn, FormatType } from "./format-columns.ts";
import { type Format, openEncoder } from "./open-encoder.ts";
import { CountTypeError } from "./typed-columns.ts";

/** Null is none. */
type Values = (string | number | bigint | null)[];

interface TestColumn extends FormatColumn {
  values: Values;
  /** As DuckDB reads it, and as it prints what it has read. */
  sqlType: string;
  printed: (string | null)[];
}

const INT64_MAX = 2n ** 63n - 1n;
const ROWS = 4;
const UTC_STAMP = "TIMESTAMP WITH TIME ZONE";

const COLUMNS: TestColumn[] = [
  column("ticker", "name", "VARCHAR", ["A,B", 'say "x"', "A,B", "é\n株"]),
  column("day", "date", "DATE", [0, -1, 19_724], ["1970-01-01", "1969-12-31", "2024-01-02", null]),
  column(
    "second",
    "second",
    UTC_STAMP,
    [0n, -1_000_000n, 1_704_189_600_000_000n],
    ["1970-01-01 00:00:00+00", "1969-12-31 23:59:59+00", "2024-01-02 10:00:00+00", null],
  ),
  column(
    "instant",
    "instant",
    UTC_STAMP,
    [1n, -1n, 1_704_189_600_123_456n, -8_520_336_000_000_001n],
    [
      "1970-01-01 00:00:00.000001+00",
      "1969-12-31 23:59:59.999999+00",
      "2024-01-02 10:00:00.123456+00",
      "1699-12-31 23:59:59.999999+00",
    ],
  ),
  column(
    "price",
    "double",
    "DOUBLE",
    [0.1 + 0.2, 5e-324, null, -1.7976931348623157e308],
    ["0.30000000000000004", "5e-324", null, "-1.7976931348623157e+308"],
  ),
  column("size", "int64", "BIGINT", [2n ** 53n + 1n, -INT64_MAX - 1n, null, INT64_MAX]),
  column("nothing", "int64", "BIGINT", []),
  column("digits", "digits", "VARCHAR", ["9007199254740993", "0.25", null, "-1"]),
  column("id", "text", "VARCHAR", [" x ", "null", null, "7"]),
  column("extra", "json", "VARCHAR", ['{"a":[1,"b"]}', null, "12345678901234567890", '{"c":"\\n"}']),
];
function column(
  name: string,
  type: FormatType,
  sqlType: string,
  values: Values,
  printed: Values = values,
): TestColumn {
  const all = <T>(list: T[]): (T | null)[] => Array.from({ length: ROWS }, (_, row) => list[row] ?? null);
  return {
    name,
    type,
    sqlType,
    values: all(values),
    printed: all(printed).map((value) => (value === null ? null : String(value))),
  };
}

function dataOf(type: FormatType, values: Values): ColumnData {
  const nulls = values.includes(null) ? Uint8Array.from(values, (value) => (value === null ? 1 : 0)) : null;
  const bigints = BigInt64Array.from(values, (value) => (typeof value === "bigint" ? value : 0n));
  switch (type) {
    case "double":
      return { type, values: Float64Array.from(values, Number), nulls };
    case "date":
      return { type, values: Int32Array.from(values, Number), nulls };
    case "int64":
      return { type, values: bigints, nulls };
    case "second":
    case "instant":
      return { type: "instant", values: bigints, nulls };
    default: {
      const dictionary = [...new Set(values)].filter((text): text is string => typeof text === "string");
      const codes = Int32Array.from(values, (value) => Math.max(0, dictionary.indexOf(value as string)));
      return { type: "text", codes, dictionary, nulls };
    }
  }
}

function batchOf(columns: Pick<TestColumn, "name" | "type" | "values">[]): ColumnBatch {
  const named = columns.map(({ name, type, values }): [string, ColumnData] => [name, dataOf(type, values)]);
  return { rows: columns[0]!.values.length, columns: new Map(named) };
}

async function encode(
  format: Format,
  columns: FormatColumn[],
  batches: ColumnBatch[],
  names?: Map<string, string[]>,
): Promise<Uint8Array> {
  const encoder = await openEncoder(format, columns, names);
  const pieces = batches.map((batch) => encoder.encode(batch));
  return Buffer.concat([...pieces, encoder.end()]);
}

async function readByDuckDb(bytes: Uint8Array, name: string, table: string): Promise<unknown[][]> {
  using dir = tempDir();
  const path = join(dir.path, name);
  await Bun.write(path, bytes);
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
  const read = await connection.runAndReadAll(
    `SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ${table.replace("FILE", `'${path}'`)}`,
  );
  connection.closeSync();
  instance.closeSync();
  return read.getRows();
}

const TYPES = `{${COLUMNS.map(({ name, sqlType }) => `${name}: '${sqlType}'`).join(", ")}}`;
const PRINTED = Array.from({ length: ROWS }, (_, row) => COLUMNS.map(({ printed }) => printed[row] ?? null));

test.each([
  [
    "csv",
    `read_csv(FILE, header=true, auto_detect=false, quote='"', escape='"', new_line='\\r\\n', columns=${TYPES})`,
  ],
  [
    "ndjson",
    `read_json(FILE, format='newline_delimited', columns=${TYPES.replace("extra: 'VARCHAR'", "extra: 'JSON'")})`,
  ],
  ["parquet", "read_parquet(FILE)"],
] as const)("DuckDB reads of %s what was written", async (format, table) => {
  const batch = batchOf(COLUMNS);
  const rows = await readByDuckDb(await encode(format, COLUMNS, [batch, batch]), `file.${format}`, table);
  expect(rows).toEqual([...PRINTED, ...PRINTED]);
});

test("Parquet has the types of the columns, in several row groups", async () => {
  const many = 150_000;
  const values = Array.from({ length: many }, (_, n) => BigInt(n));
  const columns = [
    { name: "stamp", type: "instant" as const, values },
    { name: "ticker", type: "name" as const, values: values.map((n) => `T${n % 3n}`) },
  ];
  const batch = batchOf(columns);
  const bytes = await encode("parquet", columns, [batch, batch]);
  const summary =
    "(SELECT count(*), count(DISTINCT stamp), typeof(any_value(stamp)), max(epoch_us(stamp)) FROM FILE)";
  expect(await readByDuckDb(bytes, "file.parquet", summary)).toEqual([
    [String(2 * many), String(many), UTC_STAMP, String(many - 1)],
  ]);
  const groups = "(SELECT count(DISTINCT row_group_id), any_value(compression) FROM parquet_metadata(FILE))";
  expect(await readByDuckDb(bytes, "file.parquet", groups)).toEqual([["2", "ZSTD"]]);
});

test.each(["arrow", "arrows"] as const)("Arrow's own reader reads of %s what was written", async (format) => {
  const batch = batchOf(COLUMNS);
  const table = tableFromIPC(await encode(format, COLUMNS, [batch, batch]));
  expect(table.schema.fields.map(({ type }) => String(type))).toEqual([
    "Dictionary<Int32, Utf8>",
    "Date32<DAY>",
    "Timestamp<MICROSECOND, UTC>",
    "Timestamp<MICROSECOND, UTC>",
    "Float64",
    "Int64",
    "Int64",
    "Utf8",
    "Utf8",
    "Utf8",
  ]);
  for (const { name, values } of COLUMNS) expect(storedIn(table, name)).toEqual([...values, ...values]);
});

/** As they are in the arrays: a reader's `get` makes milliseconds of dates and stamps. */
function storedIn(table: Table, name: string): Values {
  const vector = table.getChild(name)!;
  return vector.data.flatMap((data) =>
    Array.from({ length: data.length }, (_, row) => {
      if (!data.getValid(row)) return null;
      if (data.dictionary !== undefined) return data.dictionary.get(data.values[row]);
      if (data.valueOffsets === undefined) return data.values[row];
      const bytes = data.values.subarray(data.valueOffsets[row], data.valueOffsets[row + 1]!);
      return Buffer.from(bytes).toString();
    }),
  );
}

test("Arrow's names are all in front where they are known, and told by a delta where they aren't", async () => {
  const columns: FormatColumn[] = [{ name: "ticker", type: "name" }];
  const of = (values: string[]) => batchOf([{ name: "ticker", type: "name", values }]);
  const batches = [of(["A", "B"]), of(["C", "A"]), of(["C"])];
  for (const format of ["arrow", "arrows"] as const) {
    for (const names of [undefined, new Map([["ticker", ["A", "B", "C"]]])]) {
      const bytes = await encode(format, columns, batches, names);
      expect(tableFromIPC(bytes).getChild("ticker")!.toArray()).toEqual(["A", "B", "C", "A", "C"]);
      const reader = RecordBatchReader.from(bytes).open();
      const first = reader.next().value;
      expect(first.data.children[0].dictionary.length).toBe(
        names === undefined && format === "arrows" ? 2 : 3,
      );
    }
  }
});

test("CSV tells an empty text from none, and ends lines with CR LF", async () => {
  const columns: FormatColumn[] = [
    { name: "id", type: "text" },
    { name: "price", type: "double" },
  ];
  const batch = batchOf([
    { name: "id", type: "text", values: ["", null, "=1+1", 'a"b'] },
    { name: "price", type: "double", values: [1e21, 1e-7, null, 17] },
  ]);
  const expected = 'id,price\r\n"",1e+21\r\n,1e-7\r\n=1+1,\r\n"a""b",17\r\n';
  expect(Buffer.from(await encode("csv", columns, [batch])).toString()).toBe(expected);
});

test("NDJSON has an object a line, whatever was stored", async () => {
  const columns: FormatColumn[] = [
    { name: "size", type: "int64" },
    { name: "extra", type: "json" },
  ];
  const batch = batchOf([
    { name: "size", type: "int64", values: [INT64_MAX, null, 7n] },
    { name: "extra", type: "json", values: ['{\n"a":12345678901234567890}', "no JSON\n", null] },
  ]);
  expect(Buffer.from(await encode("ndjson", columns, [batch])).toString()).toBe(
    '{"size":9223372036854775807,"extra":{ "a":12345678901234567890}}\n' +
      '{"size":null,"extra":"no JSON\\n"}\n{"size":7,"extra":null}\n',
  );
});

const TYPED = ["arrow", "arrows", "parquet"] as const;

test.each(TYPED)("%s says which type would hold counts that don't fit, and rounds none", async (format) => {
  const double = dataOf("double", [0.5]);
  const large = dataOf("int64", [2n ** 53n + 1n]);
  const digits = dataOf("digits", ["0.1000000000000000000001"]);
  const write = async (type: FormatType, data: ColumnData): Promise<unknown> => {
    const batch = { rows: 1, columns: new Map([["size", data]]) };
    const written = encode(format, [{ name: "size", type }], [batch]);
    return await written.then(
      () => "written",
      (error) => (error instanceof CountTypeError ? error.type : error),
    );
  };
  expect(await write("int64", double)).toBe("double");
  expect(await write("int64", digits)).toBe("digits");
  expect(await write("double", large)).toBe("digits");
  expect(await write("double", digits)).toBe("digits");
  for (const data of [double, large, digits]) expect(await write("digits", data)).toBe("written");
  expect(await write("double", dataOf("int64", [2n ** 60n, null]))).toBe("written");
});

test.each(["csv", ...TYPED] as const)("%s refuses text that UTF-8 can't hold", async (format) => {
  const batch = batchOf([{ name: "ticker", type: "name", values: ["A\ud800"] }]);
  await expect(encode(format, [{ name: "ticker", type: "name" }], [batch])).rejects.toThrow(
    "can't be written in UTF-8",
  );
});

test("numbers that aren't finite are none, as in every answer", async () => {
  const columns: FormatColumn[] = [{ name: "price", type: "double" }];
  const batch = batchOf([
    { name: "price", type: "double", values: [Number.NaN, 1, Number.POSITIVE_INFINITY] },
  ]);
  expect(Buffer.from(await encode("csv", columns, [batch])).toString()).toBe("price\r\n\r\n1\r\n\r\n");
  for (const format of ["arrow", "arrows"] as const)
    expect(storedIn(tableFromIPC(await encode(format, columns, [batch])), "price")).toEqual([null, 1, null]);
  const rows = await readByDuckDb(
    await encode("parquet", columns, [batch]),
    "a.parquet",
    "read_parquet(FILE)",
  );
  expect(rows).toEqual([[null], ["1.0"], [null]]);
});

test.each(TYPED)("%s without a row has its columns", async (format) => {
  const bytes = await encode(format, COLUMNS, []);
  if (format === "parquet")
    expect(await readByDuckDb(bytes, "a.parquet", "(SELECT count(ticker) FROM FILE)")).toEqual([["0"]]);
  else expect(tableFromIPC(bytes).schema.names).toEqual(COLUMNS.map(({ name }) => name));
});
