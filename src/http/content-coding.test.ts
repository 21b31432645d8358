import { expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import { type Coding, codingOf, isWorthPacking, packStream, packWhole } from "./content-coding.ts";

test.each([
  [null, null],
  ["", null],
  ["identity", null],
  ["br", null],
  ["gzip", "gzip"],
  ["x-gzip", "gzip"],
  ["gzip, deflate", "gzip"],
  ["gzip, deflate, br, zstd", "zstd"],
  ["GZIP;Q=1.0, zstd;q=0.5", "gzip"],
  ["zstd;q=0, gzip;q=0.1", "gzip"],
  ["zstd;q=0", null],
  ["identity, gzip;q=0.5", null],
  ["*", "zstd"],
  ["*;q=0", null],
  ["zstd;q=0, *", "gzip"],
  ["gzip;q=nonsense", null],
])("Accept-Encoding %p: %p", (accepted, coding) => {
  expect(codingOf(accepted)).toBe(coding as Coding | null);
});

const unpack = (bytes: Uint8Array, coding: Coding): string =>
  Buffer.from(coding === "gzip" ? gunzipSync(bytes) : Bun.zstdDecompressSync(bytes)).toString("utf8");
const CODINGS: Coding[] = ["zstd", "gzip"];

test.each(CODINGS)("%s: an answer of any size is packed to less, and comes back", async (coding) => {
  for (const length of [5_000, 60_000, 3_000_000]) {
    const text = `{"price":185.5,"n":"ä"},`.repeat(length / 20);
    for (const body of [text, Buffer.from(text)]) {
      const packed = await packWhole(body, coding);
      expect(packed.length).toBeLessThan(length / 2);
      expect(unpack(packed, coding)).toBe(text);
    }
  }
  expect([isWorthPacking("short"), isWorthPacking("x".repeat(5_000))]).toEqual([false, true]);
});

const piece = (n: number): Buffer => Buffer.from(`piece ${n} `.repeat(20_000));

function source(pieces: number, end: (controller: ReadableStreamDefaultController) => void, pieceOf = piece) {
  let told: unknown = "nothing";
  let given = 0;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (given === pieces) return end(controller);
        controller.enqueue(pieceOf(given++));
      },
      cancel(reason) {
        told = reason;
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, given: () => given, told: () => told };
}

test.each(CODINGS)("%s: a stream comes back, piece after piece", async (coding) => {
  const { stream } = source(7, (controller) => controller.close());
  const packed = await new Response(packStream(stream, coding)).bytes();
  const expected = Array.from({ length: 7 }, (_, n) => piece(n)).join("");
  expect(unpack(packed, coding)).toBe(expected);
});

test.each(CODINGS)("%s: a stream that breaks has no end", async (coding) => {
  const { stream } = source(3, (controller) => controller.error(new Error("the source broke")));
  await expect(new Response(packStream(stream, coding)).bytes()).rejects.toThrow("the source broke");
});

test.each(CODINGS)(
  "%s: nothing is taken far ahead of the reader, and a reader who leaves ends it",
  async (coding) => {
    // What no packing makes shorter.
    const random = (): Buffer => Buffer.from(crypto.getRandomValues(new Uint8Array(65_536)));
    const { stream, given, told } = source(1_000, (controller) => controller.close(), random);
    const reader = packStream(stream, coding).getReader();
    await reader.read();
    await Bun.sleep(50);
    expect(given()).toBeLessThan(20);
    await reader.cancel("gone");
    await Bun.sleep(50);
    expect(told()).not.toBe("nothing");
  },
);
