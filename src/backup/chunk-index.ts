/**
 * Where the chunks of a backup are: one entry for each, in the order of the database's parts. A
 * chunk that hasn't changed since the backup before stays in that one's file.
 */

/** Of a database's part; its last chunk may be shorter. */
export const CHUNK_BYTES = 64 * 1024;
const HASH_BYTES = 32;
const ENTRY_BYTES = 48;
const PACK_OFFSET = HASH_BYTES;
const PLACE_OFFSET = PACK_OFFSET + 4;
const PLACE_BYTES = 6;
const LENGTH_OFFSET = PLACE_OFFSET + PLACE_BYTES;

export interface Chunk {
  /** SHA-256 of its bytes as they are in the database. */
  hash: Uint8Array;
  /** Which of the manifest's packs has it. */
  pack: number;
  /** Where it begins in the pack, and how long it is there, packed with zstd. */
  place: number;
  length: number;
}

export class ChunkIndex {
  readonly bytes: Buffer;

  /** @param bytes of an index, or as many zeros as it is to have. */
  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  static ofChunks(count: number): ChunkIndex {
    return new ChunkIndex(Buffer.alloc(count * ENTRY_BYTES));
  }

  get length(): number {
    return Math.floor(this.bytes.length / ENTRY_BYTES);
  }

  at(index: number): Chunk {
    const begin = index * ENTRY_BYTES;
    const entry = this.bytes.subarray(begin, begin + ENTRY_BYTES);
    return {
      hash: entry.subarray(0, HASH_BYTES),
      pack: entry.readUInt32LE(PACK_OFFSET),
      place: entry.readUIntLE(PLACE_OFFSET, PLACE_BYTES),
      length: entry.readUInt32LE(LENGTH_OFFSET),
    };
  }

  hasHash(index: number, hash: Uint8Array): boolean {
    const begin = index * ENTRY_BYTES;
    return this.bytes.subarray(begin, begin + HASH_BYTES).equals(hash);
  }

  set(index: number, { hash, pack, place, length }: Chunk): void {
    const begin = index * ENTRY_BYTES;
    this.bytes.set(hash, begin);
    this.bytes.writeUInt32LE(pack, begin + PACK_OFFSET);
    this.bytes.writeUIntLE(place, begin + PLACE_OFFSET, PLACE_BYTES);
    this.bytes.writeUInt32LE(length, begin + LENGTH_OFFSET);
  }

  /** Bytes that it needs of each pack. */
  bytesByPack(packs: number): number[] {
    const sums = new Array<number>(packs).fill(0);
    for (let index = 0; index < this.length; index++) {
      const { pack, length } = this.at(index);
      sums[pack] = (sums[pack] ?? 0) + length;
    }
    return sums;
  }
}

export function chunksOf(bytes: number): number {
  return Math.ceil(bytes / CHUNK_BYTES);
}

export function hashOf(chunk: Uint8Array): Buffer {
  const hash = Buffer.alloc(HASH_BYTES);
  Bun.SHA256.hash(chunk, hash);
  return hash;
}
