import { expect, test } from "bun:test";
import { FileNames } from "./file-names.ts";

const nameOf = (text: string): string => new FileNames().nameOf(text);

/** As docs/export.md says how a name is read back. */
const readBack = (name: string): string =>
  decodeURIComponent(
    name
      .split("/")
      .map((segment) => segment.replace(/%$/, ""))
      .join(""),
  );

const DEVICES = ["CON", "con", "NUL.X", "COM1", "LPT9", "Aux"];
const LONG = [".", "A", "株", "%", "a/", "CON"].map((text) => text.repeat(1_024 / text.length));
const ODD = [
  "",
  ".",
  "..",
  ".A",
  "A.",
  "-rf",
  "_A",
  "A/B",
  "A\\B",
  "A B",
  "A\0B",
  "A%B",
  "%41",
  "*",
  "~",
  "A:B",
];

test("names that mean nothing to a system are as they are", () => {
  for (const name of ["AAPL", "BRK.B", "BRK-B", "btcusdt", "600519", "X_Y", "CONX", "COM"])
    expect(nameOf(name)).toBe(name);
});

test("every name can be read back, and each of its parts can be a file on any system", () => {
  for (const text of [...ODD, ...DEVICES, ...LONG, "BRK/B", "^GSPC", "CL=F", "株式", "😀".repeat(300)]) {
    const name = nameOf(text);
    expect(readBack(name)).toBe(text);
    for (const segment of name.split("/")) {
      expect(segment).toMatch(/^[\w%][\w.%-]*$/);
      expect(segment).not.toEndWith(".");
      expect(segment).not.toMatch(/^(con|nul|aux|prn|com\d|lpt\d)(\.|$)/i);
      expect(segment.length).toBeLessThanOrEqual(201);
    }
  }
  expect([nameOf("BRK/B"), nameOf(".."), nameOf("CON")]).toEqual(["BRK%2FB", "%2E%2E", "%43ON"]);
});

test("names that differ only by case stay apart where case doesn't count", () => {
  const names = new FileNames();
  const texts = ["AAPL", "AAPl", "aapl", "bac", "é", "É", "Z".repeat(300), "z".repeat(300)];
  const all = texts.map((text) => names.nameOf(text));
  expect(new Set(all.map((name) => name.toLowerCase())).size).toBe(texts.length);
  expect(all.map(readBack)).toEqual(texts);
  expect(all.slice(0, 4)).toEqual(["AAPL", "AAP%6C", "%61%61%70%6C", "bac"]);
});

test("the rows of one ticker after another have one name", () => {
  const names = new FileNames();
  expect([names.nameOf("AAPL"), names.nameOf("AAPL")]).toEqual(["AAPL", "AAPL"]);
});
