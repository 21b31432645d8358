/** The file of chunks that a backup adds. */
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";

/** The fastest: rows are alike, and a backup takes CPU time from the server. */
const LEVEL = 1;

export class PackWriter {
  readonly #fd: number;
  #bytes = 0;

  constructor(path: string) {
    this.#fd = openSync(path, "wx", 0o600);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @returns where it is. */
  add(chunk: Uint8Array): { place: number; length: number } {
    const packed = Bun.zstdCompressSync(chunk, { level: LEVEL });
    const place = this.#bytes;
    let done = 0;
    while (done < packed.length) done += writeSync(this.#fd, packed, done, packed.length - done);
    this.#bytes += packed.length;
    return { place, length: packed.length };
  }

  /** What was added is on the disk then. */
  sync(): void {
    fsyncSync(this.#fd);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
