import { expect, test } from "bun:test";
import { Slots } from "./slots.ts";

const short = { long: false };
const long = { long: true };

test("as many as there are slots go at once, the others in order of arrival", async () => {
  const slots = new Slots(2);
  const first = await slots.take(short);
  const second = await slots.take(short);
  const order: string[] = [];
  const third = slots.take(short).then((release) => {
    order.push("third");
    release();
  });
  const fourth = slots.take(short).then((release) => {
    order.push("fourth");
    release();
  });
  expect([slots.active, slots.waiting]).toEqual([2, 2]);
  first();
  first(); // once is enough
  await Promise.all([third, fourth]);
  expect(order).toEqual(["third", "fourth"]);
  expect(slots.active).toBe(1);
  second();
  expect([slots.active, slots.waiting]).toEqual([0, 0]);
});

test("long requests leave slots to short ones", async () => {
  const slots = new Slots(4);
  const taken = [await slots.take(long), await slots.take(long), await slots.take(long)];
  let fourthHasOne = false;
  const fourth = slots.take(long).then((release) => {
    fourthHasOne = true;
    return release;
  });
  (await slots.take(short))();
  expect([fourthHasOne, slots.waiting]).toEqual([false, 1]);
  taken[0]!();
  const last = await fourth;
  for (const release of [...taken, last]) release();
  expect([slots.active, slots.waiting]).toEqual([0, 0]);
});

test("a single slot serves both kinds", async () => {
  const slots = new Slots(1);
  const release = await slots.take(long);
  const next = slots.take(long);
  release();
  (await next)();
  expect(slots.active).toBe(0);
});

test("who gives up waiting holds nothing", async () => {
  const slots = new Slots(1);
  const release = await slots.take(short);
  const client = new AbortController();
  const gone = slots.take({ long: false, signal: client.signal });
  client.abort(new Error("gone"));
  await expect(gone).rejects.toThrow("gone");
  await gone.catch(() => {});
  expect(slots.waiting).toBe(0);
  release();
  (await slots.take(short))();
  expect(slots.active).toBe(0);
});
