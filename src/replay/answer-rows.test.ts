import { expect, test } from "bun:test";
import type { JsonRows } from "../storage/contract.ts";
import { rowsOf } from "./answer-rows.ts";

const ROWS = [
  { ticker: 'a"},{"b', price: 1.5, size: null },
  { ticker: "back\\", price: -0.25, size: 100 },
  { ticker: "é{}", price: null, size: 0 },
];

async function read(answer: JsonRows): Promise<unknown[]> {
  return await Array.fromAsync(rowsOf(answer));
}

test("rows are found wherever the pieces are cut, in text and in bytes", async () => {
  const text = JSON.stringify({ data: ROWS });
  const bytes = new TextEncoder().encode(text);
  expect(await read({ empty: false, text })).toEqual(ROWS);
  for (const size of [1, 2, 3, 7, 50, 1_000]) {
    async function* pieces(whole: string | Uint8Array): AsyncGenerator<string | Uint8Array> {
      for (let at = 0; at < whole.length; at += size) yield whole.slice(at, at + size);
    }
    expect(await read({ empty: false, chunks: pieces(text) })).toEqual(ROWS);
    expect(await read({ empty: false, chunks: pieces(bytes) })).toEqual(ROWS);
  }
});

test("no rows, and sizes with more digits than a double has", async () => {
  expect(await read({ empty: true })).toEqual([]);
  const text = '{"data":[{"size":9007199254740993}]}';
  expect(await read({ empty: false, text })).toEqual([{ size: 9007199254740993n }]);
});

test("an answer that isn't read to its end is closed", async () => {
  let closed = false;
  async function* endless(): AsyncGenerator<string> {
    try {
      yield '{"data":[';
      for (;;) yield '{"price":1},';
    } finally {
      closed = true;
    }
  }
  for await (const row of rowsOf({ empty: false, chunks: endless() })) {
    expect(row).toEqual({ price: 1 });
    break;
  }
  expect(closed).toBe(true);
});
