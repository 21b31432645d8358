/** Frames of RFC 6455 as bytes, for clients that do what no library lets them do. */

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/**
 * A frame of a client.
 *
 * @param isLast false: the message goes on in a continuation.
 */
export function clientFrame(opcode: number, payload: string | Uint8Array, isLast = true): Buffer {
  const bytes = Buffer.from(payload as string);
  const first = (isLast ? 0x80 : 0) | opcode;
  // A client masks; with zeros it changes nothing.
  return Buffer.concat([Buffer.from([first]), maskedLength(bytes.length), Buffer.alloc(4), bytes]);
}

function maskedLength(bytes: number): Buffer {
  if (bytes < 126) return Buffer.from([0x80 | bytes]);
  const length = Buffer.alloc(bytes < 0x10000 ? 3 : 9);
  length[0] = 0x80 | (bytes < 0x10000 ? 126 : 127);
  if (bytes < 0x10000) length.writeUInt16BE(bytes, 1);
  else length.writeBigUInt64BE(BigInt(bytes), 1);
  return length;
}

/**
 * A server's frame is not masked, and this server's are never in pieces.
 *
 * @returns null: it isn't there in whole.
 */
export function readFrame(bytes: Buffer): { opcode: number; payload: Buffer; length: number } | null {
  if (bytes.length < 2) return null;
  const short = bytes[1]!;
  const header = short === 127 ? 10 : short === 126 ? 4 : 2;
  if (bytes.length < header) return null;
  const size =
    short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short;
  if (bytes.length < header + size) return null;
  return { opcode: bytes[0]! & 15, payload: bytes.subarray(header, header + size), length: header + size };
}
