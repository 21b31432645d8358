/**
 * Frames of RFC 6455 as bytes: what any client may send, right or wrong, and what a server sends.
 */

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

const FIN = 0x80;
const MASKED = 0x80;
/** A mask of zeros changes no byte. */
const NO_CHANGE = Buffer.alloc(4);

export interface FrameParts {
  opcode: number;
  payload?: Uint8Array | string;
  /** Default: the last of its message. */
  fin?: boolean;
  /** Default: as a client must. */
  masked?: boolean;
  /** Of four bytes; default: zeros. */
  mask?: Uint8Array;
  /** The three reserved bits. */
  reserved?: number;
  /** Announced instead of the real one. */
  length?: number | bigint;
}

/** As a client sends it, unless the parts say otherwise. */
export function encodeFrame({
  opcode,
  payload = "",
  fin = true,
  masked = true,
  mask = NO_CHANGE,
  reserved = 0,
  length,
}: FrameParts): Buffer {
  const bytes = Buffer.from(payload as string);
  if (masked && mask !== NO_CHANGE) for (let i = 0; i < bytes.length; i++) bytes[i]! ^= mask[i % 4]!;
  const size = length ?? bytes.length;
  const head = Buffer.alloc(size < 126 ? 2 : size < 65_536 ? 4 : 10);
  head[0] = (fin ? FIN : 0) | (reserved << 4) | opcode;
  head[1] = (masked ? MASKED : 0) | (size < 126 ? Number(size) : size < 65_536 ? 126 : 127);
  if (head.length === 4) head.writeUInt16BE(Number(size), 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(size), 2);
  return Buffer.concat(masked ? [head, mask, bytes] : [head, bytes]);
}

/**
 * @param first byte of the frame: FIN, the reserved bits and the opcode. The payload lies in
 *   `bytes` from `start` to `end`, and is valid during the call only.
 */
export type FrameHandler = (opcode: number, bytes: Buffer, start: number, end: number, first: number) => void;

/**
 * Finds the frames of a server in the reads of a connection. It copies nothing but a frame that
 * came in pieces, so that the clients of the benchmark cost less than what they measure.
 */
export class FrameReader {
  #pending: Buffer | null = null;
  readonly #onFrame: FrameHandler;
  readonly #takesFragments: boolean;

  constructor(onFrame: FrameHandler, takesFragments = false) {
    this.#onFrame = onFrame;
    this.#takesFragments = takesFragments;
  }

  /** @throws Error A masked frame, or a fragmented one where none is taken. */
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
      if (((first & FIN) === 0 && !this.#takesFragments) || (bytes[offset + 1]! & MASKED) !== 0)
        throw new Error("a fragmented or masked frame");
      this.#onFrame(first & 0x0f, bytes, start, end, first);
      offset = end;
    }
  }
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
