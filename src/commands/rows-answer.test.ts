import { expect, setDefaultTimeout, test } from "bun:test";
import { toAnswer } from "./rows-answer.ts";

setDefaultTimeout(120_000);

function endless() {
  const state = { ended: 0 };
  const chunks: AsyncIterableIterator<string> = {
    next: async () => ({ done: false, value: "x" }),
    return: async () => {
      state.ended++;
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
  return { state, chunks };
}

test("an answer that isn't taken to its end in time is broken off, and its connection freed", async () => {
  const { state, chunks } = endless();
  const answer = toAnswer({ empty: false, chunks }, "", {
    maxMs: 1_000,
    stallMs: 60_000,
  }) as ReadableStream<Uint8Array>;
  const reader = answer.getReader();
  await reader.read();
  while (state.ended === 0) await Bun.sleep(10);
  await expect(reader.read()).rejects.toThrow("not taken within 1 s");
  expect(state.ended).toBe(1);
});

test("a client that has stopped taking the answer loses it, and one that goes on slowly doesn't", async () => {
  const { state, chunks } = endless();
  const limits = { maxMs: 60_000, stallMs: 2_000 };
  const answer = toAnswer({ empty: false, chunks }, "", limits) as ReadableStream<Uint8Array>;
  const reader = answer.getReader();
  for (let piece = 0; piece < 4; piece++) {
    await reader.read();
    await Bun.sleep(600);
  }
  expect(state.ended).toBe(0);
  while (state.ended === 0) await Bun.sleep(10);
  await expect(reader.read()).rejects.toThrow("nothing of the answer was taken for 2 s");
});

test("a client that leaves frees the connection", async () => {
  const { state, chunks } = endless();
  const answer = toAnswer({ empty: false, chunks }, "") as ReadableStream<Uint8Array>;
  await answer.cancel();
  expect(state.ended).toBe(1);
});
