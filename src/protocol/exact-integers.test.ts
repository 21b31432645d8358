import { expect, test } from "bun:test";
import { parseExactIntegers } from "./exact-integers.ts";

test("integers beyond 2^53 keep their digits, up to 64 bits", () => {
  const text =
    '{"a":[9007199254740993,-9223372036854775808,9223372036854775807,1,-0,1.5,"9007199254740993",null,true]}';
  expect(parseExactIntegers(text)).toEqual({
    a: [
      9007199254740993n,
      -9223372036854775808n,
      9223372036854775807n,
      1,
      -0,
      1.5,
      "9007199254740993",
      null,
      true,
    ],
  });
});

test("what is no 64-bit integer stays a double", () => {
  expect(parseExactIntegers("[9223372036854775808,9007199254740993.0,1e17,12345678901234567890123]")).toEqual(
    [2 ** 63, 2 ** 53, 1e17, Number("12345678901234567890123")],
  );
});

test("not JSON is refused as JSON.parse does", () => {
  expect(() => parseExactIntegers('{"a":')).toThrow(SyntaxError);
});
