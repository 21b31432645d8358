import { expect, spyOn, test } from "bun:test";
import { RecentlyUsed } from "./recently-used.ts";

const keysOf = (kept: RecentlyUsed<number>): string[] => [...kept.entries()].map(([key]) => key);

test("what was used longest ago goes first", () => {
  const kept = new RecentlyUsed<number>(3);
  for (const [value, key] of ["a", "b", "c"].entries()) expect(kept.set(key, value)).toBe(false);
  expect(kept.get("a")).toBe(0);
  expect(kept.set("d", 3)).toBe(true);
  expect(keysOf(kept)).toEqual(["c", "a", "d"]);
  expect([kept.get("b"), kept.size]).toEqual([undefined, 3]);
  kept.set("c", 5);
  expect(keysOf(kept)).toEqual(["a", "d", "c"]);
  for (const key of ["d", "a", "c", "nothing"]) kept.delete(key);
  expect([keysOf(kept), kept.size]).toEqual([[], 0]);
  kept.set("e", 1);
  expect(keysOf(kept)).toEqual(["e"]);
});

test("values are kept by their weight, also when one takes the place of another", () => {
  const kept = new RecentlyUsed<number>(100, (weight) => weight);
  kept.set("a", 40);
  kept.set("b", 40);
  for (let i = 0; i < 5; i++) expect(kept.set("b", 60)).toBe(false);
  expect(kept.set("c", 1)).toBe(true);
  expect(keysOf(kept)).toEqual(["b", "c"]);
  expect(kept.set("large", 101)).toBe(true);
  expect(keysOf(kept)).toEqual([]);
});

test("it is as a plain list would be, over any sequence of uses", () => {
  const kept = new RecentlyUsed<number>(5);
  let model: [string, number][] = [];
  let state = 1;
  const random = (below: number): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
  for (let i = 0; i < 5_000; i++) {
    const key = `k${random(9)}`;
    const known = model.find(([name]) => name === key);
    const others = model.filter(([name]) => name !== key);
    const step = random(4);
    if (step === 0) {
      kept.delete(key);
      model = others;
    } else if (step === 1) {
      expect(kept.get(key)).toBe(known?.[1]);
      if (known !== undefined) model = [...others, known];
    } else {
      kept.set(key, i);
      model = [...others, [key, i] as [string, number]].slice(-5);
    }
    expect([...kept.entries()]).toEqual(model);
  }
});

test("no entry is looked for in the map to be dropped", () => {
  const kept = new RecentlyUsed<number>(100);
  const iterators = [
    spyOn(Map.prototype, "keys"),
    spyOn(Map.prototype, "entries"),
    spyOn(Map.prototype, "values"),
  ];
  for (let i = 0; i < 1_000; i++) kept.set(`k${i}`, i);
  const opened = iterators.reduce((sum, iterator) => sum + iterator.mock.calls.length, 0);
  for (const iterator of iterators) iterator.mockRestore();
  expect([opened, kept.size]).toEqual([0, 100]);
});
