import { expect, test } from "bun:test";
import { clientFrame, FrameReader, OPCODE_PING, OPCODE_TEXT } from "./ws-frames.ts";

/** A server's frame, with the shortest length field that fits. */
function frame(opcode: number, text: string): Buffer {
  const payload = Buffer.from(text);
  if (payload.length < 126) return Buffer.concat([Buffer.from([0x80 | opcode, payload.length]), payload]);
  const wide = payload.length > 0xffff;
  const header = Buffer.alloc(wide ? 10 : 4);
  header[0] = 0x80 | opcode;
  header[1] = wide ? 127 : 126;
  if (wide) header.writeBigUInt64BE(BigInt(payload.length), 2);
  else header.writeUInt16BE(payload.length, 2);
  return Buffer.concat([header, payload]);
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
  const bytes = Buffer.concat([...TEXTS.map((text) => frame(OPCODE_TEXT, text)), frame(OPCODE_PING, "p")]);
  const expected = [...TEXTS.map((text) => [OPCODE_TEXT, text]), [OPCODE_PING, "p"]] as [number, string][];
  expect(read([bytes])).toEqual(expected);
});

test("a frame may be cut anywhere", () => {
  const bytes = Buffer.concat(TEXTS.slice(0, 4).map((text) => frame(OPCODE_TEXT, text)));
  const whole = read([bytes]);
  for (let cut = 1; cut < bytes.length; cut++) {
    expect(read([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(whole);
  }
});

test("a fragment is refused rather than miscounted", () => {
  expect(() => read([Buffer.from([0x01, 0x01, 0x61])])).toThrow("fragmented");
});

test("a client's frame carries its payload under a zero mask", () => {
  expect([...clientFrame(0xa, Buffer.from("hi"))]).toEqual([0x8a, 0x82, 0, 0, 0, 0, 0x68, 0x69]);
});
