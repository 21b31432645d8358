import { expect, test } from "bun:test";
import { QueuedBytes, RequestQueue } from "./request-queue.ts";

const MIB = 1024 * 1024;

test("messages come out in their order, binary ones in their place, whatever is taken meanwhile", () => {
  const total = new QueuedBytes();
  const queue = new RequestQueue(total);
  const taken: (string | null)[] = [];
  const expected: (string | null)[] = [];
  for (let i = 0; i < 10_000; i++) {
    const text = i % 7 === 0 ? null : String(i);
    expected.push(text);
    expect(queue.add(text)).toBe(null);
    if (i % 3 === 0) taken.push(queue.take()!);
  }
  for (let text = queue.take(); text !== undefined; text = queue.take()) taken.push(text);
  expect(taken).toEqual(expected);
  expect(queue.size).toBe(0);
  expect(total.bytes).toBe(0);
});

test("a client's bound counts what a message takes beside its text; one alone may be as large as a frame", () => {
  const queue = new RequestQueue(new QueuedBytes());
  expect(queue.add("x".repeat(4 * MIB))).toBe(null);
  expect(queue.add("x")).toBe("own bound");
  queue.clear();
  let taken = 0;
  while (queue.add("") === null) taken++;
  expect(taken).toBeGreaterThan(10_000);
  expect(taken).toBeLessThan(100_000);
});

test("all clients together have a bound, which those with little don't feel", () => {
  const total = new QueuedBytes();
  const large = Array.from({ length: 20 }, () => new RequestQueue(total));
  const answers = large.map((queue) => queue.add("€".repeat(1.95 * MIB)));
  expect(answers.slice(0, 16)).toEqual(Array(16).fill(null));
  expect(answers.slice(17)).toEqual(Array(3).fill("bound of all"));
  const small = new RequestQueue(total);
  expect(small.add("{}")).toBe(null);
  expect(small.add("x".repeat(1.9 * MIB))).toBe("bound of all");
  for (const queue of large) queue.clear();
  small.clear();
  expect(total.bytes).toBe(0);
});

test("however many clients there are, what always fits of each stays small together", () => {
  const total = new QueuedBytes();
  const queues = Array.from({ length: 5_000 }, () => new RequestQueue(total));
  for (const queue of queues) while (queue.add("€".repeat(1_000)) === null);
  expect(total.bytes).toBeLessThan(128 * MIB);
});
