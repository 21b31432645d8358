import { expect, test } from "bun:test";
import { toAnswer } from "./rows-answer.ts";

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
  const answer = toAnswer({ empty: false, chunks }, "", 20) as ReadableStream<Uint8Array>;
  const reader = answer.getReader();
  await reader.read();
  await Bun.sleep(60);
  expect(reader.read()).rejects.toThrow("not taken within 0.02 s");
  expect(state.ended).toBe(1);
});

test("a client that leaves frees the connection", async () => {
  const { state, chunks } = endless();
  const answer = toAnswer({ empty: false, chunks }, "") as ReadableStream<Uint8Array>;
  await answer.cancel();
  expect(state.ended).toBe(1);
});
