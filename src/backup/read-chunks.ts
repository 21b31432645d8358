/** Reads the chunks of a backup, out of its pack and those of the backups before. */
import { closeSync, openSync, readSync } from "node:fs";
import { messageOf } from "../protocol/message-of.ts";
import type { BackupFolder } from "./backup-folder.ts";
import { type Chunk, hashOf } from "./chunk-index.ts";
import { BackupError } from "./manifest.ts";

/** Packs that are open at once. Chunks of one backup stand together, so few change. */
const OPEN_MAX = 64;

export class ChunkReader implements Disposable {
  readonly #folder: BackupFolder;
  readonly #packs: readonly string[];
  readonly #open = new Map<number, number>();

  constructor(folder: BackupFolder, packs: readonly string[]) {
    this.#folder = folder;
    this.#packs = packs;
  }

  /** @returns as it was in the database. @throws BackupError It isn't there, or is damaged. */
  read({ hash, pack, place, length }: Chunk): Uint8Array {
    const packed = Buffer.alloc(length);
    let bytes: Uint8Array;
    try {
      if (readSync(this.#fdOf(pack), packed, 0, length, place) < length) throw new Error("it is too short");
      bytes = Bun.zstdDecompressSync(packed);
    } catch (error) {
      throw new BackupError(`${this.#pathOf(pack)} is damaged at byte ${place}: ${messageOf(error)}`);
    }
    if (!hashOf(bytes).equals(hash))
      throw new BackupError(`${this.#pathOf(pack)} is damaged at byte ${place}: the checksum is another`);
    return bytes;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
  }

  #pathOf(pack: number): string {
    return this.#folder.packPath(this.#packs[pack] ?? `(pack ${pack})`);
  }

  #fdOf(pack: number): number {
    const known = this.#open.get(pack);
    if (known !== undefined) return known;
    if (this.#open.size >= OPEN_MAX) this[Symbol.dispose]();
    const fd = openSync(this.#pathOf(pack), "r");
    this.#open.set(pack, fd);
    return fd;
  }
}
