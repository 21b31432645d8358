import { expect, test } from "bun:test";
import { mergeByTime, type Timed } from "./merge-by-time.ts";

interface Item extends Timed {
  from: number;
}

async function* inBatches(from: number, moments: number[], size: number): AsyncGenerator<Item[]> {
  for (let at = 0; at < moments.length; at += size) {
    yield moments.slice(at, at + size).map((atMicros) => ({ atMicros, from }));
    yield [];
  }
}

test("many sources become one in order of time, equal moments in order of the sources", async () => {
  const sources = Array.from({ length: 9 }, (_, from) =>
    Array.from({ length: from * 7 }, (_, i) => (i * (from + 1)) % 50).sort((a, b) => a - b),
  );
  const merged: Item[] = [];
  for await (const item of mergeByTime(sources.map((moments, from) => inBatches(from, moments, 3))))
    merged.push(item);
  const expected = sources
    .flatMap((moments, from) => moments.map((atMicros) => ({ atMicros, from })))
    .sort((a, b) => a.atMicros - b.atMicros || a.from - b.from);
  expect(merged).toEqual(expected);
});

test("every source is closed when whoever reads stops early", async () => {
  let closed = 0;
  async function* endless(): AsyncGenerator<Item[]> {
    try {
      for (let atMicros = 0; ; atMicros++) yield [{ atMicros, from: 0 }];
    } finally {
      closed++;
    }
  }
  for await (const { atMicros } of mergeByTime([endless(), endless()])) if (atMicros === 5) break;
  expect(closed).toBe(2);
});
