import { expect, test } from "bun:test";
import fc from "fast-check";
import { TextBytes } from "./text-bytes.ts";

function written(write: (out: TextBytes) => void): string {
  const out = new TextBytes();
  write(out);
  return Buffer.from(out.take()).toString();
}

test("numbers are written as String has them", () => {
  const numbers = [
    0,
    -0,
    1,
    -1,
    0.1,
    0.07,
    1.005,
    123.4567,
    0.0001,
    0.00001,
    1e15,
    1e21,
    2 ** 31,
    -(2 ** 31),
  ];
  const hard = [1e-7, 0.30000000000000004, 99999999999.9999, 100000000000.0001, Number.MAX_VALUE, 5e-324];
  for (const number of [...numbers, ...hard])
    expect(written((out) => out.number(number))).toBe(String(number));
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
      expect(written((out) => out.number(number))).toBe(String(number));
    }),
  );
  fc.assert(
    fc.property(
      fc.integer({ min: -(10 ** 12), max: 10 ** 12 }),
      fc.integer({ min: 0, max: 6 }),
      (digits, decimals) => {
        const number = digits / 10 ** decimals;
        expect(written((out) => out.number(number))).toBe(String(number));
      },
    ),
  );
});

test("text is UTF-8, also where it is long and where it begins as ASCII", () => {
  const texts = ["", "AAPL", "Äpfel", "a€b𝄞", "x".repeat(200_000), `${"y".repeat(100_000)}é`];
  expect(
    written((out) => {
      for (const text of texts) out.text(text);
    }),
  ).toBe(texts.join(""));
});

test("moments of a day are written as a clock shows them", () => {
  fc.assert(
    fc.property(fc.nat(86_399), fc.nat(999_999), (second, micros) => {
      const clock = new Date(second * 1_000).toISOString().slice(11, 19);
      const text = written((out) => {
        out.time(second);
        out.fraction(micros);
      });
      expect(text).toBe(`${clock}.${String(micros).padStart(6, "0")}`);
    }),
  );
});
