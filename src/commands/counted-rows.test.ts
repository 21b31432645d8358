import { expect, test } from "bun:test";
import type { JsonRows } from "../storage/contract.ts";
import { noteAnsweredRows } from "./counted-rows.ts";

const ANSWER =
  '{"data":[{"t":"a","n":1},{"t":"},{\\"x","n":2},{"t":"é","n":null},{"t":"","n":[{"deep":1}]}]}';

async function counted(found: JsonRows): Promise<number> {
  let rows = 0;
  const answer = (await noteAnsweredRows(found, (more) => {
    rows += more;
  })) as JsonRows;
  if (!answer.empty && "chunks" in answer) for await (const _ of answer.chunks);
  return rows;
}

async function* pieces(length: number, as: (bytes: Buffer) => string | Uint8Array) {
  const bytes = Buffer.from(ANSWER);
  for (let at = 0; at < bytes.length; at += length) yield as(bytes.subarray(at, at + length));
}

test("rows are counted in one text, and wherever its pieces end", async () => {
  expect(await counted({ empty: true })).toBe(0);
  expect(await counted({ empty: false, text: ANSWER })).toBe(4);
  for (let length = 1; length <= ANSWER.length + 1; length++) {
    expect([length, await counted({ empty: false, chunks: pieces(length, (bytes) => bytes) })]).toEqual([
      length,
      4,
    ]);
    const texts = pieces(length, (bytes) => bytes.toString("latin1"));
    expect([length, await counted({ empty: false, chunks: texts })]).toEqual([length, 4]);
  }
});

test("who leaves early frees what the rows come from", async () => {
  let isFreed = false;
  async function* rows() {
    try {
      yield '{"data":[{"a":1}';
      yield ',{"a":2}]}';
    } finally {
      isFreed = true;
    }
  }
  const answer = (await noteAnsweredRows({ empty: false, chunks: rows() }, () => undefined)) as JsonRows;
  if (!answer.empty && "chunks" in answer) for await (const _ of answer.chunks) break;
  expect(isFreed).toBe(true);
});
