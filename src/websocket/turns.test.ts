import { expect, test } from "bun:test";
import { Turns } from "./turns.ts";

/** Longer than one round's time. */
function workFor(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

test("long pieces of work come one in a round of the event loop, in their order, and others have theirs between", async () => {
  const turns = new Turns();
  const done: string[] = [];
  let isOver = false;
  const rounds = (async () => {
    while (!isOver) {
      done.push("-");
      await new Promise(setImmediate);
    }
  })();
  const work = async (name: string): Promise<void> => {
    const turn = turns.take();
    if (turn !== null) await turn;
    done.push(name);
    workFor(6);
  };
  await Promise.all(["a", "b", "c", "d", "e"].map(work));
  isOver = true;
  await rounds;
  expect(done.filter((what) => what !== "-")).toEqual(["a", "b", "c", "d", "e"]);
  expect(done.join("")).toMatch(/^-a-+b-+c-+d-+e/);
});

test("who finds nobody waiting goes on at once, also after a pause", async () => {
  const turns = new Turns();
  expect(turns.take()).toBe(null);
  for (let round = 0; round < 3; round++) await new Promise(setImmediate);
  expect(turns.take()).toBe(null);
});
