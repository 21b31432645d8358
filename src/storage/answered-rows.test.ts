import { expect, test } from "bun:test";
import type { JsonRecord } from "../protocol/json.ts";
import { answeredRows, BrokenAnswerError } from "./answered-rows.ts";

const ROWS = [
  { ticker: 'a},{"b', note: '}]},{\\"', price: 0.1 + 0.2, size: 1 },
  { ticker: "株]}", price: null, size: -7 },
  { ticker: "", price: 1e300, size: 3 },
  { ticker: "ends like a row},{", note: "}, {", price: 2 },
  { ticker: "back\\", price: 0 },
];
const TEXT = `{"data":${JSON.stringify(ROWS)}}`;

async function* pieces(text: string, bytes: number): AsyncGenerator<Uint8Array> {
  const all = new TextEncoder().encode(text);
  for (let at = 0; at < all.length; at += bytes) yield all.subarray(at, at + bytes);
}

async function read(chunks: AsyncIterable<Uint8Array>): Promise<JsonRecord[]> {
  const rows: JsonRecord[] = [];
  for await (const batch of answeredRows({ empty: false, chunks })) rows.push(...batch);
  return rows;
}

test("rows are the same however the answer is cut into pieces", async () => {
  for (let bytes = 1; bytes <= TEXT.length + 4; bytes++)
    expect(await read(pieces(TEXT, bytes))).toEqual(ROWS);
  async function* texts(): AsyncGenerator<string> {
    for (let at = 0; at < TEXT.length; at += 7) yield TEXT.slice(at, at + 7);
  }
  const fromTexts = await Array.fromAsync(answeredRows({ empty: false, chunks: texts() }));
  expect(fromTexts.flat()).toEqual(ROWS);
  expect((await Array.fromAsync(answeredRows({ empty: false, text: TEXT }))).flat()).toEqual(ROWS);
});

test("an integer keeps all its digits", async () => {
  const text =
    '{"data":[{"size":9007199254740993,"price":0.30000000000000004},{"size":-9223372036854775808}]}';
  expect(await read(pieces(text, 10))).toEqual([
    { size: 9007199254740993n, price: 0.30000000000000004 },
    { size: -9223372036854775808n },
  ]);
});

test("an answer that breaks off isn't taken for the whole", async () => {
  for (const length of [10, 60, TEXT.length - 3])
    await expect(read(pieces(TEXT.slice(0, length), 7))).rejects.toThrow(BrokenAnswerError);
});

test("rows of an older server, which writes spaces", async () => {
  const text = '{"data": [{"price": 1}, {"price": 2}, {"price": 3}]}';
  for (let bytes = 1; bytes <= text.length; bytes++)
    expect(await read(pieces(text, bytes))).toEqual([{ price: 1 }, { price: 2 }, { price: 3 }]);
});

test("an answer without rows", async () => {
  expect(await Array.fromAsync(answeredRows({ empty: true }))).toEqual([]);
});

test("an answer that isn't read to its end is closed", async () => {
  let isClosed = false;
  async function* endless(): AsyncGenerator<string> {
    try {
      yield '{"data":[';
      for (;;) yield '{"price":1},';
    } finally {
      isClosed = true;
    }
  }
  for await (const rows of answeredRows({ empty: false, chunks: endless() })) {
    expect(rows).toEqual([{ price: 1 }]);
    break;
  }
  expect(isClosed).toBe(true);
});
