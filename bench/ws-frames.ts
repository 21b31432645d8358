/**
 * Reads the frames of one server's WebSocket connection after the handshake. Knows what such a stream may hold
 * here: unmasked, unfragmented frames. Payloads are views into the read, valid during the callback only.
 */

export const OPCODE_TEXT = 0x1;
export const OPCODE_CLOSE = 0x8;
export const OPCODE_PING = 0x9;

const FIN = 0x80;

export class FrameReader {
  #pending: Buffer | null = null;
  readonly #onFrame: (opcode: number, bytes: Buffer, start: number, end: number) => void;

  constructor(onFrame: (opcode: number, bytes: Buffer, start: number, end: number) => void) {
    this.#onFrame = onFrame;
  }

  /** @throws Error A fragmented or masked frame. */
  feed(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#pending !== null) {
      bytes = Buffer.concat([this.#pending, chunk]);
      this.#pending = null;
    }
    let offset = 0;
    while (offset < bytes.length) {
      const start = payloadStart(bytes, offset);
      const end = start < 0 ? -1 : start + payloadLength(bytes, offset);
      if (end < 0 || end > bytes.length) {
        // Copied: Bun reuses the buffer of a read.
        this.#pending = Buffer.from(bytes.subarray(offset));
        return;
      }
      const first = bytes[offset]!;
      if ((first & FIN) === 0 || (bytes[offset + 1]! & 0x80) !== 0)
        throw new Error("a fragmented or masked frame");
      this.#onFrame(first & 0x0f, bytes, start, end);
      offset = end;
    }
  }
}

/** A masked frame of at most 125 bytes; the mask is zero, so the payload stays as it is. */
export function clientFrame(opcode: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(6 + payload.length);
  frame[0] = FIN | opcode;
  frame[1] = 0x80 | payload.length;
  frame.set(payload, 6);
  return frame;
}

/** A masked text frame of any size up to 64 KB; the mask is zero. */
export function clientMessage(text: string): Uint8Array {
  const payload = Buffer.from(text);
  if (payload.length < 126) return clientFrame(OPCODE_TEXT, payload);
  const frame = Buffer.alloc(8 + payload.length);
  frame[0] = FIN | OPCODE_TEXT;
  frame[1] = 0x80 | 126;
  frame.writeUInt16BE(payload.length, 2);
  frame.set(payload, 8);
  return frame;
}

/** Where the payload of the frame at `offset` begins, or -1 when its header isn't complete. */
function payloadStart(bytes: Buffer, offset: number): number {
  if (bytes.length - offset < 2) return -1;
  const short = bytes[offset + 1]! & 0x7f;
  const header = short === 127 ? 10 : short === 126 ? 4 : 2;
  return bytes.length - offset < header ? -1 : offset + header;
}

function payloadLength(bytes: Buffer, offset: number): number {
  const short = bytes[offset + 1]! & 0x7f;
  if (short === 127) return Number(bytes.readBigUInt64BE(offset + 2));
  return short === 126 ? bytes.readUInt16BE(offset + 2) : short;
}
