import { expect, test } from "bun:test";
import { COUNTS, COUNTS_ALL, SALE_CONDITIONS, SaleRules, type Tape } from "./sale-conditions.ts";

const { HIGH_LOW, LAST_IF_NONE, VOLUME } = COUNTS;
const daily = new SaleRules("A", "daily");

test("conditions are read however they are written", () => {
  for (const written of ["@ I", "@,I", " @  , I ", "@I", ["@", "I"], '["@", "I"]', ["@ I"], ["I"]])
    expect([written, daily.countsOf(written)]).toEqual([written, { counts: VOLUME, unsure: null }]);
  for (const written of [null, undefined, "", "  ", [], "[]", "@", ["@"], "@ F", "@F E", "6"])
    expect([written, daily.countsOf(written)]).toEqual([written, { counts: COUNTS_ALL, unsure: null }]);
});

test("several codes count for what each of them allows", () => {
  const countsOf = (codes: string): number => daily.countsOf(codes).counts;
  expect(countsOf("Z")).toBe(HIGH_LOW | LAST_IF_NONE | VOLUME);
  expect(countsOf("@ Z F")).toBe(HIGH_LOW | LAST_IF_NONE | VOLUME);
  expect(countsOf("Z I")).toBe(VOLUME);
  expect(countsOf("R")).toBe(LAST_IF_NONE | VOLUME);
  expect(countsOf("M")).toBe(0);
  expect(countsOf("I 9")).toBe(0);
  expect(countsOf("9")).toBe(COUNTS_ALL - VOLUME);
});

test("the same letter differs by tape, and is unsure without one", () => {
  expect(new SaleRules("B", "daily").countsOf("B")).toEqual({ counts: VOLUME, unsure: null });
  expect(new SaleRules("C", "daily").countsOf("B")).toEqual({ counts: COUNTS_ALL, unsure: null });
  expect(new SaleRules(null, "daily").countsOf("B @")).toEqual({ counts: VOLUME, unsure: "B" });
  expect(new SaleRules(null, "daily").countsOf("W")).toEqual({ counts: VOLUME, unsure: null });
  expect(daily.countsOf("W")).toEqual({ counts: COUNTS_ALL, unsure: "W" });
});

test("bars within the day take prices of extended hours, and no corrected close", () => {
  const intraday = new SaleRules("C", "intraday");
  expect([daily.countsOf("@ T").counts, intraday.countsOf("@ T").counts]).toEqual([VOLUME, COUNTS_ALL]);
  expect([daily.countsOf("U").counts, intraday.countsOf("U").counts]).toEqual([VOLUME, VOLUME]);
  expect(intraday.countsOf("9").counts).toBe(0);
});

test("what is no code of the tapes is told and changes nothing", () => {
  expect(daily.countsOf([7, 37])).toEqual({ counts: COUNTS_ALL, unsure: "#7 #37" });
  expect(daily.countsOf("[14,41]").unsure).toBe("#14 #41");
  expect(daily.countsOf("37,I")).toEqual({ counts: VOLUME, unsure: "37" });
  expect(daily.countsOf("regular").unsure).toBe("regular");
  expect(daily.countsOf({ code: "I" }).unsure).toBe('{"code":"I"}');
  expect(daily.countsOf("[@ I").unsure).toBe("[");
  // Each of them is remembered as itself.
  expect([daily.countsOf(7).unsure, daily.countsOf("7").unsure]).toEqual(["#7", null]);
});

test("the page lists the table", async () => {
  const page = await Bun.file(new URL("../../docs/sale-conditions.md", import.meta.url)).text();
  const rows = [...page.matchAll(/^\| `(.)` \| ([ABC, ]+) \| (.+?) \| (\w+) \| (\w+) \| (\w+) \|/gm)];
  const lasts = (counts: number): string =>
    counts & COUNTS.LAST ? "yes" : counts & LAST_IF_NONE ? "other" : "no";
  const yes = (bit: number): string => (bit === 0 ? "no" : "yes");
  expect(rows.map((row) => row.slice(1, 7))).toEqual(
    SALE_CONDITIONS.map(({ code, tapes, name, counts }) => [
      code,
      [...tapes].join(", "),
      name,
      yes(counts & HIGH_LOW),
      lasts(counts),
      yes(counts & VOLUME),
    ]),
  );
});

test("every code has one rule on each tape", () => {
  for (const tape of ["A", "B", "C"] satisfies Tape[]) {
    const codes = SALE_CONDITIONS.filter(({ tapes }) => tapes.includes(tape)).map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
  }
});
