import { expect, test } from "bun:test";
import { countsData, doubleData, instantData } from "./bars-data.ts";
import { microsOf, numbersOf } from "./numbers.ts";

const WIDE = 2n ** 60n + 1n;

test("integers of 64 bits come out as they went in", () => {
  const values = BigInt64Array.of(1n, -5n, WIDE, 0n, 2n ** 53n, -(2n ** 62n) - 1n);
  const nulls = Uint8Array.of(0, 0, 0, 1, 0, 0);
  const numbers = numbersOf({ type: "int64", values, nulls })!;
  expect([...numbers.values]).toEqual([1, -5, Number(WIDE), Number.NaN, 2 ** 53, -(2 ** 62)]);
  expect([...numbers.wide!.keys()]).toEqual([2, 4, 5]);
  const back = countsData(numbers.values, numbers.wide!);
  expect(back).toEqual({ type: "int64", values, nulls });
});

test("counts that are texts are read by their digits", () => {
  const dictionary = [String(2n ** 70n), "5", "1.5"];
  const numbers = numbersOf({
    type: "text",
    codes: Int32Array.of(0, 1, 2, 0),
    dictionary,
    nulls: Uint8Array.of(0, 0, 0, 1),
  })!;
  expect([...numbers.values]).toEqual([2 ** 70, 5, 1.5, Number.NaN]);
  expect([...numbers.wide!]).toEqual([[0, 2n ** 70n]]);
  expect(numbersOf(undefined)).toBeNull();
});

test("stamps are microseconds, and one that no double holds is refused", () => {
  const micros = [-1n, 0n, 1_704_205_800_123_456n];
  const values = BigInt64Array.from(micros);
  expect([...microsOf({ type: "instant", values, nulls: null })]).toEqual(micros.map(Number));
  expect([...microsOf({ type: "date", values: Int32Array.of(-1, 19_724), nulls: null })]).toEqual([
    -86_400_000_000, 1_704_153_600_000_000,
  ]);
  expect(() => microsOf({ type: "instant", values: BigInt64Array.of(0n, 2n ** 54n), nulls: null })).toThrow(
    "2255",
  );
  expect(instantData(Float64Array.of(-1, Number.NaN, 1_704_205_800_123_456))).toEqual({
    type: "instant",
    values: BigInt64Array.of(-1n, 0n, 1_704_205_800_123_456n),
    nulls: Uint8Array.of(0, 1, 0),
  });
});

test("doubles that aren't finite are null", () => {
  const { nulls } = doubleData(Float64Array.of(1, Number.NaN, Number.POSITIVE_INFINITY));
  expect(nulls).toEqual(Uint8Array.of(0, 1, 1));
  expect(doubleData(Float64Array.of(1, 2)).nulls).toBeNull();
});
