import { expect, test } from "bun:test";
import { commentDepth, firstWords } from "./statement-start.ts";

test.each([
  ["select 1", ["select", "1"]],
  ["  -- why\n\tSELECT/* a /* b */ c */1", ["select", "1"]],
  ['INSERT INTO "Main" . "up""date" (a)', ["insert", "into", "main", ".", 'up"date', "(", "a", ")"]],
  ["create\u00a0or\u3000replace\u200btable t", ["create", "or", "replace", "table", "t"]],
  ["--x\rdelete from t", ["delete", "from", "t"]],
  ["", []],
  ["/* never ends", []],
])("%j begins with %j", (sql, words) => {
  expect(firstWords(sql, 8)).toEqual(words);
});

test("no more words than asked for", () => {
  expect(firstWords("a b c", 2)).toEqual(["a", "b"]);
});

// A regular expression for blanks and comments tries forever here, or gives up and matches nothing.
test.each(["-", "--", "/**/", "--\n", "\u3000", "/* */ "])(
  "what stands behind %j many times over is found",
  (piece) => {
    const text = `${piece.repeat(200_000)}\ndelete from t`;
    expect(firstWords(text, 3)).toEqual(["delete", "from", "t"]);
    expect(commentDepth(text)).toBeLessThan(2);
  },
);

test.each([
  ["select 1", 0],
  ["/* a */ /* b */", 1],
  ["/* /* /* */ */ */ /* */", 3],
  ["*/ */ /*", 1],
])("%j holds comments %d deep", (sql, depth) => {
  expect(commentDepth(sql)).toBe(depth);
});
