import { expect, spyOn, test } from "bun:test";
import { Sightings } from "./sightings.ts";

const at = (n: number): string => `2024-01-02 00:00:00.${String(n).padStart(6, "0")}`;

test("rows that share a stamp count from 0 in order, each series for itself", () => {
  const seen = new Sightings();
  expect([1, 1, 2, 2, 2, 3].map((n) => seen.rowsBefore("T", at(n)))).toEqual([0, 1, 0, 1, 2, 0]);
  expect(seen.rowsBefore("U", at(1))).toBe(0);
});

test("equal rows of a stamp are counted by their values", () => {
  const seen = new Sightings();
  const rows = [
    [1, 5],
    [1, 6],
    [1, 5],
    [1, 6],
    [1, 5],
    [2, 5],
  ];
  expect(rows.map((values) => seen.equalBefore("T", at(1), values))).toEqual([0, 0, 1, 1, 2, 0]);
  expect(seen.equalBefore("T", at(2), [1, 5])).toBe(0);
});

test("a stamp that comes back within the window goes on counting", () => {
  const seen = new Sightings(3);
  expect([1, 2, 3, 2, 4, 2].map((n) => seen.rowsBefore("T", at(n)))).toEqual([0, 0, 0, 1, 0, 2]);
});

test("any length of rising or of falling stamps fits the window", () => {
  for (const direction of [1, -1]) {
    const seen = new Sightings(4);
    for (let i = 0; i < 1_000; i++) expect(seen.rowsBefore("T", at(5_000 + direction * i))).toBe(0);
  }
});

test("a stamp that was forgotten isn't counted from 0 again, but another series' is", () => {
  const seen = new Sightings(3);
  for (const n of [1, 2, 3, 4, 5, 6]) seen.rowsBefore("T", at(n));
  expect(seen.rowsBefore("T", at(2))).toBeNull();
  expect(seen.rowsBefore("T", at(4))).toBe(1);
  expect(seen.rowsBefore("T", at(0))).toBe(0);
  expect(seen.rowsBefore("U", at(2))).toBe(0);
});

test("the values of one stamp are bounded by the window too", () => {
  const seen = new Sightings(10);
  const counts = Array.from({ length: 50 }, (_, i) => seen.equalBefore("T", at(1), [i]));
  expect(counts).toContain(null);
});

test("what is forgotten is never looked for in the map, which would walk over all that was deleted before", () => {
  const seen = new Sightings(100);
  const iterators = [
    spyOn(Map.prototype, "keys"),
    spyOn(Map.prototype, "entries"),
    spyOn(Map.prototype, "values"),
  ];
  let counted = 0;
  for (let i = 0; i < 1_000; i++) counted += seen.rowsBefore("T", at(i)) === 0 ? 1 : 0;
  const opened = iterators.reduce((sum, iterator) => sum + iterator.mock.calls.length, 0);
  for (const iterator of iterators) iterator.mockRestore();
  expect({ opened, counted }).toEqual({ opened: 0, counted: 1_000 });
});
