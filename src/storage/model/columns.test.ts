import { expect, test } from "bun:test";
import { type ColumnData, rowColumnNames, rowsOfBatch } from "./columns.ts";

const nothing = null;
const micros = (text: string): bigint => BigInt(Date.parse(text)) * 1_000n;
const columnsOf = (entries: [string, ColumnData][]): Map<string, ColumnData> => new Map(entries);

test("rows come out of columns in canonical text, holes as null, counts with all their digits", () => {
  const batch = {
    rows: 2,
    columns: columnsOf([
      [
        "timestamp",
        {
          type: "instant",
          values: BigInt64Array.of(micros("2024-01-02T10:00:00Z") + 5n, -1n),
          nulls: nothing,
        },
      ],
      ["price", { type: "double", values: Float64Array.of(1.5, 0), nulls: Uint8Array.of(0, 1) }],
      ["size", { type: "int64", values: BigInt64Array.of(7n, 2n ** 60n), nulls: nothing }],
      ["ask_price", { type: "double", values: Float64Array.of(0, 2), nulls: Uint8Array.of(1, 0) }],
      ["ask_size", { type: "text", codes: Int32Array.of(0, 0), dictionary: ["1.25"], nulls: nothing }],
      ["seq", { type: "int64", values: BigInt64Array.of(0n, 1n), nulls: nothing }],
    ]),
  };
  expect(rowsOfBatch("ticks", batch)).toEqual([
    ["2024-01-02 10:00:00.000005", 1.5, 7, null, 1.25, null, null, 0],
    ["1969-12-31 23:59:59.999999", null, String(2n ** 60n), 2, 1.25, null, null, 1],
  ]);
});

test("stamps far from 1970, and at the end of what a double holds, are exact", () => {
  const ends = [2n ** 53n, -(2n ** 53n), 9_214_646_399_999_999n, -9_224_064_000_000_001n, 0n];
  const values = BigInt64Array.from(ends.flatMap((end) => [end - 1n, end, end + 1n]));
  const none: ColumnData = { type: "double", values: new Float64Array(values.length), nulls: nothing };
  const others = rowColumnNames("ticks").map((name): [string, ColumnData] => [name, none]);
  const columns = columnsOf([...others, ["timestamp", { type: "instant", values, nulls: nothing }]]);
  const rows = rowsOfBatch("ticks", { rows: values.length, columns });
  expect(rows.map(([stamp]) => stamp)).toEqual(
    [...values].map((value) => {
      const fraction = ((value % 1_000_000n) + 1_000_000n) % 1_000_000n;
      const iso = new Date(Number((value - fraction) / 1_000n)).toISOString();
      return `${iso.slice(0, 10)} ${iso.slice(11, 19)}.${String(fraction).padStart(6, "0")}`;
    }),
  );
});

test("a date is a day, and a second has no fraction", () => {
  const prices = ["open", "high", "low", "close", "volume"].map((name): [string, ColumnData] => [
    name,
    { type: "double", values: Float64Array.of(1), nulls: nothing },
  ]);
  expect(rowColumnNames("daily")).toEqual(["date", ...prices.map(([name]) => name), "extra"]);
  const day: ColumnData = { type: "date", values: Int32Array.of(-1), nulls: nothing };
  expect(rowsOfBatch("daily", { rows: 1, columns: columnsOf([["date", day], ...prices]) })).toEqual([
    ["1969-12-31", 1, 1, 1, 1, 1, null],
  ]);
  const hour: ColumnData = {
    type: "instant",
    values: BigInt64Array.of(micros("2024-01-02T10:00:00Z")),
    nulls: nothing,
  };
  const columns = columnsOf([["datetime", hour], ...prices]);
  expect(rowsOfBatch("hourly", { rows: 1, columns })[0]?.[0]).toBe("2024-01-02 10:00:00");
});
