import { expect, spyOn, test } from "bun:test";
import { OutOfOrderError, TickSequence } from "./tick-sequence.ts";

const at = (n: number): string => `2024-01-02 00:00:00.${String(n).padStart(6, "0")}`;

test("ticks that share a timestamp count from 0 in order", () => {
  const sequence = new TickSequence();
  expect([1, 1, 2, 2, 2, 3].map((n) => sequence.next(at(n)))).toEqual([0, 1, 0, 1, 2, 0]);
});

test("a timestamp that comes back within the window goes on counting", () => {
  const sequence = new TickSequence(3);
  expect([1, 2, 3, 2, 4, 2].map((n) => sequence.next(at(n)))).toEqual([0, 0, 0, 1, 0, 2]);
});

test("any length of rising or of falling timestamps fits the window", () => {
  for (const direction of [1, -1]) {
    const sequence = new TickSequence(4);
    for (let i = 0; i < 1_000; i++) expect(sequence.next(at(5_000 + direction * i))).toBe(0);
  }
});

test("a timestamp that was forgotten is refused, not numbered from 0 again", () => {
  const sequence = new TickSequence(3);
  for (const n of [1, 2, 3, 4, 5, 6]) sequence.next(at(n));
  expect(() => sequence.next(at(2))).toThrow(OutOfOrderError);
  expect(sequence.next(at(4))).toBe(1);
  expect(sequence.next(at(0))).toBe(0);
});

test("what is forgotten is never looked for in the map, which would walk over all that was deleted before", () => {
  const sequence = new TickSequence(100);
  const iterators = [
    spyOn(Map.prototype, "keys"),
    spyOn(Map.prototype, "entries"),
    spyOn(Map.prototype, "values"),
  ];
  let numbered = 0;
  for (let i = 0; i < 1_000; i++) numbered += sequence.next(at(i)) === 0 ? 1 : 0;
  const opened = iterators.reduce((sum, iterator) => sum + iterator.mock.calls.length, 0);
  for (const iterator of iterators) iterator.mockRestore();
  expect({ opened, numbered }).toEqual({ opened: 0, numbered: 1_000 });
});
