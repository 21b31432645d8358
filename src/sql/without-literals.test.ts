import { expect, test } from "bun:test";
import { withoutLiterals } from "./without-literals.ts";

test("texts, numbers, quoted names and comments don't get into the log", () => {
  const sql = `SELECT 'it''s secret', "col", 12.5e3, x'00ff' -- password
    FROM t1 /* token */ WHERE a = $$hidden$$ AND b = 0xff`;
  expect(withoutLiterals(sql)).toBe("SELECT ?, ?, ?, x? FROM t1 WHERE a = ? AND b = ?");
});

test("a text that isn't closed, or is cut, is left out to its end", () => {
  expect(withoutLiterals("SELECT 'never closed")).toBe("SELECT ?");
  expect(withoutLiterals(`SELECT '${"s".repeat(5_000)}'`)).toBe("SELECT ?");
  expect(withoutLiterals("SELECT /* open secret")).toBe("SELECT");
});

test("it is cut to a length", () => {
  expect(withoutLiterals(`SELECT ${"a, ".repeat(1_000)}`).length).toBeLessThan(125);
});
