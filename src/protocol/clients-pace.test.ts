import { expect, test } from "bun:test";
import { atClientsPace, iterate, piecesIn, piecesOf } from "./clients-pace.ts";

const PIECE = new Uint8Array([1]);

test("nothing is taken before the client asks, and nothing after it has gone", async () => {
  let taken = 0;
  const cancelled: unknown[] = [];
  const stream = atClientsPace({
    next() {
      taken++;
      return PIECE;
    },
    cancel: (reason) => cancelled.push(reason),
  });
  await Bun.sleep(0);
  expect(taken).toBe(0);
  const reader = stream.getReader();
  expect(await reader.read()).toEqual({ value: PIECE, done: false });
  expect(taken).toBe(1);
  await reader.cancel("gone");
  expect([taken, cancelled]).toEqual([1, ["gone"]]);
});

test("a piece that comes after the client has gone is nobody's", async () => {
  const late = Promise.withResolvers<Uint8Array>();
  const reader = atClientsPace({ next: () => late.promise }).getReader();
  const read = reader.read();
  await reader.cancel();
  late.resolve(PIECE);
  expect((await read).done).toBe(true);
});

test("an iterator's texts are UTF-8; it ends with the client", async () => {
  let ended = false;
  async function* chunks() {
    try {
      yield "é";
      yield PIECE;
      yield "never";
    } finally {
      ended = true;
    }
  }
  const reader = atClientsPace(piecesOf(chunks())).getReader();
  expect((await reader.read()).value).toEqual(new Uint8Array([0xc3, 0xa9]));
  expect((await reader.read()).value).toEqual(PIECE);
  await reader.cancel();
  expect(ended).toBe(true);
});

test("a source that breaks breaks the stream", async () => {
  const stream = atClientsPace({ next: () => Promise.reject(new Error("lost")) });
  await expect(stream.getReader().read()).rejects.toThrow("lost");
});

test("an iterator of pieces gives them all, and is cancelled even before its first step", async () => {
  expect(await Array.fromAsync(iterate(piecesIn([PIECE, PIECE])))).toEqual([PIECE, PIECE]);
  let isCancelled = false;
  const iterator = iterate({
    next: () => PIECE,
    cancel() {
      isCancelled = true;
    },
  });
  await iterator.return?.();
  expect(isCancelled).toBe(true);
});
