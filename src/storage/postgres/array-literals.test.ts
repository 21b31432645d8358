import { expect, test } from "bun:test";
import { plainArray, textArray } from "./array-literals.ts";

test("texts are quoted where they have to be", () => {
  expect(textArray([])).toBe("{}");
  expect(textArray(["AAPL", "BRK.B", "", "NULL", "null", "nullable"])).toBe(
    '{AAPL,BRK.B,"","NULL","null",nullable}',
  );
  expect(textArray(['a"b', "a\\b", "{}", "a,b", " a", "Ä", "a\nb"])).toBe(
    '{"a\\"b","a\\\\b","{}","a,b"," a","Ä","a\nb"}',
  );
});

test("numbers and stamps are not", () => {
  expect(plainArray([1, -0.5, 1e-7, null, undefined, "9007199254740993", "2024-01-02 10:00:00+00"])).toBe(
    "{1,-0.5,1e-7,NULL,NULL,9007199254740993,2024-01-02 10:00:00+00}",
  );
});
