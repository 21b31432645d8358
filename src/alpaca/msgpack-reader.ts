/**
 * Reads a client's message in MessagePack: maps, lists, texts, numbers, true, false and nil.
 * Clients send no more than that.
 */

export class MsgpackError extends Error {
  override readonly name = "MsgpackError";
}

/** No valid message is half as deep. */
const DEPTH_MAX = 8;

/** @throws MsgpackError the bytes are not one such value. */
export function readMsgpack(bytes: Buffer): unknown {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (reader.at !== bytes.length)
    throw new MsgpackError(`got ${bytes.length - reader.at} bytes behind the value, expected none`);
  return value;
}

class Reader {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  value(depth: number): unknown {
    if (depth > DEPTH_MAX) throw new MsgpackError(`got values deeper than ${DEPTH_MAX} levels`);
    const head = this.#uint(1);
    if (head < 0x80) return head;
    if (head < 0x90) return this.#map(head & 15, depth);
    if (head < 0xa0) return this.#list(head & 15, depth);
    if (head < 0xc0) return this.#text(head & 31);
    if (head >= 0xe0) return head - 256;
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xca:
        return this.#take(4).readFloatBE();
      case 0xcb:
        return this.#take(8).readDoubleBE();
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#uint(1 << (head - 0xcc));
      case 0xcf:
        return Number(this.#take(8).readBigUInt64BE());
      case 0xd0:
      case 0xd1:
      case 0xd2: {
        const size = 1 << (head - 0xd0);
        return this.#take(size).readIntBE(0, size);
      }
      case 0xd3:
        return Number(this.#take(8).readBigInt64BE());
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#uint(1 << (head - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.#list(this.#uint(2 << (head - 0xdc)), depth);
      case 0xde:
      case 0xdf:
        return this.#map(this.#uint(2 << (head - 0xde)), depth);
    }
    throw new MsgpackError(`got a value of the type 0x${head.toString(16)}`);
  }

  #map(length: number, depth: number): Record<string, unknown> {
    const map: Record<string, unknown> = Object.create(null);
    for (let i = 0; i < length; i++) {
      const name = this.value(depth + 1);
      if (typeof name !== "string") throw new MsgpackError("got a map with a name that is no text");
      map[name] = this.value(depth + 1);
    }
    return map;
  }

  #list(length: number, depth: number): unknown[] {
    const list: unknown[] = [];
    for (let i = 0; i < length; i++) list.push(this.value(depth + 1));
    return list;
  }

  #text(bytes: number): string {
    return this.#take(bytes).toString("utf8");
  }

  #uint(size: number): number {
    return this.#take(size).readUIntBE(0, size);
  }

  #take(bytes: number): Buffer {
    if (this.at + bytes > this.#bytes.length)
      throw new MsgpackError(`it ends after ${this.#bytes.length} bytes, within a value`);
    const taken = this.#bytes.subarray(this.at, this.at + bytes);
    this.at += bytes;
    return taken;
  }
}
