import { expect, test } from "bun:test";
import { readSqlParams } from "./read-params.ts";

test("plain values are parameters", () => {
  expect(readSqlParams([null, "x", 1, 2n, true])).toEqual([null, "x", 1, 2n, true]);
});

test("a nested list or object is refused with its position", () => {
  expect(() => readSqlParams([1, [2]])).toThrow(
    "parameter 2 must be null, text, a number or a boolean, got a list",
  );
  expect(() => readSqlParams([{}])).toThrow(
    "parameter 1 must be null, text, a number or a boolean, got an object",
  );
});

test("query_params must be a list", () => {
  for (const wrong of [null, {}, "a", 1])
    expect(() => readSqlParams(wrong)).toThrow("'query_params' must be a list");
});
