import { expect, test } from "bun:test";
import { frameLength, packFrame, unpackFrame, unpackUpdates } from "./packed-frames.ts";

const LONG = `{"symbol":"Ä","data":[${Array.from({ length: 500 }, (_, n) => `{"price":${n}}`).join(",")}]}`;
const SHORT = '{"symbol":"A","data":[]}';

test("a long frame is packed to less, and comes back as it was; a short one stays", () => {
  const packed = packFrame(LONG);
  expect(packed.length).toBeLessThan(LONG.length / 2);
  expect(JSON.parse(packed)).toEqual({ characters: LONG.length, zstd: expect.any(String) });
  expect([frameLength(packed), unpackFrame(packed)]).toEqual([LONG.length, LONG]);
  expect([packFrame(SHORT), frameLength(SHORT), unpackFrame(SHORT)]).toEqual([SHORT, SHORT.length, SHORT]);
  // What no packing makes shorter.
  const random = Buffer.from(crypto.getRandomValues(new Uint8Array(6_000))).toString("latin1");
  expect(packFrame(random)).toBe(random);
});

test("what another program has spoilt counts as not kept", () => {
  const packed = packFrame(LONG);
  for (const spoilt of [
    packed.replace(/"zstd":".{20}/, '"zstd":"'),
    packed.replace(String(LONG.length), "5"),
    packed.slice(0, -1),
    '{"characters":5,"zstd":""}',
    '{"characters":"x"}',
  ]) {
    expect(unpackFrame(spoilt)).toBe("");
    expect(frameLength(spoilt)).toBeGreaterThan(0);
  }
});

test("a limit counts what is unpacked, and lets one through", () => {
  const updates = [1, 2, 3].map((position) => ({
    position,
    type: "trade",
    savedAtMs: 1,
    frame: packFrame(LONG),
  }));
  const read = (characters: number) => unpackUpdates(updates, { updates: 10, characters });
  expect(read(LONG.length - 1).length).toBe(1);
  expect(read(LONG.length * 2).map(({ frame }) => frame)).toEqual([LONG, LONG]);
  expect(read(LONG.length * 3).length).toBe(3);
});
