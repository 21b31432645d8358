import { expect, test } from "bun:test";
import { encodeFrame, FrameReader, OPCODE } from "./web-socket-frames.ts";

/** A server's frame, with the shortest length field that fits. */
function frame(opcode: number, text: string): Buffer {
  return encodeFrame({ opcode, payload: text, masked: false });
}

function read(pieces: Buffer[]): [number, string][] {
  const frames: [number, string][] = [];
  const reader = new FrameReader((opcode, bytes, start, end) =>
    frames.push([opcode, bytes.toString("latin1", start, end)]),
  );
  for (const piece of pieces) reader.feed(piece);
  return frames;
}

const TEXTS = ["", "a", "b".repeat(125), "c".repeat(126), "d".repeat(65_535), "e".repeat(65_536)];

test("frames of every length field are read, many in one read", () => {
  const bytes = Buffer.concat([...TEXTS.map((text) => frame(OPCODE.text, text)), frame(OPCODE.ping, "p")]);
  const expected = [...TEXTS.map((text) => [OPCODE.text, text]), [OPCODE.ping, "p"]] as [number, string][];
  expect(read([bytes])).toEqual(expected);
});

test("a frame may be cut anywhere", () => {
  const bytes = Buffer.concat(TEXTS.slice(0, 4).map((text) => frame(OPCODE.text, text)));
  const whole = read([bytes]);
  for (let cut = 1; cut < bytes.length; cut++) {
    expect(read([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(whole);
  }
});

test("a fragment is refused rather than miscounted", () => {
  expect(() => read([Buffer.from([0x01, 0x01, 0x61])])).toThrow("fragmented");
});

test("a client's frame carries its payload under a zero mask", () => {
  expect([...encodeFrame({ opcode: OPCODE.pong, payload: "hi" })]).toEqual([
    0x8a, 0x82, 0, 0, 0, 0, 0x68, 0x69,
  ]);
});

test("a length field is of one, three or nine bytes, and a mask changes the payload", () => {
  expect([...encodeFrame({ opcode: OPCODE.text, length: 126 })].slice(0, 4)).toEqual([0x81, 0xfe, 0, 126]);
  expect([...encodeFrame({ opcode: OPCODE.text, length: 65_536 })].slice(0, 10)).toEqual([
    0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0,
  ]);
  const mask = Buffer.from([1, 2, 3, 4]);
  expect([...encodeFrame({ opcode: OPCODE.text, payload: "abcde", mask })]).toEqual([
    0x81, 0x85, 1, 2, 3, 4, 0x60, 0x60, 0x60, 0x60, 0x64,
  ]);
});
