import { expect, test } from "bun:test";
import { count, lower, type Untidy, worse } from "./baseline.ts";
import { longFunctions } from "./long-functions.ts";
import { twins } from "./twin-types.ts";
import { wideLines } from "./wide-lines.ts";

const source = (text: string, path = "a.ts") => new Map([[path, text]]);
const rows = (many: number, row: string) => `${row}\n`.repeat(many);
const wide: Untidy = { kind: "wide lines", path: "a.ts", line: 3, text: "120 columns" };

test("a function has 60 lines, and the rows of a table within it don't count", () => {
  expect(longFunctions(source(`function f() {\n${rows(58, "go();")}}`))).toEqual([]);
  expect(longFunctions(source(`function f() {\n${rows(59, "go();")}}`))[0]!.text).toStartWith("61 lines");
  expect(longFunctions(source(`function f() {\nreturn [\n${rows(99, "1,")}];\n}`))).toEqual([]);
});

test("lines of code and prose have 100 columns; tables, code and links of Markdown have more", () => {
  const words = "word ".repeat(30);
  expect(wideLines(source(`// ${words}`))).toHaveLength(1);
  expect(wideLines(source(words, "a.md"))).toHaveLength(1);
  expect(wideLines(source(`| ${words}|\n\`\`\`\n${words}\n\`\`\`\n[a](${"x".repeat(99)})`, "a.md"))).toEqual(
    [],
  );
});

test("two files that declare a type of one name are both told, but not tests", () => {
  const files = ["a.ts", "b.ts", "c.test.ts"].map((path): [string, string] => [path, "interface A {}"]);
  expect(twins(new Map(files)).map(({ path }) => path)).toEqual(["a.ts", "b.ts"]);
});

test("more than the baseline fails, and fewer too, until it is lowered; it is never raised", () => {
  const two = count([wide, wide]);
  const one = count([wide]);
  expect(worse(one, one, [wide])).toEqual([]);
  expect(worse(one, two, [wide, wide])[0]).toContain("2, more than 1");
  expect(worse(two, one, [wide])[0]).toContain("npm run tidy -- --write");
  expect(lower(two, one)).toEqual(one);
  expect(lower(one, two)).toEqual(one);
  expect(lower(one, {})).toEqual({ "wide lines": {} });
});
